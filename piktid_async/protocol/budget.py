"""A bound on the credits that one session may ask for."""

from __future__ import annotations

from piktid_async.errors import BudgetExceededError, ConfigurationError, InvalidRequestError


class Budget:
    """Add up estimates, and stop before the bound is passed."""

    def __init__(self, max_credits: float | None) -> None:
        known = type(max_credits) in (int, float)
        if max_credits is not None and not (known and max_credits >= 0):
            raise ConfigurationError(f"max_credits must be 0 or more, not {max_credits!r}")
        self._max = max_credits
        self.spent: float = 0.0

    def reserve(self, estimate: float | None) -> None:
        """Take credits for one submission; raise `BudgetExceededError` if they do not fit."""
        if self._max is None:
            return
        if estimate is None:
            raise InvalidRequestError(
                "request",
                "its price is not known, so max_credits cannot be kept: submit it "
                "from a session without a budget",
            )
        if self.spent + estimate > self._max:
            raise BudgetExceededError(estimate, self.spent, self._max)
        self.spent += estimate

    def release(self, estimate: float | None) -> None:
        """Give back the credits of a submission that certainly made no job."""
        if self._max is not None:
            self.spent -= estimate or 0.0
