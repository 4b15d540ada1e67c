"""What the service allows an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, TypeAlias

import attrs

from piktid_async.errors import ConfigurationError

DOCUMENTED_PER_MINUTE: Mapping[str, int] = {
    "/garment-recolor": 5,
    "/create-packshot": 5,
    "/model-swap": 5,
    "/flat-2-model": 5,
    "/edit-chat": 15,
    "/identity/create": 5,
    "/identity/promote-generated": 5,
}
"""Submissions per minute and endpoint. https://docs.piktid.com/docs/v2/garment-recolor"""


@attrs.frozen
class AccountLimits:
    """Limits that are kept on this side, so that submissions wait instead of being refused."""

    active_jobs: int | None = 5
    """Jobs at once, over the batch services together; None: no limit."""
    per_minute: Mapping[str, int] = attrs.field(factory=lambda: dict(DOCUMENTED_PER_MINUTE))
    """Submissions per window by path; a path that is not listed has no limit."""
    window: float = 60.0
    """Seconds that a window lasts; another value is for tests against a scaled sandbox."""

    def __attrs_post_init__(self) -> None:
        counts = dict(self.per_minute)
        for path in counts:
            # Any other name would match no request, and so limit nothing.
            if not isinstance(path, str) or not path.startswith("/"):
                raise ConfigurationError(f"limits: a path begins with a slash, unlike {path!r}")
        if self.active_jobs is not None:
            counts["active_jobs"] = self.active_jobs
        for name, count in counts.items():
            if type(count) is not int or count < 1:
                raise ConfigurationError(f"limits: {name} must be 1 or more, not {count!r}")
        if type(self.window) not in (int, float) or not self.window > 0:
            raise ConfigurationError(
                f"limits: window must be positive seconds, not {self.window!r}"
            )

    @classmethod
    def unlimited(cls) -> Self:
        """Return limits that hold nothing back, for a sandbox or a contract without limits."""
        return cls(active_jobs=None, per_minute={})


def checked_limits(limits: object) -> AccountLimits:
    """Return what was given if it can be kept."""
    if not isinstance(limits, AccountLimits):
        raise ConfigurationError(f"limits must be AccountLimits(...), not {limits!r}")
    return limits


WaitsFor: TypeAlias = Literal["turn", "window", "slot", "pause"]
"""What holds a submission back: the order of the queue, the endpoint's rate, the active jobs, or
a refusal of the service."""


@attrs.frozen
class WaitingSubmission:
    """One submission in the queue."""

    path: str
    waits_for: WaitsFor
    waited: float
    """Seconds since it queued up."""
    eta: float | None
    """Seconds until it may leave, as far as can be told; None: when some job ends."""


@attrs.frozen
class WindowUse:
    """The rate of one endpoint."""

    path: str
    limit: int | None
    """Submissions a window may hold now: the account's limit, or less after refusals; None: any."""
    used: int
    """Submissions within the window, those under way included; not counted without a limit."""
    opens_in: float | None
    """Seconds until the next may leave; 0: now. None: when an answer comes."""


@attrs.frozen
class LimitsReport:
    """What is waiting for what, and until when."""

    account: AccountLimits
    """The limits in force."""
    windows: tuple[WindowUse, ...]
    jobs: tuple[str, ...]
    """Jobs that hold a slot, oldest first."""
    under_way: int
    """Slots taken by submissions whose answer has not come."""
    in_doubt: int
    """Slots held for jobs of which nobody knows whether they were made."""
    full_for: float
    """Seconds for which jobs of others are taken to fill the account; 0: they are not."""
    seconds_per_job: float | None
    """How long jobs have run lately; None before the first has ended."""
    waiting: tuple[WaitingSubmission, ...]
    """In the order in which they will leave, as far as can be told."""


@attrs.frozen
class Estimate:
    """What requests would cost."""

    jobs: int
    outputs: int
    credits: float
    """Credits of those whose price is known."""
    unpriced: int
    """Requests whose price is not known."""
    seconds: float
    """How long the rate limits alone make the submissions take, from now on."""

    def __float__(self) -> float:
        return self.credits
