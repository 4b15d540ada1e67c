"""Work that is done in the order in which it was asked for, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen
class _Task:
    """Work, and the future of whoever waits for it."""

    work: Callable[[], Any]
    answer: asyncio.Future[Any]


_Done: TypeAlias = list[tuple[Any, BaseException | None]]
"""What each came to: a value, or an error."""


class Clerk:
    """One thread for one loop; `close` it when nothing more is to be asked of it.

    What is asked for while the thread works goes there together: the way there and back takes
    longer than most of what is done with a row.
    """

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._asked: list[_Task] = []
        self._at_work = False

    async def do(self, work: Callable[[], T]) -> T:
        """Have it done. A call that is cancelled takes effect all the same."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append(_Task(work, answer))
        if not self._at_work:
            self._send()
        return await answer

    async def close(self, last: Callable[[], None]) -> None:
        """Finish what was begun, and do one thing more, even if this is cancelled."""
        await asyncio.shield(asyncio.ensure_future(self.do(last)))
        self._thread.shutdown()

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        self._at_work = bool(asked)
        if asked:
            works = [task.work for task in asked]
            sent = asyncio.get_running_loop().run_in_executor(self._thread, _all_done, works)
            sent.add_done_callback(partial(self._answer, asked))

    def _answer(self, asked: list[_Task], sent: asyncio.Future[_Done]) -> None:
        for task, (value, error) in zip(asked, sent.result(), strict=True):
            if task.answer.done():
                continue  # whoever asked was cancelled
            if error is not None:
                task.answer.set_exception(error)
            else:
                task.answer.set_result(value)
        self._send()


def _all_done(works: list[Callable[[], Any]]) -> _Done:
    return [_done(work) for work in works]


def _done(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error
