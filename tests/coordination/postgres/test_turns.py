"""Turns that several coordinators share; each stands for a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest

from piktid_async import AccountLimits, ActiveJobLimitError, RateLimitError
from piktid_async.coordination.postgres import PostgresCoordinator

RECOLOR, PACKSHOT, CHAT = "/garment-recolor", "/create-packshot", "/edit-chat"
SOON = 20.0
"""Seconds after which a test that waits for something gives up."""

Make = Callable[..., PostgresCoordinator]


def at_most(active: int | None = None, window: float = 600.0, **per_minute: int) -> AccountLimits:
    paths = {"recolor": RECOLOR, "packshot": PACKSHOT, "chat": CHAT}
    return AccountLimits(active, {paths[name]: most for name, most in per_minute.items()}, window)


class Queue:
    """Submissions that go, one way or another, and who has gone."""

    def __init__(self) -> None:
        self.gone: asyncio.Queue[str] = asyncio.Queue()
        self.tasks: list[asyncio.Task[None]] = []

    def join(
        self, coordinator: PostgresCoordinator, name: str, path: str = RECOLOR, **how: Any
    ) -> asyncio.Task[None]:
        place = coordinator.place(path, pooled=how.pop("pooled", path != CHAT))
        self.tasks.append(asyncio.create_task(self._submit(coordinator, place, name, **how)))
        return self.tasks[-1]

    async def _submit(
        self,
        coordinator: PostgresCoordinator,
        place: Any,
        name: str,
        *,
        refusals: list[RateLimitError] | None = None,
        how: str = "started",
        answer: asyncio.Event | None = None,
    ) -> None:
        while True:
            async with coordinator.turn(place) as turn:
                self.gone.put_nowait(name)
                if answer is not None:
                    await answer.wait()
                if refusals:
                    turn.refused(refusals.pop(0))
                    continue
                if how == "started":
                    turn.started(f"job-{name}")
                elif how == "doubtful":
                    turn.doubtful()
                elif how == "unsent":
                    turn.unsent()
                return

    async def next(self, count: int = 1) -> list[str]:
        async with asyncio.timeout(SOON):
            return [await self.gone.get() for _ in range(count)]


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    made = Queue()
    yield made
    for task in made.tasks:
        task.cancel()
    for outcome in await asyncio.gather(*made.tasks, return_exceptions=True):
        assert outcome is None or isinstance(outcome, asyncio.CancelledError), outcome


async def looked(*coordinators: PostgresCoordinator) -> None:
    """Wait until each has asked the database for all who wait, after what was written so far."""
    for _ in range(3):  # those who have just been started queue up
        await asyncio.sleep(0)
    for coordinator in coordinators:
        desk = coordinator.desk()
        while coordinator.commands:
            await desk.call("SELECT 1")
            await asyncio.sleep(0)
        await coordinator.round(desk)


def slow(seconds: float | None = None) -> RateLimitError:
    return RateLimitError(429, "POST /x", "too fast", seconds)


def full(seconds: float | None = None) -> ActiveJobLimitError:
    return ActiveJobLimitError(429, "POST /x", "too many active jobs", seconds)


# Windows


async def test_a_window_is_one_for_all(make_coordinator: Make, queue: Queue) -> None:
    limits = at_most(recolor=3)
    first, second = make_coordinator(limits), make_coordinator(limits)
    for number in range(4):
        queue.join(first, f"a{number}")
        queue.join(second, f"b{number}")
    await queue.next(3)
    await looked(first, second)
    assert queue.gone.empty()
    assert len(first.report().waiting) + len(second.report().waiting) == 5


async def test_a_window_opens_by_itself(make_coordinator: Make, queue: Queue) -> None:
    limits = at_most(recolor=1, window=0.2)
    first, second = make_coordinator(limits), make_coordinator(limits)
    for number in range(2):
        queue.join(first, f"a{number}")
        queue.join(second, f"b{number}")
    assert sorted(await queue.next(4)) == ["a0", "a1", "b0", "b1"]


async def test_in_one_process_it_is_in_order_of_arrival(make_coordinator: Make, queue) -> None:
    coordinator = make_coordinator(at_most(recolor=2, window=0.2))
    for name in "abcdef":
        queue.join(coordinator, name)
    assert await queue.next(6) == list("abcdef")


async def test_a_request_without_an_answer_keeps_its_place(make_coordinator: Make, queue) -> None:
    """However long it takes: the service may count it at any time until it has answered."""
    limits = at_most(recolor=1, window=0.05)
    first, second = make_coordinator(limits), make_coordinator(limits)
    answer = asyncio.Event()
    queue.join(first, "a", answer=answer)
    assert await queue.next() == ["a"]
    queue.join(second, "b")
    await asyncio.sleep(0.1)  # two windows
    await looked(second)
    (waiting,) = second.report().waiting
    assert (waiting.waits_for, waiting.eta) == ("window", None)
    answer.set()
    assert await queue.next() == ["b"]


async def test_lanes_hold_each_other_up_only_for_slots(make_coordinator: Make, queue) -> None:
    coordinator = make_coordinator(at_most(recolor=1, packshot=1))
    for name, path in (("a", RECOLOR), ("b", RECOLOR), ("c", PACKSHOT), ("d", CHAT), ("e", CHAT)):
        queue.join(coordinator, name, path)
    assert sorted(await queue.next(4)) == ["a", "c", "d", "e"]
    await looked(coordinator)
    assert queue.gone.empty()


# Slots


async def test_slots_are_free_when_jobs_end_whoever_says_so(make_coordinator: Make, queue) -> None:
    limits = at_most(2)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a")
    queue.join(first, "b")
    await queue.next(2)
    queue.join(second, "c")
    await looked(first, second)
    assert second.report().waiting[0].waits_for == "slot"
    second.ended("job-a")
    assert await queue.next() == ["c"]
    queue.join(first, "d")
    await looked(first, second)
    assert queue.gone.empty()
    first.ended("job-b")
    first.ended("job-b")
    assert await queue.next() == ["d"]


@pytest.mark.parametrize("how", ["nothing", "unsent"])
async def test_a_slot_is_free_when_no_job_was_made(make_coordinator: Make, queue, how) -> None:
    limits = at_most(1)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a", how=how)
    assert await queue.next() == ["a"]
    queue.join(second, "b")
    assert await queue.next() == ["b"]


async def test_what_was_not_sent_leaves_the_window_as_it_was(make_coordinator: Make, queue) -> None:
    coordinator = make_coordinator(at_most(recolor=1))
    queue.join(coordinator, "a", how="unsent")
    queue.join(coordinator, "b", how="nothing")
    queue.join(coordinator, "c")
    assert await queue.next(2) == ["a", "b"]
    await looked(coordinator)
    assert queue.gone.empty()


async def test_lanes_take_turns_at_the_slots(make_coordinator: Make, queue: Queue) -> None:
    coordinator = make_coordinator(at_most(1))
    for number, path in enumerate([RECOLOR, RECOLOR, RECOLOR, RECOLOR, PACKSHOT, PACKSHOT]):
        queue.join(coordinator, str(number), path)
    order = await queue.next()
    while len(order) < 6:
        coordinator.ended(f"job-{order[-1]}")
        order += await queue.next()
    assert order == list("041523")


async def test_a_job_that_is_picked_up_takes_a_slot(make_coordinator: Make, queue: Queue) -> None:
    limits = at_most(1)
    first, second = make_coordinator(limits), make_coordinator(limits)
    first.desk()
    first.occupied("job-x")
    await looked(first)
    queue.join(second, "a")
    await looked(second)
    assert queue.gone.empty()
    first.ended("job-x")
    assert await queue.next() == ["a"]


async def test_a_doubt_holds_its_slot_until_it_is_settled(make_coordinator: Make, queue, sql):
    limits = at_most(1)
    first, second = make_coordinator(limits), make_coordinator(limits)
    place = first.place(RECOLOR, pooled=True)
    async with first.turn(place) as turn:
        turn.doubtful()
    assert first.report().in_doubt == 1
    queue.join(second, "b")
    await looked(first, second)
    (waiting,) = second.report().waiting
    assert waiting.waits_for == "slot"
    assert waiting.eta is not None
    assert 590 < waiting.eta <= 600
    turn.settled("job-found")
    await looked(first, second)
    assert queue.gone.empty()
    assert first.report().jobs == ("job-found",)
    second.ended("job-found")
    assert await queue.next() == ["b"]
    turn.settled(None)


async def test_the_slot_of_a_doubt_passes_to_the_job_that_another_process_finds(
    make_coordinator: Make, queue
) -> None:
    limits = at_most(2)
    first, second = make_coordinator(limits), make_coordinator(limits)
    for _ in range(2):
        async with first.turn(first.place(RECOLOR, pooled=True)) as turn:
            turn.doubtful()
    queue.join(second, "b")
    for _ in range(2):  # told twice, it counts once
        second.found("job-found")
    await looked(first, second)
    assert queue.gone.empty()
    second.ended("job-found")
    assert await queue.next() == ["b"]
    turn.settled(None)


async def test_a_doubt_that_was_no_job_frees_its_slot(make_coordinator: Make, queue) -> None:
    limits = at_most(1)
    first, second = make_coordinator(limits), make_coordinator(limits)
    async with first.turn(first.place(RECOLOR, pooled=True)) as turn:
        turn.doubtful()
    queue.join(second, "b")
    await looked(first, second)
    turn.settled(None)
    assert await queue.next() == ["b"]


# Refusals


async def test_a_refusal_slows_every_process(make_coordinator: Make, queue: Queue) -> None:
    limits = at_most(recolor=5, window=3.0)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a", refusals=[slow(7.0)])
    assert await queue.next() == ["a"]
    await looked(first)
    queue.join(second, "b")
    await looked(second)
    assert queue.gone.empty()
    (waiting,) = second.report().waiting
    assert waiting.waits_for == "pause"
    assert waiting.eta is not None
    assert 6 < waiting.eta <= 7
    (window,) = second.report().windows
    assert window.limit == 1  # only what else went through is allowed for now


async def test_who_was_refused_keeps_the_rank(make_coordinator: Make, queue: Queue) -> None:
    coordinator = make_coordinator(at_most(recolor=2, window=0.5))
    answer = asyncio.Event()
    queue.join(coordinator, "a", refusals=[slow(0.2)], answer=answer)
    queue.join(coordinator, "b")
    queue.join(coordinator, "c")
    assert await queue.next(2) == ["a", "b"]
    answer.set()
    assert await queue.next(2) == ["a", "c"]


async def test_jobs_of_others_delay_all_until_one_of_them_ends(make_coordinator: Make, queue):
    limits = at_most(5)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a", refusals=[full()])
    assert await queue.next() == ["a"]
    await looked(first)
    queue.join(second, "b")
    await looked(second, first)
    assert queue.gone.empty()
    assert second.report().full_for > 0
    second.room()
    assert sorted(await queue.next(2)) == ["a", "b"]


# Leaving, losing, dying


async def test_a_cancelled_waiter_leaves_nothing_taken(make_coordinator: Make, queue: Queue):
    limits = at_most(1, recolor=2)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a")
    assert await queue.next() == ["a"]
    waiting = queue.join(second, "b")
    queue.join(second, "c")
    await looked(second)
    waiting.cancel()
    first.ended("job-a")
    assert await queue.next() == ["c"]


async def test_cancelled_at_any_moment_it_gives_all_of_it_back(make_coordinator: Make, queue, sql):
    """Whether it has not asked yet, asks just now, or was told a moment ago."""
    coordinator = make_coordinator(at_most(1, recolor=1))
    coordinator.desk()
    for turns in range(12):
        waiting = queue.join(coordinator, f"x{turns}", how="nothing", answer=asyncio.Event())
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        if not queue.gone.empty():
            break  # it was sent before it was cancelled
    else:
        queue.join(coordinator, "a")
        assert await queue.next() == ["a"]


async def test_a_turn_whose_answer_was_lost_is_the_same_turn(make_coordinator: Make, sql) -> None:
    """The connection may break between the commit and its answer: to ask again takes no more."""
    coordinator = make_coordinator(at_most(1, recolor=1))
    await coordinator.desk().call("SELECT 1")
    ask = (
        "SELECT reason FROM piktid.take("
        "'lost', gen_random_uuid(), 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',"
        " %s, true, 1, 60, 1, 120)"
    )
    assert await sql(ask, RECOLOR) == [(None,)]
    assert await sql(ask, RECOLOR) == [(None,)]
    assert await sql("SELECT count(*) FROM piktid.slots WHERE account = 'lost'") == [(1,)]


async def test_requests_of_a_dead_process_are_doubts(make_coordinator: Make, queue, sql) -> None:
    limits = at_most(1)
    first, second = make_coordinator(limits, lease=30.0), make_coordinator(limits, lease=30.0)
    queue.join(first, "a", answer=asyncio.Event())
    assert await queue.next() == ["a"]
    queue.join(second, "b")
    await looked(second)
    (waiting,) = second.report().waiting
    assert waiting.eta is None  # it is under way, and nobody knows for how long
    owner = first.desk().owner
    await sql("UPDATE piktid.processes SET until = clock_timestamp() WHERE owner = %s", owner)
    await second.beat(second.desk())
    await looked(second)
    (waiting,) = second.report().waiting
    assert waiting.eta is not None
    assert 590 < waiting.eta <= 600
    assert queue.gone.empty()


async def test_the_window_counts_what_a_dead_process_has_sent(make_coordinator: Make, queue, sql):
    limits = at_most(recolor=1, window=0.05)
    first, second = make_coordinator(limits), make_coordinator(limits)
    queue.join(first, "a", answer=asyncio.Event())
    assert await queue.next() == ["a"]
    owner = first.desk().owner
    await first.beat(first.desk())  # so that its own first one is over
    await sql("DELETE FROM piktid.processes WHERE owner = %s", owner)
    queue.join(second, "b")
    await looked(second)
    assert queue.gone.empty()
    late = "UPDATE piktid.grants SET sent = sent - interval '121 seconds' WHERE owner = %s"
    await sql(late, owner)
    assert await queue.next() == ["b"]


async def test_a_broken_connection_only_delays(make_coordinator: Make, queue: Queue, sql) -> None:
    coordinator = make_coordinator(at_most(2))
    queue.join(coordinator, "a")
    assert await queue.next() == ["a"]
    await looked(coordinator)
    await sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'piktid'"
    )
    queue.join(coordinator, "b")
    queue.join(coordinator, "c")
    assert await queue.next() == ["b"]
    coordinator.ended("job-a")
    assert await queue.next() == ["c"]


@pytest.mark.parametrize(("limits", "reason"), [("1, 60, null", "window"), ("null, 60, 1", "slot")])
async def test_who_waits_for_the_lock_counts_what_was_taken_meanwhile(
    make_coordinator: Make, database: str, account: str, limits: str, reason: str
) -> None:
    """Taken in the statement that counts, the lock would come after its snapshot."""
    await make_coordinator().desk().call("SELECT 1")
    take = (
        "SELECT reason FROM piktid.take("
        f"'{account}', gen_random_uuid(), gen_random_uuid(), %s, true, {limits}, 120)"
    )
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    async def take_elsewhere() -> object:
        async with await psycopg.AsyncConnection.connect(database) as connection:
            return await (await connection.execute(take.encode(), [RECOLOR])).fetchone()

    async with (
        await psycopg.AsyncConnection.connect(database) as first,
        await psycopg.AsyncConnection.connect(database, autocommit=True) as watcher,
    ):
        assert await (await first.execute(take.encode(), [RECOLOR])).fetchone() == (None,)
        second = asyncio.create_task(take_elsewhere())
        while await (await watcher.execute(waiting)).fetchone() == (0,):
            assert not second.done()
        await first.commit()
        assert await second == (reason,)
