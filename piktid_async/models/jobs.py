"""Jobs as the service tells of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import attrs

from piktid_async.errors import ConfigurationError, OutputFailedError, ResponseFormatError
from piktid_async.types import Json, Link, redact_json, redact_url, words

TERMINAL = frozenset({"completed", "failed", "aborted"})
"""Job statuses after which nothing changes; a status that is not known is not terminal."""

SETTLED = frozenset({"completed", "failed"})
"""Statuses after which one image does not change."""

POST_PROCESSING = frozenset({"pending", "queued", "processing", "running", "in_progress"})
"""Post-processing statuses that are not the last; nothing is documented, so all else is."""

OutputKey: TypeAlias = tuple[int, int, int]
"""(image_index, group_index, version): what tells outputs apart. Names may collide."""

Saver: TypeAlias = "Callable[[Output, str | PathLike[str]], Awaitable[Path]]"


def _redacted(value: Mapping[str, Json] | tuple[Json, ...]) -> str:
    """Show the service's own JSON, whose links are signed."""
    return repr(redact_json(dict(value) if isinstance(value, Mapping) else list(value)))


@attrs.frozen(kw_only=True)
class JobTicket:
    """The answer to a submission."""

    job_id: str
    status: str = "pending"
    total_outputs: int | None = None


@attrs.frozen(kw_only=True)
class JobStatus:
    """The answer of `GET /jobs/{id}/status`."""

    job_id: str
    job_type: str | None = None
    status: str
    progress: float | None = None
    """Percent."""
    total_images: int | None = None
    processed_images: int | None = None
    should_post_process: bool | None = None
    post_processing_status: str | None = None
    """Values are not documented; see `JobStatus.post_processing`."""
    post_processing_error: str | None = None
    error_message: str | None = attrs.field(default=None, converter=words)
    project_key: str | None = None
    created_at: str | None = None

    @property
    def post_processing(self) -> bool:
        """Whether a finishing pass is asked for and not over.

        No page names the values; those that say that work is still to be done count, and null
        does where a pass was asked for, until the status says anything else.
        """
        waiting = self.post_processing_status in POST_PROCESSING or (
            self.post_processing_status is None and bool(self.should_post_process)
        )
        return waiting and self.post_processing_error is None


@attrs.frozen
class JobProgress:
    """How many outputs are done."""

    processed: int
    total: int | None

    @property
    def percent(self) -> float | None:
        """0 to 100; None while the total is unknown."""
        return None if not self.total else min(100.0, 100.0 * self.processed / self.total)


@attrs.frozen(kw_only=True)
class Output:
    """One image of a job; check `status`: an output can have failed while its job went well."""

    job_id: str
    image_index: int
    group_index: int
    version: int = 0
    """0 for the first; each regeneration makes the next."""
    status: str
    """completed or failed; pending or processing in partial results."""
    url: str | None = attrs.field(default=None, repr=redact_url)
    thumbnail_url: str | None = attrs.field(default=None, repr=redact_url)
    model_used: str | None = None
    """The engine; the event stream does not tell it, the results do."""
    error_message: str | None = attrs.field(default=None, converter=words)
    original_filename: str | None = None
    image_result_id: int | None = None
    """The service's number of it, which promoting an identity's draft takes; not in events."""
    saver: Link[Saver] = attrs.field(factory=Link, repr=False, eq=False)

    @property
    def key(self) -> OutputKey:
        """What tells this output from the others of its job."""
        return self.image_index, self.group_index, self.version

    async def save(self, path: str | PathLike[str]) -> Path:
        """Write the image to `path`, whole or not at all; an existing file is replaced.

        One GET without a token. Raises `OutputFailedError` when there is no image,
        `DownloadError` when it cannot be fetched or is none. Cancelling leaves nothing behind.
        """
        if self.url is None:
            failure = (self.image_index, self.group_index, self.error_message or self.status)
            raise OutputFailedError(self.job_id, (failure,))
        if self.saver.target is None:
            raise ConfigurationError("this output was copied from another process: use its url")
        return await self.saver.target(self, path)


@attrs.frozen(kw_only=True)
class JobResult:
    """What a job has made."""

    job_id: str
    kind: str
    status: str
    outputs: tuple[Output, ...]
    """The newest version of each that has an image, ordered by image, then group index."""
    summary: Mapping[str, Json] = attrs.field(factory=dict, repr=_redacted)
    credits_used: float | None = None
    error_message: str | None = attrs.field(default=None, converter=words)
    post_processing_status: str | None = None
    attachments: tuple[Json, ...] = attrs.field(default=(), repr=_redacted)
    """Images that were given to a conversation, as the service lists them."""
    identities: tuple[Json, ...] = attrs.field(default=(), repr=_redacted)
    """Identities that were given to a conversation, as the service lists them."""

    unreadable: tuple[str, ...] = ()
    """What is wrong with rows of the answer that could not be read, and are not in `outputs`."""

    @property
    def ok(self) -> tuple[Output, ...]:
        """Outputs with an image."""
        return tuple(output for output in self.outputs if output.status == "completed")

    @property
    def failed(self) -> tuple[Output, ...]:
        """Outputs without."""
        return tuple(output for output in self.outputs if output.status == "failed")

    def raise_for_failures(self) -> None:
        """Raise `OutputFailedError` if any image failed, `ResponseFormatError` if any is unread."""
        if self.failed:
            raise OutputFailedError(
                self.job_id,
                tuple(
                    (each.image_index, each.group_index, each.error_message or "no message")
                    for each in self.failed
                ),
            )
        if self.unreadable:
            raise ResponseFormatError(
                f"GET /jobs/{self.job_id}/results", "; ".join(self.unreadable[:5])
            )


@attrs.frozen(kw_only=True)
class StuckImage:
    """An image that has been in the works for long. Give it up with `fail_stuck_images`."""

    id: int
    job_id: str
    image_index: int
    status: str
    original_filename: str | None = None
    hours_stuck: float | None = None
    job_status: str | None = None
    error_message: str | None = attrs.field(default=None, converter=words)
