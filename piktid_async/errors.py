"""Everything that can go wrong, as facts; the sentence is derived from them.

An error says what failed (`summary`), what to do about it (`advice`), and whether the same call
may be made again (`retryable`); its text is the first two. All of them pickle and copy, with their
notes, and with their cause where that is one of these or of the operating system's.

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
    │   ├── GenerationUnknownError
    │   └── JobTimeoutError           TimeoutError
    ├── OutputFailedError
    ├── IdentityError
    │   ├── IdentityFailedError       its preparation failed
    │   └── IdentityTimeoutError      TimeoutError
    └── WebhookSignatureError
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs

from piktid_async.types import Json, Link, redact_json

if TYPE_CHECKING:
    from piktid_async.jobs import Job
    from piktid_async.models.images import Source, UploadedFile
    from piktid_async.models.jobs import JobResult
    from piktid_async.models.requests import JobRequest
    from piktid_async.protocol.sse import ServerSentEvent
    from piktid_async.vtryon.models import Recolor


def _state(error: BaseException) -> dict[str, Any]:
    """Return what an error takes along when it is pickled or copied."""
    cause = error.__cause__
    # Anybody else's may not pickle, or hold anything.
    of_the_system = isinstance(cause, OSError) and type(cause).__module__ == "builtins"
    kept = of_the_system or isinstance(cause, PiktidError)
    return vars(error) | ({"__cause__": cause} if kept else {})


class PiktidError(Exception):
    """Base of every error that this package raises on purpose."""

    retryable: bool = False
    """Whether the same call may be made again: nothing is paid or stored twice, and it may help.

    A fact of the instance: a connection that broke is no reason not to read again, and every
    reason not to submit again.
    """
    _advice: ClassVar[str] = ""

    @property
    def summary(self) -> str:
        """What failed, on which call, in whose words."""
        return super().__str__()

    @property
    def advice(self) -> str:
        """What can be done about it; empty where the summary says so already."""
        return self._advice

    def __str__(self) -> str:
        return f"{self.summary.rstrip('.')}; {self.advice}" if self.advice else self.summary

    def __reduce__(self) -> tuple[Any, ...]:
        # Python drops the cause of what is pickled, and with it what really happened.
        reduced = super().__reduce__()
        assert isinstance(reduced, tuple)
        return *reduced[:2], _state(self)


@attrs.define(slots=False, eq=False)
class ConfigurationError(PiktidError):
    """The session cannot be built or used like this."""

    message: str

    @property
    def summary(self) -> str:
        """What is wrong."""
        return self.message


@attrs.define(slots=False, eq=False)
class InvalidRequestError(PiktidError, ValueError):
    """A rule of the documentation is broken; nothing was sent."""

    field: str
    rule: str

    @property
    def summary(self) -> str:
        """The field, and the rule that it breaks."""
        return f"{self.field}: {self.rule}"


class SessionClosedError(PiktidError):
    """The session was closed."""

    _advice = "open a new one, or use it inside `async with`"

    @property
    def summary(self) -> str:
        """That it is closed."""
        return "the session is closed"


_LOOK_FIRST = "the server may have acted all the same: look before you try again"
_LINK_EXPIRED = "the link has expired or is for another file: ask for a fresh one"


@attrs.define(slots=False, eq=False)
class ConnectionFailedError(PiktidError):
    """No answer, or not a whole one.

    Retryable unless the request left and was one that does something: submitting a job.
    """

    retryable = True
    call: str
    reason: str
    sent: bool = True
    """False when it is certain that no byte of the request left."""

    @property
    def summary(self) -> str:
        """The call, and how it broke."""
        return f"{self.call}: {self.reason}"

    @property
    def advice(self) -> str:
        """Whether to try again or to look first."""
        if self.retryable:
            return "check the network, then try again"
        return _LOOK_FIRST if self.sent else ""


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
    body: Json = attrs.field(default=None, repr=False, converter=redact_json)
    """The parsed body, where it was JSON, without the queries of the URLs in it."""

    @property
    def summary(self) -> str:
        """The status, the call, and the server's words."""
        return f"{self.status} on {self.call}: {self.message or 'no message'}"

    @property
    def _of_storage(self) -> bool:
        """Whether it was a signed URL that was called, which errors never name."""
        return "<" in self.call


class BadRequestError(StatusError):
    """400 or 422: the request is not acceptable as it is."""

    _advice = "change the request, the same one would be refused again"


class AuthenticationError(StatusError):
    """401: the token is missing, wrong or expired."""

    _advice = "check the token or key, or make a new one"


class InsufficientCreditsError(StatusError):
    """402: the account cannot pay for this job."""

    _advice = "top up, or ask for fewer or smaller outputs"

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

    @property
    def summary(self) -> str:
        """The status, the call, the server's words, and the sums."""
        facts = {
            "needs": self.required_credits,
            "reserved": self.in_progress_credits,
            "left": self.user_credits,
        }
        known = [f"{word} {number:g}" for word, number in facts.items() if number is not None]
        return super().summary + (f" ({', '.join(known)})" if known else "")


class PermissionDeniedError(StatusError):
    """403: the plan or the account does not allow it; of storage, the signed URL is no good."""

    @property
    def advice(self) -> str:
        """Whose permission it takes."""
        return _LINK_EXPIRED if self._of_storage else "the plan or the account does not allow it"


class NotFoundError(StatusError):
    """404: no such thing, or not on this account."""

    @property
    def advice(self) -> str:
        """Where to look."""
        return _LINK_EXPIRED if self._of_storage else "check the id, and whose account it is on"


class ConflictError(StatusError):
    """409: it exists already, or is busy."""

    _advice = "look at what is there before you try again"

    @property
    def identity_code(self) -> str | None:
        """The identity that is there, where the answer names it."""
        body = self.body if isinstance(self.body, dict) else {}
        found = body.get("existing_identity_code") or body.get("identity_code")
        return found if isinstance(found, str) else None


class RateLimitError(StatusError):
    """429: too many requests. Refused, so nothing was done: retryable, whatever it was."""

    retryable = True

    @property
    def advice(self) -> str:
        """How long to wait."""
        wait = "a minute" if self.retry_after is None else f"{self.retry_after:g} s"
        return f"wait {wait}, then try again"


class ActiveJobLimitError(RateLimitError):
    """429: too many jobs are active at once; a slot frees when one ends."""

    @property
    def advice(self) -> str:
        """What to wait for."""
        return "wait until a job has ended, then try again"


class IdentityLimitError(RateLimitError):
    """429: no identity slot is left; waiting does not help."""

    retryable = False

    @property
    def advice(self) -> str:
        """What frees a slot."""
        return "waiting does not help: remove an identity, or change the plan"


class ServerError(StatusError):
    """5xx. Retryable unless the request was one that does something: submitting a job."""

    retryable = True

    @property
    def advice(self) -> str:
        """Whether to try again or to look first."""
        return "try again later" if self.retryable else _LOOK_FIRST


@attrs.define(slots=False, eq=False)
class ResponseFormatError(PiktidError):
    """An answer or event is not what the documentation says, or larger than any bound."""

    _advice = "check base_url and what stands between, or look for a newer version of this package"
    call: str
    reason: str

    @property
    def summary(self) -> str:
        """The call, and what is odd about its answer."""
        return f"{self.call}: unexpected answer: {self.reason}"


@attrs.define(slots=False, eq=False)
class EventTooLargeError(ResponseFormatError):
    """An event passed the decoder's bound and was left out; the decoder goes on behind it."""

    events: tuple[bytes | ServerSentEvent, ...] = attrs.field(default=(), repr=False)
    """The events of the same chunk that were within the bound."""


@attrs.define(slots=False, eq=False)
class UploadError(PiktidError):
    """One source did not arrive."""

    source: str
    """The path, or a short description of the source."""
    reason: str
    retryable: bool = attrs.field(default=False, repr=False)
    """True where the way broke, False where the source itself is no good."""

    @property
    def summary(self) -> str:
        """The source, and what stopped it."""
        return f"upload of {self.source}: {self.reason}"

    @property
    def advice(self) -> str:
        """Whether to send it again."""
        return "upload it again" if self.retryable else ""


class UploadGroupError(PiktidError, ExceptionGroup[PiktidError]):
    """Some sources did not arrive."""

    _advice = "`.uploaded` holds what arrived: upload only the rest again"
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
        group.__setstate__(_state(self))
        return group

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, object]]:
        # Open files and live streams cannot cross a process; their description can.
        kept = {
            key if isinstance(key, str | bytes | Path) else repr(key): file
            for key, file in self.uploaded.items()
        }
        rest = {key: value for key, value in _state(self).items() if key != "uploaded"}
        return type(self), (self.message, list(self.exceptions), kept), rest


@attrs.define(slots=False, eq=False)
class DownloadError(PiktidError):
    """A result could not be brought to disk; nothing half-written is left."""

    target: str
    reason: str
    saved: tuple[Path, ...] = ()
    """Files of the same call that are complete."""
    retryable: bool = attrs.field(default=False, repr=False)
    """True where the way broke or the link expired, False where the file itself is no good."""

    @property
    def summary(self) -> str:
        """The file, and what stopped it."""
        return f"download of {self.target}: {self.reason}"

    @property
    def advice(self) -> str:
        """Whether to fetch it again."""
        return "download it again" if self.retryable else ""


@attrs.define(slots=False, eq=False)
class SubmissionUnknownError(PiktidError):
    """It is not known whether the server took the job: look before you submit again."""

    _advice = (
        "do not submit again before `await error.reconcile()` has looked for it, some minutes "
        "later once more: it may not be listed at once. Then `error.dismiss()`"
    )
    request: JobRequest | Recolor
    reason: str
    reconciler: Link[Callable[[], Awaitable[Job | None]]] = attrs.field(factory=Link, repr=False)
    dismisser: Link[Callable[[], None]] = attrs.field(factory=Link, repr=False)

    async def reconcile(self) -> Job | None:
        """Look for the job: `Job` when exactly one fits, `None` when none does (yet).

        Costs one gallery request, and one status request per unknown job. `None` soon after
        the attempt proves nothing, since a job may be invisible for a while after its 202.
        Raises `PiktidError` when several fit, when the request leaves no mark to look for, or
        when the session is not at hand (an error that was pickled).
        """
        if self.reconciler.target is None:
            raise ConfigurationError(
                "this error has crossed a process and lost its session: look for the job "
                "in the gallery, or call reconcile() where it was raised"
            )
        return await self.reconciler.target()

    def dismiss(self) -> None:
        """Take the job not to exist, after you have looked: sends nothing.

        It leaves `session.in_doubt`, and its slot and its credits are free again. Of an error
        that was pickled nothing is left to dismiss.
        """
        if self.dismisser.target is not None:
            self.dismisser.target()

    @property
    def summary(self) -> str:
        """What broke, and what is not known since."""
        return f"{self.reason}; it is unknown whether the job exists"


@attrs.define(slots=False, eq=False)
class BudgetExceededError(PiktidError):
    """The estimate would pass the budget; nothing was sent."""

    _advice = "raise max_credits or ask for fewer outputs"
    estimate: float
    """Credits of this request."""
    spent: float
    """Credits of the requests before it."""
    max_credits: float

    @property
    def summary(self) -> str:
        """The sums."""
        return (
            f"{self.estimate:g} credits on top of {self.spent:g} pass the budget of "
            f"{self.max_credits:g}"
        )


@attrs.define(slots=False, eq=False)
class JobError(PiktidError):
    """A job did not end well, or not in time."""

    job_id: str
    message: str = ""
    result: JobResult | None = attrs.field(default=None, repr=False)
    """What there is of the result."""

    @property
    def summary(self) -> str:
        """The job, and how it ended."""
        return f"job {self.job_id}: {self.message or 'no message'}"


class JobFailedError(JobError):
    """The service gave the job up."""

    _advice = "`.result` holds what was made; a new submission costs credits again"


class JobAbortedError(JobError):
    """The job was stopped before its end."""

    _advice = "`.result` holds what was made; a new submission costs credits again"


class GenerationUnknownError(JobError):
    """Which generation of a conversation is this job's cannot be told: another program adds, too.

    The service's answers do not name it. The job was taken, and its images are in the
    conversation, beside the other program's.
    """

    _advice = (
        "continue a conversation in one program at a time; `await job.fetch_results()` reads "
        "the images"
    )


class JobTimeoutError(JobError, TimeoutError):
    """The wait was over before the job; it goes on and can be awaited again."""

    retryable = True


@attrs.define(slots=False, eq=False)
class OutputFailedError(PiktidError):
    """Images of a job failed."""

    _advice = "`job.regenerate` makes an image anew; the others are there"
    job_id: str
    failures: tuple[tuple[int, int, str], ...]
    """(image_index, group_index, the service's words) of each."""

    @property
    def summary(self) -> str:
        """The images, and the service's words on each."""
        parts = (f"image {i}.{g}: {words}" for i, g, words in self.failures)
        return f"job {self.job_id}: " + "; ".join(parts)


@attrs.define(slots=False, eq=False)
class IdentityError(PiktidError):
    """An identity is not ready, or will never be."""

    identity_code: str
    message: str = ""

    @property
    def summary(self) -> str:
        """The identity, and what is the matter with it."""
        return f"identity {self.identity_code}: {self.message or 'no message'}"


class IdentityFailedError(IdentityError):
    """Its preparation failed."""

    _advice = "upload another picture of the person"


class IdentityTimeoutError(IdentityError, TimeoutError):
    """The wait was over before the preparation; it goes on and can be awaited again."""

    retryable = True


@attrs.define(slots=False, eq=False)
class WebhookSignatureError(PiktidError):
    """A webhook body is not signed with any of the secrets given."""

    _advice = "answer 401, and trust nothing in it"
    reason: str

    @property
    def summary(self) -> str:
        """What does not fit."""
        return self.reason


def once_submitted(error: PiktidError, job_id: str) -> PiktidError:
    """Return the error of a wait for one that was submitted by the same call.

    The wait could be made again; the call would pay again.
    """
    if not error.retryable:
        return error
    fresh = copy.copy(error)
    fresh.retryable = False
    fresh.add_note(f"The job {job_id} was made: pick it up with session.job({job_id!r}, kind=...)")
    fresh.__cause__ = error.__cause__
    return fresh


def describe_group(errors: Iterable[PiktidError]) -> str:
    """Return the first sentence, and how many more there are."""
    first, *rest = list(errors)
    return first.summary + (f" (and {len(rest)} more)" if rest else "")
