from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import attrs
import pytest

from piktid_async.coordination.local import LocalCoordinator
from piktid_async.errors import ActiveJobLimitError, RateLimitError
from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.governor import after_refusals
from tests.services.process import turns

RECOLOR, PACKSHOT, CHAT = "/garment-recolor", "/create-packshot", "/edit-chat"
ENOUGH = 10
"""Turns of the loop after which everyone who may go has gone."""


class LookupFailedError(Exception):
    """Something that has nothing to do with limits."""


@attrs.define(eq=False)
class Queue:
    """A coordinator with a clock that stands, and a log of who has gone."""

    limits: AccountLimits
    now: float = 1000.0
    gone: list[str] = attrs.field(factory=list)
    coordinator: LocalCoordinator = attrs.field(init=False)
    tasks: list[asyncio.Task[None]] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.coordinator = LocalCoordinator(self.limits, lambda: self.now)

    def join(self, name: str, path: str = RECOLOR, **how: Any) -> asyncio.Task[None]:
        """Queue up now; what follows happens once the turn has come."""
        place = self.coordinator.place(path, pooled=how.pop("pooled", path != CHAT))
        self.tasks.append(asyncio.create_task(self._submit(name, place, **how), name=name))
        return self.tasks[-1]

    async def _submit(
        self,
        name: str,
        place: Any,
        *,
        refusals: list[RateLimitError] | None = None,
        error: Exception | None = None,
        answer: asyncio.Event | None = None,
    ) -> None:
        while True:
            async with self.coordinator.turn(place) as turn:
                self.gone.append(name)
                if answer is not None:
                    await answer.wait()
                if refusals:
                    turn.refused(refusals.pop(0))
                    continue
                if error is not None:
                    raise error
                turn.started(f"job-{name}")
                return

    async def settle(self) -> list[str]:
        """Let everyone go who may, and tell who has gone since the last time."""
        for _ in range(ENOUGH):
            await asyncio.sleep(0)
        gone, self.gone = self.gone, []
        return gone

    async def after(self, seconds: float) -> list[str]:
        """Let time pass; anything that happens to any job makes the coordinator look again."""
        self.now += seconds
        self.coordinator.ended("somebody else's")
        return await self.settle()

    async def ended(self, name: str) -> list[str]:
        self.coordinator.ended(f"job-{name}")
        return await self.settle()

    async def leave(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def slow(seconds: float | None = None) -> RateLimitError:
    return RateLimitError(429, "POST /x", "too fast", seconds)


def full(seconds: float | None = None) -> ActiveJobLimitError:
    return ActiveJobLimitError(429, "POST /x", "too many active jobs", seconds)


@pytest.fixture
async def queue(request: pytest.FixtureRequest) -> Any:
    made = Queue(getattr(request, "param", AccountLimits.unlimited()))
    yield made
    await made.leave()


def at_most(active: int | None = None, window: float = 60.0, **per_minute: int) -> AccountLimits:
    paths = {"recolor": RECOLOR, "packshot": PACKSHOT, "chat": CHAT}
    return AccountLimits(active, {paths[name]: most for name, most in per_minute.items()}, window)


# Windows


@pytest.mark.parametrize("queue", [at_most(recolor=3)], indirect=True)
async def test_window_lets_so_many_go_and_the_rest_in_order_of_arrival(queue: Queue) -> None:
    for name in "abcdefgh":
        queue.join(name)
    assert await queue.settle() == ["a", "b", "c"]
    assert await queue.after(59.9) == []
    assert await queue.after(0.2) == ["d", "e", "f"]
    assert await queue.after(60.1) == ["g", "h"]


@pytest.mark.parametrize("queue", [at_most(recolor=1)], indirect=True)
async def test_window_is_reckoned_from_the_answer(queue: Queue) -> None:
    """The server counted the request somewhere between: this is never too early."""
    answer = asyncio.Event()
    queue.join("a", answer=answer)
    queue.join("b")
    assert await queue.settle() == ["a"]
    assert await queue.after(500.0) == []
    answer.set()
    assert await queue.settle() == []
    assert await queue.after(59.9) == []
    assert await queue.after(0.2) == ["b"]


@pytest.mark.parametrize("queue", [at_most(recolor=1, packshot=1)], indirect=True)
async def test_window_of_one_endpoint_holds_no_other_up(queue: Queue) -> None:
    for name, path in (("a", RECOLOR), ("b", RECOLOR), ("c", PACKSHOT), ("d", CHAT), ("e", CHAT)):
        queue.join(name, path)
    assert await queue.settle() == ["a", "c", "d", "e"]


async def test_waiting_ends_by_itself_when_the_window_opens() -> None:
    """By the loop's own timer: nobody pokes."""
    loop = asyncio.get_running_loop()
    coordinator = LocalCoordinator(at_most(recolor=1, window=0.05), loop.time)
    for number in range(3):
        place = coordinator.place(RECOLOR, pooled=True)
        async with asyncio.timeout(5), coordinator.turn(place) as turn:
            turn.started(f"job-{number}")


# Slots


@pytest.mark.parametrize("queue", [at_most(2)], indirect=True)
async def test_slot_is_free_when_its_job_has_ended(queue: Queue) -> None:
    for name in "abcd":
        queue.join(name)
    assert await queue.settle() == ["a", "b"]
    assert await queue.after(10_000.0) == []
    assert await queue.ended("b") == ["c"]
    assert await queue.ended("b") == []
    assert await queue.ended("a") == ["d"]


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_slot_is_free_when_no_job_was_made(queue: Queue) -> None:
    queue.join("a", error=LookupFailedError())
    queue.join("b")
    assert await queue.settle() == ["a", "b"]


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_endpoint_outside_the_pool_needs_no_slot(queue: Queue) -> None:
    queue.join("a")
    queue.join("b")
    queue.join("c", CHAT)
    assert await queue.settle() == ["a", "c"]


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_lanes_take_turns_at_the_slots_and_each_keeps_its_order(queue: Queue) -> None:
    """One packshot does not wait behind all the recolors that came before it."""
    for number, path in enumerate([RECOLOR, RECOLOR, RECOLOR, RECOLOR, PACKSHOT, PACKSHOT]):
        queue.join(str(number), path)
    order = await queue.settle()
    while len(order) < 6:
        order += await queue.ended(order[-1])
    assert order == list("041523")


@pytest.mark.parametrize("queue", [at_most(1, recolor=1)], indirect=True)
async def test_lane_whose_window_is_shut_leaves_the_slot_to_the_other(queue: Queue) -> None:
    queue.join("a")
    queue.join("b")
    queue.join("c", PACKSHOT)
    assert await queue.settle() == ["a"]
    assert await queue.ended("a") == ["c"]
    assert await queue.after(60.1) == []
    assert await queue.ended("c") == ["b"]


# Leaving


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_cancelled_waiter_leaves_the_queue_to_the_others(queue: Queue) -> None:
    waiting = {name: queue.join(name) for name in "abcd"}
    assert await queue.settle() == ["a"]
    waiting["c"].cancel()
    waiting["b"].cancel()
    assert await queue.settle() == []
    assert await queue.ended("a") == ["d"]


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_slot_that_frees_before_a_cancelled_waiter_has_gone_passes_it_by(
    queue: Queue,
) -> None:
    waiting = {name: queue.join(name) for name in "abc"}
    assert await queue.settle() == ["a"]
    waiting["b"].cancel()
    assert await queue.ended("a") == ["c"]


@pytest.mark.parametrize("queue", [at_most(1, recolor=1)], indirect=True)
async def test_waiter_cancelled_at_the_moment_of_its_turn_gives_all_of_it_back(
    queue: Queue,
) -> None:
    """The slot, and its place in the window: nothing was sent."""
    queue.join("a")
    second = queue.join("b")
    queue.join("c")
    assert await queue.settle() == ["a"]
    queue.now += 60.1
    queue.coordinator.ended("job-a")  # the turn is b's from here on
    second.cancel()
    assert await queue.settle() == ["c"]


@pytest.mark.parametrize("queue", [at_most(1, recolor=1)], indirect=True)
async def test_waiter_cancelled_in_its_turn_frees_the_slot_but_not_the_window(
    queue: Queue,
) -> None:
    """Its request may have been counted."""
    first = queue.join("a", answer=asyncio.Event())
    queue.join("b")
    queue.join("c", PACKSHOT)
    assert await queue.settle() == ["a"]
    first.cancel()
    assert await queue.settle() == ["c"]
    await queue.ended("c")
    assert await queue.after(59.9) == []
    assert await queue.after(0.2) == ["b"]


# Refusals


@pytest.mark.parametrize("queue", [at_most()], indirect=True)
async def test_refusal_for_speed_holds_its_endpoint_alone(queue: Queue) -> None:
    queue.join("a", refusals=[slow(7.0)])
    assert await queue.settle() == ["a"]
    queue.join("b")
    queue.join("c", PACKSHOT)
    assert await queue.settle() == ["c"]
    assert await queue.after(6.9) == []
    assert await queue.after(0.2) == ["a", "b"]


@pytest.mark.parametrize("queue", [at_most()], indirect=True)
async def test_refusal_for_active_jobs_holds_every_endpoint_of_the_pool(queue: Queue) -> None:
    queue.join("a", refusals=[full(7.0)])
    assert await queue.settle() == ["a"]
    queue.join("b", PACKSHOT)
    queue.join("c", CHAT)
    assert await queue.settle() == ["c"]
    assert await queue.after(7.1) == ["a", "b"]


@pytest.mark.parametrize("queue", [at_most(1)], indirect=True)
async def test_refused_submission_keeps_its_rank(queue: Queue) -> None:
    queue.join("a", refusals=[slow(5.0), slow(5.0)])
    for name in "bc":
        queue.join(name)
    assert await queue.settle() == ["a"]
    assert await queue.after(5.1) == ["a"]
    assert await queue.after(5.1) == ["a"]
    assert await queue.ended("a") == ["b"]


@pytest.mark.parametrize("queue", [at_most()], indirect=True)
async def test_refusals_in_a_row_without_a_time_wait_longer_each_time(queue: Queue) -> None:
    queue.join("a", refusals=[slow(), slow(), slow()])
    assert await queue.settle() == ["a"]
    for failures in (1, 2, 3):
        pause = after_refusals(60.0).ceiling(failures)
        assert await queue.after(pause - 0.1) == []
        assert await queue.after(0.2) == ["a"]
    # It went well at last: the next refusal begins anew.
    queue.join("b", refusals=[slow()])
    assert await queue.settle() == ["b"]
    assert await queue.after(after_refusals(60.0).ceiling(1) + 0.1) == ["b"]


@pytest.mark.parametrize("queue", [at_most()], indirect=True)
async def test_refusals_of_submissions_under_way_together_count_once(queue: Queue) -> None:
    answer = asyncio.Event()
    for name in "abcdef":
        queue.join(name, refusals=[full()], answer=answer)
    assert len(await queue.settle()) == 6
    answer.set()
    assert await queue.settle() == []
    assert await queue.after(after_refusals(60.0).ceiling(1) + 0.1) == list("abcdef")


@pytest.mark.parametrize("queue", [at_most()], indirect=True)
async def test_failure_of_another_kind_does_not_shorten_the_wait(queue: Queue) -> None:
    answer = asyncio.Event()
    queue.join("b", error=LookupFailedError(), answer=answer)
    queue.join("a", refusals=[slow(), slow()])
    assert await queue.settle() == ["b", "a"]
    answer.set()
    assert await queue.after(after_refusals(60.0).ceiling(1) + 0.1) == ["a"]
    assert await queue.after(after_refusals(60.0).ceiling(2) - 0.2) == []
    assert await queue.after(0.3) == ["a"]


# Loops


def test_places_of_a_loop_that_is_gone_hold_nobody_up() -> None:
    queue = Queue(at_most(1))

    async def leave_waiting() -> None:
        queue.join("a")
        queue.join("b")
        assert await queue.settle() == ["a"]
        for task in queue.tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await queue.tasks[-1]

    async def next_one() -> None:
        queue.join("c")
        assert await queue.ended("a") == ["c"]
        await turns(lambda: queue.tasks[-1].done())

    asyncio.run(leave_waiting())
    asyncio.run(next_one())
