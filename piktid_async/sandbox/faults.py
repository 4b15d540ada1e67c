"""Faults asked for by name.

Two kinds of option. A *standing* fault (`stream_refuse`, `submit_delay`) holds until it is set
back. A *budget* (`acks_fail=3`) is used up: each time the fault happens the number goes down by
one, and at zero the server behaves again. What happened is counted either way.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import attrs
from attrs import validators

_optional_count = validators.optional(validators.ge(0))
_optional_seconds = validators.optional(validators.ge(0.0))

Budget = Literal[
    "drop_events",
    "acks_fail",
    "upload_url_expired",
    "storage_errors",
    "upload_reset",
    "submit_lost",
    "images_fail",
    "images_stuck",
    "content_refused",
    "post_processing_fails",
    "identities_fail",
    "webhook_duplicate",
    "webhook_reorder",
    "vtryon_create_lost",
    "vtryon_delete_lost",
    "vtryon_poll_errors",
]


def _budget() -> int:
    field: int = attrs.field(default=0, validator=validators.ge(0))
    return field


def _seconds() -> float:
    field: float = attrs.field(default=0.0, validator=validators.ge(0.0))
    return field


@attrs.define(kw_only=True, eq=False)
class Faults:
    """What goes wrong, and how often it did. May be changed while the server runs."""

    stream_refuse: bool = False
    """Answer 503 to whoever opens the event stream."""
    stream_cut_after_events: int | None = attrs.field(default=None, validator=_optional_count)
    """Hang up after this many notifications on each connection, backfill included."""
    stream_cut_mid_event: int | None = attrs.field(default=None, validator=_optional_count)
    """After this many notifications on a connection, send half of the next one and reset."""
    drop_events: int = _budget()
    """Notifications that are neither stored nor sent."""
    acks_fail: int = _budget()
    """`DELETE /notifications/{id}` calls that answer 500 and delete nothing."""

    upload_url_expired: int = _budget()
    """Upload tickets whose signed URL has expired before it is handed out."""
    storage_errors: int = _budget()
    """Uploads that the storage answers with 503 `SlowDown`."""
    upload_reset: int = _budget()
    """Uploads whose connection is reset once half of the body has come."""

    identities_fail: int = _budget()
    """Identities whose preparation fails."""

    submit_delay: float = _seconds()
    """Seconds that the 202 is held back while the job already runs and its events go out."""
    submit_lost: int = _budget()
    """Submissions that make a job and then reset the connection in place of the 202."""
    submit_status: list[int] = attrs.field(factory=list)
    """Statuses that answer the next submissions, in this order; no job is made."""
    status_404_for: float = _seconds()
    """Seconds after the 202 for which `GET /jobs/{id}/status` does not know the job."""
    retry_after: float | None = attrs.field(default=None, validator=_optional_seconds)
    """Seconds to name in a `Retry-After` header of every 429; the documentation knows none."""

    webhook_duplicate: int = _budget()
    """Notifications that are posted to the webhook twice."""
    webhook_reorder: int = _budget()
    """Notifications that are posted after the next one, if that one waits already."""

    images_fail: int = _budget()
    """Outputs that cannot be made."""
    images_stuck: int = _budget()
    """Outputs that stay at `processing` until they are marked as failed."""
    content_refused: int = _budget()
    """Outputs that the engine refuses: `auto` falls back to another one, a named engine fails."""
    post_processing_fails: int = _budget()
    """Jobs whose post-processing fails after they have completed."""

    vtryon_create_lost: int = _budget()
    """Vtryon tasks that are made while the connection is reset in place of the answer."""
    vtryon_delete_lost: int = _budget()
    """Vtryon tasks that are deleted while the connection is reset in place of the answer."""
    vtryon_poll_errors: int = _budget()
    """Status reads of Vtryon tasks that answer 503."""

    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often each fault happened, by the name of its option."""

    def happened(self, name: str) -> None:
        """Count a fault that has just been done."""
        self.counts[name] += 1

    def take(self, name: Budget) -> bool:
        """Use one of the budget `name`, if any is left."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        self.happened(name)
        return True

    def take_submit_status(self) -> int | None:
        """Return the status that the next submission has to be answered with, if any."""
        if not self.submit_status:
            return None
        self.happened("submit_status")
        return self.submit_status.pop(0)
