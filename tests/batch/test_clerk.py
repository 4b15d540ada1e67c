"""Work in a thread of its own: in order, each with its own end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from piktid_async.batch.clerk import Clerk


async def test_what_comes_while_it_works_is_done_in_order_and_fails_alone():
    clerk, began, go_on, done = Clerk("clerk"), threading.Event(), threading.Event(), []

    def first() -> None:
        began.set()
        go_on.wait(10)
        done.append("first")

    def fail() -> None:
        done.append("fail")
        raise ValueError("its own")

    at_work = asyncio.create_task(clerk.do(first))
    await asyncio.to_thread(began.wait, 10)
    failing = asyncio.create_task(clerk.do(fail))
    dropped = asyncio.create_task(clerk.do(lambda: done.append("dropped")))
    last = asyncio.create_task(clerk.do(lambda: threading.current_thread().name))
    await asyncio.sleep(0)
    dropped.cancel()
    go_on.set()
    assert (await last).startswith("clerk")
    with pytest.raises(ValueError, match="its own"):
        await failing
    await at_work
    assert dropped.cancelled()
    await clerk.close(lambda: done.append("closed"))
    assert done == ["first", "fail", "dropped", "closed"]  # a call that is cancelled is done, too
