"""One image made anew, and the wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import TypeAlias

from piktid_async.errors import JobTimeoutError, PiktidError
from piktid_async.models.jobs import SETTLED, JobResult, Output
from piktid_async.models.rules import checked_index, checked_seconds
from piktid_async.protocol import endpoints
from piktid_async.protocol.progress import Tracker
from piktid_async.runtime import Runtime

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between readings of the results; an event of the job cuts a pause short."""


FetchResults: TypeAlias = Callable[[], Awaitable[JobResult]]


class Regeneration:
    """A new version on its way; await it, or call `output()`."""

    def __init__(
        self,
        runtime: Runtime,
        tracker: Tracker,
        fetch_results: FetchResults,
        place: tuple[int, int],
        after: int,
    ) -> None:
        self._runtime = runtime
        self._tracker = tracker
        self._fetch_results = fetch_results
        self._place = place
        self._after = after

    def __await__(self) -> Generator[object, None, Output]:
        return self.output().__await__()

    async def output(self, timeout: float | None = None) -> Output:
        """Wait for the new version and return it; it may have failed: see its status.

        `timeout` is in seconds; raises `JobTimeoutError`, after which it can be awaited again.
        """
        limit = asyncio.timeout(checked_seconds("timeout", timeout))
        try:
            async with limit:
                return await self._output()
        except TimeoutError as error:
            if isinstance(error, PiktidError) or not limit.expired():
                raise
            image, group = self._place
            message = f"image {image}.{group} has no new version within {timeout:g} s"
            raise JobTimeoutError(self._tracker.job_id, message) from None

    async def _output(self) -> Output:
        tries = 0
        while True:
            for output in (await self._fetch_results()).outputs:
                new = output.key[:2] == self._place and output.version > self._after
                if new and output.status in SETTLED:
                    return output
            try:
                async with asyncio.timeout(PAUSES[min(tries, len(PAUSES) - 1)]):
                    self._runtime.connect().follow()
                    await self._runtime.waiters.wait(self._tracker, "change")
            except TimeoutError as error:
                if isinstance(error, PiktidError):
                    raise
            tries += 1


async def regenerate(
    runtime: Runtime,
    tracker: Tracker,
    fetch_results: FetchResults,
    *,
    image_index: int,
    group_index: int,
) -> Regeneration:
    """Ask for a new version of one image, having noted the newest there is."""
    checked_index("image_index", image_index)
    checked_index("group_index", group_index)
    place = (image_index, group_index)
    known = (await fetch_results()).outputs
    newest = max((output.version for output in known if output.key[:2] == place), default=-1)
    call = endpoints.regenerate(tracker.job_id, image_index, group_index)
    await runtime.connect().caller.execute(call)
    return Regeneration(runtime, tracker, fetch_results, place, newest)


def newest(known: tuple[Output, ...], told: tuple[Output, ...]) -> tuple[Output, ...]:
    """Return the known outputs, each with its newest version that is told of and has an image."""
    better = {output.key[:2]: output for output in told if output.status == "completed"}
    return tuple(_better(output, better.get(output.key[:2])) for output in known)


def _better(known: Output, told: Output | None) -> Output:
    if told is None or (told.version <= known.version and known.status in SETTLED):
        return known
    return told
