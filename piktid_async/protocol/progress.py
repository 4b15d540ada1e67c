"""How far one job is: events and status answers merged into one picture.

Merging is idempotent and free of order: counts only rise, a status only moves towards its end,
and nothing follows a terminal one. So a replayed, late or doubled event does no harm, and a
status answer that overtakes the events it sums up does none either. A total that the submission
promised stays; one that is only heard of rises like the other counts.

When a job has ended is the one rule that differs between kinds of jobs: those named in
`ENDS_BY_STATUS` end when their status is terminal, an Image Playground generation by its images
(see `generation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from typing import ClassVar, TypeAlias

import attrs

from piktid_async.errors import InvalidRequestError, PiktidError
from piktid_async.models.jobs import (
    SETTLED,
    TERMINAL,
    JobProgress,
    JobStatus,
    Output,
    OutputKey,
)
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol import codec
from piktid_async.protocol.feed import read_notification
from piktid_async.types import Json, redact_text

ENDS_BY_STATUS = frozenset(
    {"garment_recolor", "create_packshot", "flat_2_model", "identity_creation", "model_swap"}
)
CONVERSATION = "edit_chat"
"""The kind that does not: see `generation`."""
KINDS = ENDS_BY_STATUS | {CONVERSATION}

TrackerKey: TypeAlias = str | tuple[str, int]
"""What notifications are routed by: the job's id, or that and the index of a generation."""

FIRST_VISIBLE_CHECK = 1.0
LONGEST_VISIBLE_CHECK = 30.0


@attrs.frozen
class Patience:
    """Seconds without news after which a job's status is read."""

    first: float = 30.0
    longest: float = 300.0
    """The pause doubles from `first` to this while the status tells nothing new."""

    def after(self, checks: int) -> float:
        """Return the pause after so many fruitless checks."""
        return float(min(self.first * 2 ** min(checks, 16), self.longest))


class _Known:
    """What somebody has looked at."""

    __slots__ = ("looked", "outputs")

    def __init__(self) -> None:
        self.looked = 0
        self.outputs: dict[OutputKey, Output] = {}


class Tracker:
    """The picture of one job."""

    __slots__ = (
        "__weakref__",
        "_known",
        "_promised",
        "check_at",
        "checks",
        "error_message",
        "failure",
        "invisible_until",
        "job_id",
        "kept",
        "kind",
        "processed",
        "status",
        "total",
    )

    asks_results: ClassVar[bool] = False
    """Whether the results, and not the status, tell how the job stands."""

    def __init__(
        self, job_id: str, kind: str, *, total: int | None, status: str, invisible_until: float
    ) -> None:
        self.job_id: str = job_id
        self.kind: str = kind
        self.total: int | None = total
        self._promised = total is not None
        self.status: str = status
        self.processed: int = 0
        self.error_message: str | None = None
        self.failure: PiktidError | None = None
        """Why the job cannot be followed any more; such a job counts as ended."""
        self.invisible_until: float = invisible_until
        """Until when a 404 only means "not yet"."""
        self.check_at: float = 0.0
        self.checks: int = 0
        self.kept: list[bytes | WireNotification] | None = None
        """The notifications taken in, in order of arrival: as texts, where that is how they came.

        Those cost a fifth of what can be read in them, and no collector goes through them.
        """
        self._known: _Known | None = None

    @property
    def key(self) -> TrackerKey:
        """What notifications find this job by."""
        return self.job_id

    @property
    def place(self) -> TrackerKey:
        """The key that it should have by what is known now."""
        return self.key

    def moved(self) -> None:
        """Take the key of its place."""

    def owns(self, output: Output) -> bool:
        """Whether an output of the job's results is of this picture."""
        return output.job_id == self.job_id

    @property
    def ended(self) -> bool:
        """Whether nothing more will change."""
        return self.status in TERMINAL or self.failure is not None

    @property
    def progress(self) -> JobProgress:
        """Outputs done, of how many."""
        return JobProgress(self.processed, self.total)

    @property
    def behind(self) -> bool:
        """Whether more outputs are said to be done than are known."""
        # Counts do not tell versions apart.
        return self.processed > len({key[:2] for key in self._look()})

    def log(self, start: int = 0) -> list[WireNotification]:
        """Read the notifications taken in, from one on."""
        return [_read(each) for each in (self.kept or ())[start:]]

    def counted(self, data: Mapping[str, Json]) -> bool:
        """Take in what a `batch_edit` holds; return whether it is the end."""
        get = data.get
        # Most of them only count on.
        if get("status") == self.status and self._promised and "error_message" not in data:
            processed = get("processed_images")
            if type(processed) is int and processed > self.processed:
                self.processed = processed
            return False
        self._merge(
            get("status"), get("processed_images"), get("total_images"), get("error_message")
        )
        return self.ended

    def notified(self, wire: WireNotification) -> None:
        """Take in one notification."""
        if self.kept is None:
            self.kept = []
        self.kept.append(wire)
        self.checks = 0
        if wire.name == "batch_edit":
            self.counted(wire.data)

    def status_read(self, status: JobStatus, now: float, patience: Patience) -> None:
        """Take in the answer of a status call."""
        self.kind_read(status.job_type)
        before = (self.status, self.processed)
        self._merge(
            status.status, status.processed_images, status.total_images, status.error_message
        )
        self.checked(now, patience, news=before != (self.status, self.processed))

    def kind_read(self, kind: str | None) -> None:
        """Compare the kind with what the service says; each has its own end, and its own images.

        A name that is not known says nothing: the service may have another for the same kind.
        """
        if kind in KINDS and kind != self.kind:
            self.failure = InvalidRequestError(
                "kind",
                f"job {self.job_id} is of kind {kind!r}, not {self.kind!r}: pick it up as that",
            )

    def checked(self, now: float, patience: Patience, *, news: bool) -> None:
        """Set the time of the next check, later each time that one brings no news."""
        self.checks = 0 if news else self.checks + 1
        self.check_at = now + patience.after(self.checks)

    def fail(self, error: PiktidError) -> None:
        """Give the job up: it cannot be followed any more."""
        self.failure = error

    def not_found(self, error: PiktidError, now: float) -> None:
        """Take in a 404: not visible yet, or after a while, lost."""
        if now >= self.invisible_until and not self.ended:
            self.failure = error
        pause = min(FIRST_VISIBLE_CHECK * 2 ** min(self.checks, 16), LONGEST_VISIBLE_CHECK)
        self.check_at = now + min(pause, max(0.0, self.invisible_until - now))
        self.checks += 1

    def results_read(self, status: str, rows: tuple[Output, ...], kind: str | None = None) -> None:
        """Take in the answer of a results call, partial or not."""
        self.kind_read(kind)
        settled = {row.key: row for row in rows if row.status in SETTLED}
        # They say more than the events do, such as the engine, and their links are fresh.
        self._look().update(settled)
        self._merge(status, len(settled), None, None)

    def outputs(self) -> Iterator[Output]:
        """Yield the outputs known so far, each once, in order of arrival."""
        # A copy: the caller may come back for the next one after more has been told.
        yield from tuple(self._look().values())

    def _look(self) -> dict[OutputKey, Output]:
        """Return the settled outputs; an event is read once, when somebody first looks."""
        known = self._known = self._known or _Known()
        fresh = self.log(known.looked)
        known.looked += len(fresh)
        for wire in fresh:
            output = codec.output_from_event(wire) if wire.name == "image_result" else None
            if output is not None and output.status in SETTLED:
                known.outputs.setdefault(output.key, output)
        return known.outputs

    def _merge(self, status: Json, processed: Json, total: Json, error: Json) -> None:
        # Not isinstance: True is no count.
        if type(processed) is int:
            self.processed = max(self.processed, processed)
        if type(total) is int and total > 0 and not self._promised:
            self.total = max(self.total or 0, total)
        if isinstance(error, str) and error:
            self.error_message = redact_text(error)
        if isinstance(status, str) and _rank(status) >= _rank(self.status) and not self.ended:
            # Few words, said of many jobs.
            self.status = intern(status)


def _read(kept: bytes | WireNotification) -> WireNotification:
    return kept if isinstance(kept, WireNotification) else read_notification(kept)


def _rank(status: str) -> int:
    return 2 if status in TERMINAL else 0 if status == "pending" else 1
