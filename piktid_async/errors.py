"""Everything that can go wrong, as facts; the sentence is derived from them.

::

    PiktidError
    ├── ConfigurationError            the session cannot be built so
    ├── InvalidRequestError           ValueError: a rule of the documentation is broken
    ├── SessionClosedError
    ├── ConnectionFailedError         no (whole) answer; .sent says whether the request left
    │   └── RequestTimeoutError       TimeoutError
    ├── StatusError                   the server answered, and the answer was no
    │   ├── BadRequestError           400, 422
    │   ├── AuthenticationError       401
    │   ├── InsufficientCreditsError  402
    │   ├── PermissionDeniedError     403
    │   ├── NotFoundError             404
    │   ├── ConflictError             409
    │   ├── RateLimitError            429
    │   │   ├── ActiveJobLimitError   too many jobs at once
    │   │   └── IdentityLimitError    no free identity slot; waiting does not help
    │   └── ServerError               5xx
    ├── ResponseFormatError           the answer is not what the documentation says
    │   └── EventTooLargeError        an event of the stream is longer than its bound
    ├── UploadError
    ├── UploadGroupError              ExceptionGroup of UploadError; .uploaded has the rest
    ├── DownloadError
    ├── SubmissionUnknownError        it is not known whether the job exists
    ├── BudgetExceededError
    ├── JobError
    │   ├── JobFailedError
    │   ├── JobAbortedError
    │   └── JobTimeoutError           TimeoutError
    ├── OutputFailedError
    ├── IdentityError
    │   ├── IdentityFailedError       its preparation failed
    │   └── IdentityTimeoutError      TimeoutError
    └── WebhookSignatureError
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs

from piktid_async.types import Json, Link

if TYPE_CHECKING:
    from piktid_async.jobs import Job
    from piktid_async.models.images import Source, UploadedFile
    from piktid_async.models.jobs import JobResult
    from piktid_async.models.requests import JobRequest
    from piktid_async.protocol.sse import ServerSentEvent
    from piktid_async.vtryon.models import Recolor


class PiktidError(Exception):
    """Base of every error that this package raises on purpose."""

    retryable: ClassVar[bool] = False
    """Whether the same call may be made again without paying or storing anything twice."""


@attrs.define(slots=False, eq=False)
class ConfigurationError(PiktidError):
    """The session cannot be built or used like this."""

    message: str

    def __str__(self) -> str:
        return self.message


@attrs.define(slots=False, eq=False)
class InvalidRequestError(PiktidError, ValueError):
    """A rule of the documentation is broken; nothing was sent."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class SessionClosedError(PiktidError):
    """The session was closed."""

    def __str__(self) -> str:
        return "the session is closed; open a new one, or use it inside `async with`"


@attrs.define(slots=False, eq=False)
class ConnectionFailedError(PiktidError):
    """No answer, or not a whole one."""

    retryable: ClassVar[bool] = True
    call: str
    reason: str
    sent: bool = True
    """False when it is certain that no byte of the request left."""

    def __str__(self) -> str:
        return f"{self.call}: {self.reason}"


@attrs.define(slots=False, eq=False)
class RequestTimeoutError(ConnectionFailedError, TimeoutError):
    """The time ran out before the whole answer had come."""


@attrs.define(slots=False, eq=False)
class StatusError(PiktidError):
    """The server answered, and the answer was no."""

    status: int
    call: str
    message: str = ""
    retry_after: float | None = None
    """Seconds that the server asks to wait."""
    body: Json = attrs.field(default=None, repr=False)
    """The parsed body, where it was JSON."""

    def __str__(self) -> str:
        return f"{self.status} on {self.call}: {self.message or 'no message'}"


class BadRequestError(StatusError):
    """400 or 422: the request is not acceptable as it is."""


class AuthenticationError(StatusError):
    """401: the token is missing, wrong or expired. Make a new one on the profile page."""


class InsufficientCreditsError(StatusError):
    """402: the account cannot pay for this job."""

    @property
    def required_credits(self) -> float | None:
        """Credits that the job would cost."""
        return self._number("required_credits")

    @property
    def in_progress_credits(self) -> float | None:
        """Credits that running jobs have reserved."""
        return self._number("in_progress_credits")

    @property
    def user_credits(self) -> float | None:
        """Credits left on the account."""
        return self._number("user_credits")

    def _number(self, key: str) -> float | None:
        value = self.body.get(key) if isinstance(self.body, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value)

    def __str__(self) -> str:
        facts = {
            "needs": self.required_credits,
            "reserved": self.in_progress_credits,
            "left": self.user_credits,
        }
        known = [f"{word} {number:g}" for word, number in facts.items() if number is not None]
        return super().__str__() + (f" ({', '.join(known)})" if known else "")


class PermissionDeniedError(StatusError):
    """403: the plan or the account does not allow it."""


class NotFoundError(StatusError):
    """404."""


class ConflictError(StatusError):
    """409: it exists already."""

    @property
    def identity_code(self) -> str | None:
        """The identity that is there, where the answer names it."""
        body = self.body if isinstance(self.body, dict) else {}
        found = body.get("existing_identity_code") or body.get("identity_code")
        return found if isinstance(found, str) else None


class RateLimitError(StatusError):
    """429: too many requests."""

    retryable: ClassVar[bool] = True


class ActiveJobLimitError(RateLimitError):
    """429: too many jobs are active at once; a slot frees when one ends."""


class IdentityLimitError(RateLimitError):
    """429: no identity slot is left; waiting does not help."""

    retryable: ClassVar[bool] = False


class ServerError(StatusError):
    """5xx."""

    retryable: ClassVar[bool] = True


@attrs.define(slots=False, eq=False)
class ResponseFormatError(PiktidError):
    """An answer or event is not what the documentation says."""

    call: str
    reason: str

    def __str__(self) -> str:
        return f"{self.call}: unexpected answer: {self.reason}"


@attrs.define(slots=False, eq=False)
class EventTooLargeError(ResponseFormatError):
    """An event passed the decoder's bound and was left out; the decoder goes on behind it."""

    events: tuple[ServerSentEvent, ...] = attrs.field(default=(), repr=False)
    """The events of the same chunk that were within the bound."""


@attrs.define(slots=False, eq=False)
class UploadError(PiktidError):
    """One source did not arrive."""

    retryable: ClassVar[bool] = True
    source: str
    """The path, or a short description of the source."""
    reason: str

    def __str__(self) -> str:
        return f"upload of {self.source}: {self.reason}"


class UploadGroupError(PiktidError, ExceptionGroup[PiktidError]):
    """Some sources did not arrive."""

    uploaded: Mapping[Source, UploadedFile]
    """Those that did, by source."""

    def __new__(
        cls,
        message: str,
        exceptions: Sequence[PiktidError],
        uploaded: Mapping[Source, UploadedFile] | None = None,
    ) -> Self:
        group = super().__new__(cls, message, exceptions)
        group.uploaded = dict(uploaded or {})
        return group

    # BaseExceptionGroup.__init__ takes no third argument.
    def __init__(self, message: str, exceptions: Sequence[PiktidError], *_: object) -> None:
        super().__init__(message, exceptions)

    def derive(self, excs: Sequence[Any], /) -> UploadGroupError:  # type: ignore[override]
        """Keep `.uploaded` on the parts that `split` and `except*` make."""
        return UploadGroupError(self.message, excs, self.uploaded)

    def __copy__(self) -> UploadGroupError:
        group = self.derive(list(self.exceptions))
        vars(group).update(vars(self))
        return group

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, object]]:
        # Open files and live streams cannot cross a process; their description can.
        kept = {
            key if isinstance(key, str | bytes | Path) else repr(key): file
            for key, file in self.uploaded.items()
        }
        rest = {key: value for key, value in vars(self).items() if key != "uploaded"}
        return type(self), (self.message, list(self.exceptions), kept), rest


@attrs.define(slots=False, eq=False)
class DownloadError(PiktidError):
    """A result could not be brought to disk; nothing half-written is left."""

    retryable: ClassVar[bool] = True
    target: str
    reason: str
    saved: tuple[Path, ...] = ()
    """Files of the same call that are complete."""

    def __str__(self) -> str:
        return f"download of {self.target}: {self.reason}"


@attrs.define(slots=False, eq=False)
class SubmissionUnknownError(PiktidError):
    """It is not known whether the server took the job: look before you submit again."""

    request: JobRequest | Recolor
    reason: str
    reconciler: Link[Callable[[], Awaitable[Job | None]]] = attrs.field(factory=Link, repr=False)

    async def reconcile(self) -> Job | None:
        """Look for the job: `Job` when exactly one fits, `None` when none does (yet).

        Costs one gallery request, and one status request per unknown job. `None` soon after
        the attempt proves nothing, since a job may be invisible for a while after its 202.
        Raises `PiktidError` when several fit, or when the session is not at hand (an error
        that was pickled).
        """
        if self.reconciler.target is None:
            raise ConfigurationError(
                "this error has crossed a process and lost its session: look for the job "
                "in the gallery, or call reconcile() where it was raised"
            )
        return await self.reconciler.target()

    def __str__(self) -> str:
        return (
            f"{self.reason}; it is unknown whether the job exists. Do not submit again before "
            "`await error.reconcile()` has looked for it"
        )


@attrs.define(slots=False, eq=False)
class BudgetExceededError(PiktidError):
    """The estimate would pass the budget; nothing was sent."""

    estimate: float
    """Credits of this request."""
    spent: float
    """Credits of the requests before it."""
    max_credits: float

    def __str__(self) -> str:
        return (
            f"{self.estimate:g} credits on top of {self.spent:g} pass the budget of "
            f"{self.max_credits:g}: raise max_credits or ask for fewer outputs"
        )


@attrs.define(slots=False, eq=False)
class JobError(PiktidError):
    """A job did not end well, or not in time."""

    job_id: str
    message: str = ""
    result: JobResult | None = attrs.field(default=None, repr=False)
    """What there is of the result."""

    def __str__(self) -> str:
        return f"job {self.job_id}: {self.message or 'no message'}"


class JobFailedError(JobError):
    """The service gave the job up."""


class JobAbortedError(JobError):
    """The job was stopped before its end."""


class JobTimeoutError(JobError, TimeoutError):
    """The wait was over before the job; it goes on and can be awaited again."""

    retryable: ClassVar[bool] = True


@attrs.define(slots=False, eq=False)
class OutputFailedError(PiktidError):
    """Images of a job failed."""

    job_id: str
    failures: tuple[tuple[int, int, str], ...]
    """(image_index, group_index, the service's words) of each."""

    def __str__(self) -> str:
        parts = (f"image {i}.{g}: {words}" for i, g, words in self.failures)
        return f"job {self.job_id}: " + "; ".join(parts)


@attrs.define(slots=False, eq=False)
class IdentityError(PiktidError):
    """An identity is not ready, or will never be."""

    identity_code: str
    message: str = ""

    def __str__(self) -> str:
        return f"identity {self.identity_code}: {self.message or 'no message'}"


class IdentityFailedError(IdentityError):
    """Its preparation failed."""


class IdentityTimeoutError(IdentityError, TimeoutError):
    """The wait was over before the preparation; it goes on and can be awaited again."""

    retryable: ClassVar[bool] = True


@attrs.define(slots=False, eq=False)
class WebhookSignatureError(PiktidError):
    """A webhook body is not signed with any of the secrets given."""

    reason: str

    def __str__(self) -> str:
        return self.reason


def describe_group(errors: Iterable[PiktidError]) -> str:
    """Return the first sentence, and how many more there are."""
    first, *rest = list(errors)
    return f"{first}" + (f" (and {len(rest)} more)" if rest else "")
