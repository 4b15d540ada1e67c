"""What the service allows an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

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
