"""Tasks that wait for news of a job: a future each, made only while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal, TypeAlias

from piktid_async.protocol.progress import Tracker

News: TypeAlias = Literal["change", "end"]
Future: TypeAlias = "asyncio.Future[None]"
Waiting: TypeAlias = "dict[Tracker, Future | list[Future]]"
"""Nearly always it is one: a list for each would cost as much as the future."""


class Waiters:
    """Wake those who wait for a job's next change, or for its end."""

    def __init__(self) -> None:
        self._waiting: dict[str, Waiting] = {"change": {}, "end": {}}

    async def wait(self, tracker: Tracker, news: News) -> None:
        """Return at the next change, or at the end; cancelling one waiter disturbs no other."""
        if tracker.ended and news == "end":
            return
        # Each waiter has its own future: a cancelled wait cancels the future it waits on.
        future = asyncio.get_running_loop().create_future()
        _add(self._waiting[news], tracker, future)
        try:
            await future
        except BaseException:
            _remove(self._waiting[news], tracker, future)
            raise

    def wake(self, trackers: Iterable[Tracker]) -> None:
        """Something new is known of these jobs."""
        if waiting := self._waiting["change"]:
            for tracker in trackers:
                _finish(waiting, tracker, None)

    def end(self, tracker: Tracker) -> None:
        """Wake those who wait for the end of a job: it has come."""
        _finish(self._waiting["end"], tracker, None)

    def fail(self, tracker: Tracker, error: Exception) -> None:
        """Make all who wait for the job raise; the job itself may go on."""
        for waiting in self._waiting.values():
            _finish(waiting, tracker, error)

    def fail_all(self, error: Exception) -> None:
        """Make everybody raise."""
        for waiting in self._waiting.values():
            for tracker in list(waiting):
                _finish(waiting, tracker, error)

    def forget(self) -> None:
        """Drop all who wait, without a word: their loop is gone, and would not hear it."""
        for waiting in self._waiting.values():
            waiting.clear()


def _add(waiting: Waiting, tracker: Tracker, future: Future) -> None:
    there = waiting.setdefault(tracker, future)
    if isinstance(there, list):
        there.append(future)
    elif there is not future:
        waiting[tracker] = [there, future]


def _remove(waiting: Waiting, tracker: Tracker, future: Future) -> None:
    there = waiting.get(tracker)
    if there is future:
        del waiting[tracker]
    elif isinstance(there, list) and future in there:
        there.remove(future)
        if not there:
            del waiting[tracker]


def _finish(waiting: Waiting, tracker: Tracker, error: Exception | None) -> None:
    there = waiting.pop(tracker, None)
    if there is None:
        return
    for future in there if isinstance(there, list) else (there,):
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
