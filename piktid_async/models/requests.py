"""What all job requests have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from piktid_async.errors import InvalidRequestError

CREDITS_BY_EDGE = {1024: 3, 2048: 5, 4096: 10}
"""Credits per output, by its edge in pixels.

https://docs.piktid.com/docs/v2/garment-recolor ("Credit cost")
"""


class JobRequest(ABC):
    """A paid job, described and checked, not yet submitted."""

    # Without it the attrs classes below would grow a dict.
    __slots__ = ()

    kind: ClassVar[str]
    """The service's `job_type`."""
    pooled: ClassVar[bool] = True
    """Whether the job takes one of the account's active-job slots."""

    @property
    @abstractmethod
    def total_outputs(self) -> int:
        """Images that the job makes."""

    @property
    @abstractmethod
    def credits(self) -> float | None:
        """Estimated cost in credits; None where the price is unknown."""

    @property
    @abstractmethod
    def project_id(self) -> str | None:
        """The project that the job belongs to."""

    @property
    def conversation_id(self) -> str | None:
        """The conversation that the job continues; None for a job of its own."""
        return None

    @property
    @abstractmethod
    def input_ids(self) -> tuple[str, ...]:
        """File ids of the inputs, in order."""


def checked_request(field: str, given: object) -> JobRequest:
    """Return what was given if it is a job request."""
    if not isinstance(given, JobRequest):
        raise InvalidRequestError(
            field, f"takes a job request such as GarmentRecolor, not {type(given).__name__}"
        )
    return given
