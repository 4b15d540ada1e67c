"""Tasks that wait for news of a job: a future each, made only while somebody waits."""

from __future__ import annotations

import asyncio
from typing import Literal, TypeAlias

from piktid_async.protocol.progress import Tracker

News: TypeAlias = Literal["change", "end"]


class Waiters:
    """Wake those who wait for a job's next change, or for its end."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Tracker, list[asyncio.Future[None]]]] = {
            "change": {},
            "end": {},
        }

    async def wait(self, tracker: Tracker, news: News) -> None:
        """Return at the next change, or at the end; cancelling one waiter disturbs no other."""
        if tracker.ended and news == "end":
            return
        waiting = self._waiting[news]
        # Each waiter has its own future: a cancelled wait cancels the future it waits on.
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.setdefault(tracker, []).append(future)
        try:
            await future
        finally:
            left = waiting.get(tracker)
            if left is not None and future in left:
                left.remove(future)
                if not left:
                    del waiting[tracker]

    def wake(self, tracker: Tracker) -> None:
        """Something new is known of the job."""
        if self._waiting["change"]:
            self._finish(self._waiting["change"].pop(tracker, ()), None)
        if tracker.ended:
            self._finish(self._waiting["end"].pop(tracker, ()), None)

    def fail(self, tracker: Tracker, error: Exception) -> None:
        """Make all who wait for the job raise; the job itself may go on."""
        for waiting in self._waiting.values():
            self._finish(waiting.pop(tracker, ()), error)

    def fail_all(self, error: Exception) -> None:
        """Make everybody raise."""
        for waiting in self._waiting.values():
            for tracker in list(waiting):
                self._finish(waiting.pop(tracker), error)

    def forget(self) -> None:
        """Drop all who wait, without a word: their loop is gone, and would not hear it."""
        for waiting in self._waiting.values():
            waiting.clear()

    def _finish(
        self, futures: list[asyncio.Future[None]] | tuple[()], error: Exception | None
    ) -> None:
        for future in futures:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
