"""What the two galleries let through: the filters are of images, whoever lists them."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from aiohttp import web

from piktid_async.sandbox.paging import query_choice, query_list
from piktid_async.sandbox.state import Job, Output


@attrs.frozen
class Shown:
    """Which images are asked for."""

    statuses: set[str] | None
    feedback: set[str] | None
    ownership: str | None

    @classmethod
    def asked_for(cls, request: web.Request) -> Shown:
        """Read the query, or raise the 400 that it deserves."""
        query_choice(request, "sort_by", ("original_filename", "quality_score"))
        return cls(
            query_list(request, "status"),
            query_list(request, "feedback"),
            query_choice(request, "ownership", ("mine", "shared")),
        )

    @property
    def all(self) -> bool:
        """Whether nothing is filtered out."""
        return self.statuses is None and self.feedback is None and self.ownership != "shared"

    def of(self, jobs: Iterable[Job]) -> list[Output]:
        """List the images of these jobs; nobody shares with the sandbox, or has given feedback."""
        if self.ownership == "shared" or self.feedback is not None:
            return []
        return [
            output
            for job in jobs
            for output in job.outputs
            if self.statuses is None or output.status in self.statuses
        ]
