"""Run a call again and again, cancelled at its first await, its second, its third, and so on.

The steps of the tasks that the call starts count as well: what is cancelled is always the call.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs

from piktid_async import AccountLimits, Session, StreamSettings
from piktid_async.runtime import Connections

ITS_OWN = ("piktid keeper", "piktid stream", "piktid status", "piktid ack")
"""Tasks that belong to the session and not to a call."""
LIMITS = AccountLimits(active_jobs=500, per_minute={"/garment-recolor": 500, "/edit-chat": 500})
"""They count, and never make anybody wait."""

QUICK = StreamSettings(keepalive=0.2, reconnect_base=0.01, reconnect_cap=0.1, close_wait=2.0)

_steps: ContextVar[Steps | None] = ContextVar("steps", default=None)


@attrs.define(eq=False)
class Steps:
    """The awaits of one call, and when it is cancelled."""

    cancel_at: frozenset[int]
    taken: int = 0
    cancelled: int = 0
    call: asyncio.Task[Any] | None = None
    tasks: list[asyncio.Task[Any]] = attrs.field(factory=list)
    """Those that the call has started."""

    def suspended(self) -> None:
        """One task waits for something."""
        if self.call is None or self.call.done():
            return
        if self.taken in self.cancel_at:
            # In the loop's next turn: the task does not wait yet for what it gives up here.
            asyncio.get_running_loop().call_soon(self._cancel, self.call)
        self.taken += 1

    def _cancel(self, call: asyncio.Task[Any]) -> None:
        self.cancelled += call.cancel()


class _Counted:
    """Awaits a coroutine, and tells of each suspension."""

    def __init__(self, work: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._work = work
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        error: BaseException | None = None
        while True:
            try:
                waits_for = self._work.send(None) if error is None else self._work.throw(error)
            except StopIteration as end:
                return end.value
            self._steps.suspended()
            error = None
            try:
                yield waits_for
            except BaseException as thrown:
                error = thrown


async def _counted(work: Coroutine[Any, Any, Any], steps: Steps) -> Any:
    return await _Counted(work, steps)


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    steps = _steps.get()
    if steps is None:
        return asyncio.Task(work, loop=loop, **options)
    task = asyncio.Task(_counted(work, steps), loop=loop, **options)
    steps.tasks.append(task)
    return task


@contextmanager
def counting() -> Iterator[None]:
    """Count the steps of calls made by `cancelled_at`, as long as the block lasts."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_make_task)  # type: ignore[arg-type]
    try:
        yield
    finally:
        loop.set_task_factory(None)


async def cancelled_at(step: int, call: Callable[[], Awaitable[Any]], *, times: int = 1) -> Steps:
    """Make the call, and cancel it at this step, and again at each of the next ones."""
    steps = Steps(frozenset(range(step, step + times)))

    async def make() -> Any:
        _steps.set(steps)
        return await _Counted(work, steps)

    work = _awaited(call)
    steps.call = asyncio.create_task(make())
    _, unfinished = await asyncio.wait((steps.call,), timeout=30)
    assert not unfinished, f"cancelled at step {step}, it waits: {_where(work)}"
    if steps.cancelled:
        assert steps.call.cancelled(), f"the cancellation at step {step} was lost"
    else:
        steps.call.result()
    return steps


def _where(work: Any) -> str:
    """Say in which functions a coroutine waits, the innermost last."""
    names = []
    while inspect.iscoroutine(work) and work.cr_frame is not None:
        names.append(f"{work.cr_code.co_name}:{work.cr_frame.f_lineno}")
        work = work.cr_await
    return " > ".join(names)


async def _awaited(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def each_step(
    call: Callable[[], Awaitable[Any]], *, times: int = 1, most: int = 400
) -> AsyncIterator[Steps]:
    """Cancel the call at one step after the other, until it is through before."""
    for step in range(most):
        steps = await cancelled_at(step, call, times=times)
        yield steps
        if not steps.cancelled:
            assert step > 0, "the call never waits"
            return
    raise AssertionError(f"the call is not through after {most} steps")


async def has_settled(left: Callable[[], list[str]]) -> None:
    """Wait, not for long, until nothing is left over; fail with what stays."""
    try:
        async with asyncio.timeout(10):
            while left():  # noqa: ASYNC110 - no event tells of it
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"still there: {', '.join(left())}") from None


def left_over(session: Session, steps: Steps) -> list[str]:
    """Say what is left of a call."""
    found = [
        task.get_name()
        for task in steps.tasks
        if not task.done() and not task.get_name().startswith(ITS_OWN)
    ]
    connections = session._runtime._loops.newest
    if connections is not None:
        found += _held(connections)
    limits = session.limits
    found += [f"a place for {place.path}" for place in limits.waiting]
    found += ["a slot without an answer"] * limits.under_way
    found += [
        f"a waiter of {kind}" for kind, each in session._runtime.waiters._waiting.items() if each
    ]
    found += ["a feed" for _ in session._runtime.feeds]
    return found


def _held(connections: Connections) -> list[str]:
    config = connections.runtime.config
    found = []
    if connections.uploads._value != config.upload_concurrency:
        found.append("a place among the uploads")
    if connections.downloads._value != config.download_concurrency:
        found.append("a place among the downloads")
    transport: Any = connections.transport
    transport = getattr(transport, "inner", transport)  # where it is watched
    for purpose, client in transport._sessions.items():
        busy = len(client.connector._acquired)
        if purpose != "stream" and busy:
            found.append(f"{busy} connections for {purpose}")
    return found
