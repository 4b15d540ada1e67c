"""What `Session(on_event=...)` is told: one small frozen record for each thing that happened.

No record holds a token, a query or a body. Times are seconds, and each record is told at the end
of what it is about.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

import attrs

from piktid_async.types import NoteId


@attrs.frozen(kw_only=True)
class RequestAttempt:
    """One request on the wire, as it ended: an answer, or the type of an error.

    A token that was refused and renewed belongs to the attempt that it was needed for. Of the
    event stream, the attempt ends when it is open; of a download, with its last byte.
    """

    topic: ClassVar[str] = "requests"

    method: str
    path: str
    """Without a query; of a file, `<signed URL>` or `<result URL>`."""
    route: str
    """The path with `{id}` in place of what names one thing: few values, for metrics."""
    host: str
    """Where it went; a port other than the scheme's own is part of it."""
    attempt: int
    """1 for the first, more when it is sent again."""
    status: int | None
    """Of the answer; None: there was none."""
    error: str | None
    """Name of the error's class, when there was no whole answer."""
    seconds: float

    def __str__(self) -> str:
        again = f", attempt {self.attempt}" if self.attempt > 1 else ""
        outcome = self.error or self.status
        return f"{self.method} {self.path}: {outcome} in {self.seconds:.3f} s{again}"


@attrs.frozen(kw_only=True)
class TurnWait:
    """A submission has waited for its turn under the account's limits, and goes now."""

    topic: ClassVar[str] = "limits"

    path: str
    seconds: float
    reason: Literal["limits", "refused"]
    """Its place in the queue, or the service's 429 after which it queued again."""

    def __str__(self) -> str:
        return f"{self.path} waited {self.seconds:.3f} s for its turn ({self.reason})"


@attrs.frozen(kw_only=True)
class StreamReconnect:
    """The event stream is down, and will be opened again."""

    topic: ClassVar[str] = "stream"

    attempt: int
    """How often in a row it has failed."""
    delay: float
    """Seconds until it is opened."""
    reason: str

    def __str__(self) -> str:
        return f"the stream is opened again in {self.delay:.2f} s ({self.reason})"


@attrs.frozen(kw_only=True)
class Backfill:
    """The stream was opened, and the service has replayed what nobody had acknowledged."""

    topic: ClassVar[str] = "stream"

    notifications: int

    def __str__(self) -> str:
        return f"{self.notifications} notifications were replayed"


@attrs.frozen(kw_only=True)
class Acknowledgement:
    """A notification is deleted at the service, or was given up."""

    topic: ClassVar[str] = "acks"

    notification_id: NoteId
    attempts: int
    seconds: float
    """Since it was queued."""
    error: str | None
    """Why it was given up, as the name of the error's class; None: it is deleted."""

    def __str__(self) -> str:
        outcome = self.error or "acknowledged"
        times = f"{self.attempts} attempts" if self.attempts > 1 else "1 attempt"
        return f"notification {self.notification_id}: {outcome}, {times}, {self.seconds:.3f} s"


@attrs.frozen(kw_only=True)
class UploadFinished:
    """A file has arrived."""

    topic: ClassVar[str] = "files"

    file_id: str
    size: int
    """Bytes."""
    seconds: float
    """With all its requests and repeats; without the wait for a free place."""

    def __str__(self) -> str:
        return f"uploaded {self.file_id}: {self.size} bytes in {self.seconds:.3f} s"


@attrs.frozen(kw_only=True)
class DownloadFinished:
    """A file is on the disk, under a hidden name until it gets its own."""

    topic: ClassVar[str] = "files"

    label: str
    """What it is: an output of which job, a ZIP."""
    size: int
    """Bytes."""
    seconds: float
    """With all its repeats, and the wait for a free place."""

    def __str__(self) -> str:
        return f"downloaded {self.label}: {self.size} bytes in {self.seconds:.3f} s"


@attrs.frozen(kw_only=True)
class JobSubmitted:
    """The service has taken a job."""

    topic: ClassVar[str] = "jobs"

    kind: str
    job_id: str
    credits: float | None
    """As estimated; None: the price is not known."""

    def __str__(self) -> str:
        price = "unknown" if self.credits is None else f"{self.credits:g}"
        return f"{self.kind} job {self.job_id} submitted, credits estimated: {price}"


@attrs.frozen(kw_only=True)
class JobEnded:
    """A job that this session follows has ended, or cannot be followed any more."""

    topic: ClassVar[str] = "jobs"

    kind: str
    job_id: str
    status: str
    seconds: float
    """Since this session has followed it."""
    error: str | None
    """Why it cannot be followed, as the name of the error's class."""

    def __str__(self) -> str:
        return f"{self.kind} job {self.job_id}: {self.error or self.status}, {self.seconds:.1f} s"


@attrs.frozen(kw_only=True)
class JobCharged:
    """The results of an ended job were read, which tell what it has cost; once for each job."""

    topic: ClassVar[str] = "jobs"

    kind: str
    job_id: str
    credits: float | None
    """As the service tells; None: it does not."""
    completed: int
    """Images."""
    failed: int

    def __str__(self) -> str:
        price = "unknown" if self.credits is None else f"{self.credits:g}"
        return (
            f"{self.kind} job {self.job_id} made {self.completed} images, {self.failed} failed, "
            f"credits used: {price}"
        )


Event: TypeAlias = (
    RequestAttempt
    | TurnWait
    | StreamReconnect
    | Backfill
    | Acknowledgement
    | UploadFinished
    | DownloadFinished
    | JobSubmitted
    | JobEnded
    | JobCharged
)

OnEvent: TypeAlias = Callable[[Event], object]
