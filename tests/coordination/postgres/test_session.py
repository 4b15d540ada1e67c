"""Sessions that share one account's limits, and its stream, through PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import pytest

import piktid_async
from piktid_async import (
    AccountLimits,
    ConfigurationError,
    ConnectionFailedError,
    GarmentRecolor,
    Session,
    StreamSettings,
)
from piktid_async.coordination.postgres import PostgresCoordinator
from piktid_async.sandbox import Sandbox, SandboxLimits

QUICK = StreamSettings(
    keepalive=0.3,
    silent_after=5.0,
    silent_longest=10.0,
    reconnect_base=0.01,
    reconnect_cap=0.1,
    open_wait=10.0,
    close_wait=5.0,
)
PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
PATH = "/garment-recolor"

Open = Callable[..., Session]


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    limits = SandboxLimits(active_jobs=3, per_minute={PATH: 4}, window=0.5)
    async with Sandbox(
        render=False, limits=limits, seconds_per_image=0.05, keepalive=0.1
    ) as running:
        yield running


@pytest.fixture
def open_session(box: Sandbox, database: str) -> Open:
    def make(**options: object) -> Session:
        chosen = {"limits": AccountLimits(3, {PATH: 4}, 0.5), "stream": QUICK, **options}
        chosen.setdefault("coordinator", PostgresCoordinator(database, lease=1.5))
        return Session(box.token, base_url=box.url, **chosen)  # type: ignore[arg-type]

    return make


async def recolor(session: Session) -> GarmentRecolor:
    project = await session.projects.ensure("spring")
    file = await session.upload(PICTURE)
    return GarmentRecolor(project=project, images=[file], reference_text="navy")


async def all_acknowledged(box: Sandbox) -> None:
    """Wait for it: where the status told the end of a job first, its notifications come later."""
    async with asyncio.timeout(30):
        while box.books.notifications_outstanding:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_sessions_share_limits_and_one_stream(box: Sandbox, open_session: Open) -> None:
    async with open_session() as first, open_session() as second, open_session() as third:
        request = await recolor(first)
        sessions = [first, second, third] * 4
        jobs = await asyncio.gather(*(session.submit(request) for session in sessions))
        await asyncio.gather(*(job.result(30) for job in jobs))
        assert first.stream_state == second.stream_state == third.stream_state == "live"
        assert box.books.open_streams == 1
        assert box.books.stream_connections == 1
    assert box.books.jobs_created == 12
    assert box.books.api_requests[f"POST {PATH}"] == 12  # so none was refused
    assert box.books.notifications_outstanding == ()
    acknowledged = box.books.acknowledged
    assert len(acknowledged) == len(set(acknowledged))
    assert box.books.open_streams == 0


async def test_sessions_of_one_process_may_share_the_coordinator(
    box: Sandbox, database: str, open_session: Open
) -> None:
    """Its connections are closed with the last of them, and made again when need be."""
    shared = PostgresCoordinator(database, lease=1.5)
    async with open_session(coordinator=shared) as first:
        async with open_session(coordinator=shared) as second:
            request = await recolor(first)
            await asyncio.gather(first.run(request, 30), second.run(request, 30))
        await first.run(request, 30)
        await shared.close()
        await first.run(request, 30)
    async with open_session(coordinator=shared) as third:
        await third.run(request, 30)
    assert box.books.jobs_created == 5
    assert box.books.notifications_outstanding == ()


async def test_the_stream_passes_on_when_its_holder_closes(box: Sandbox, open_session: Open):
    async with open_session() as second:
        async with open_session() as first:
            request = await recolor(first)
            await (await first.submit(request))
            await (await second.submit(request))
        await (await second.submit(request)).result(30)
        assert box.books.open_streams == 1
        assert box.books.stream_connections == 2
    assert box.books.notifications_outstanding == ()


async def test_what_belongs_to_others_stays(box: Sandbox, open_session: Open) -> None:
    polling = StreamSettings(connect=False, poll_every=0.1)
    async with Session(box.token, base_url=box.url, stream=polling, ack="never") as stranger:
        request = await recolor(stranger)
        theirs = await stranger.submit(request)
        async with open_session() as first, open_session() as second:
            jobs = [await session.submit(request) for session in (first, second)]
            await asyncio.gather(*jobs)
        await theirs
    left, deleted = box.books.notifications_outstanding, box.books.acknowledged
    assert 2 * len(left) == len(deleted) == len(set(deleted))  # of three jobs that are alike


async def test_a_feed_sees_what_another_holds_the_stream_for(box: Sandbox, open_session: Open):
    async with open_session() as first, open_session() as second:
        request = await recolor(first)
        job = await first.submit(request)
        async with second.notifications(jobs=[job.id]) as feed:
            async with asyncio.timeout(30):
                async for note in feed:
                    if note.name == "batch_edit" and note.payload.status == "completed":
                        break
        await job.result(30)
        assert box.books.stream_connections == 1


TWO_LOOPS = """
import asyncio, os
from piktid_async import GarmentRecolor, Session
from piktid_async.coordination.postgres import PostgresCoordinator

session = Session(coordinator=PostgresCoordinator(os.environ["DATABASE"]))

async def begin():
    project = await session.projects.ensure("loops")
    file = await session.upload(bytes.fromhex("ffd8ffe0") + bytes(500))
    return await session.submit(
        GarmentRecolor(project=project, images=[file], reference_text="navy")
    )

async def end(job):
    return await job.result(30)

job = asyncio.run(begin())
print(asyncio.run(end(job)).status)
"""


async def test_one_loop_after_another(box: Sandbox, database: str) -> None:
    """Connections belong to a loop, and are closed with it; what is known does not."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", TWO_LOOPS),
        env={
            "PIKTID_API_TOKEN": box.token,
            "PIKTID_BASE_URL": box.url,
            "DATABASE": database,
            "PYTHONPATH": str(Path(piktid_async.__file__).parents[1]),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await asyncio.wait_for(process.communicate(), 60)
    assert complaints.decode() == ""
    assert printed.decode() == "completed\n"
    assert box.books.stream_connections == 2


async def test_a_session_that_closes_leaves_its_jobs_to_the_others(
    box: Sandbox, open_session: Open
) -> None:
    """The slot is taken until somebody has seen the end of the job."""
    ours = AccountLimits(active_jobs=1, per_minute={})
    async with open_session(limits=ours) as first:
        request = await recolor(first)
        await first.submit(request)
    async with open_session(limits=ours) as second:
        await asyncio.wait_for(second.run(request), 30)
    assert box.books.jobs_created == 2


async def test_a_database_that_is_not_there_ends_the_wait(box: Sandbox, monkeypatch) -> None:
    monkeypatch.setattr("piktid_async.coordination.postgres_desk.REACHED_WITHIN", 0.3)
    away = PostgresCoordinator("postgresql://nobody@127.0.0.1:9/nowhere")
    settings = StreamSettings(open_wait=0.2)
    async with Session(box.token, base_url=box.url, coordinator=away, stream=settings) as session:
        request = await recolor(session)
        with pytest.raises(ConnectionFailedError, match="PostgreSQL: ") as caught:
            await asyncio.wait_for(session.submit(request), 20)
        assert not caught.value.sent
    assert box.books.jobs_created == 0


async def _token() -> str:
    return "x"


def test_what_cannot_work_is_said(database: str) -> None:
    with pytest.raises(ConfigurationError, match="a text like postgresql://"):
        PostgresCoordinator("mysql://host/name")
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        PostgresCoordinator("postgresql://u:secret@host/name?what=5")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="lease must be positive seconds"):
        PostgresCoordinator(database, lease=0)
    with pytest.raises(ConfigurationError, match="account must be a name"):
        PostgresCoordinator(database, account="")
    with pytest.raises(ConfigurationError, match="name the account"):
        Session(_token, coordinator=PostgresCoordinator(database))
    Session(_token, coordinator=PostgresCoordinator(database, account="ours"))
    shared = PostgresCoordinator(database)
    Session("one", coordinator=shared)
    Session("one", coordinator=shared)
    with pytest.raises(ConfigurationError, match="in use for another account"):
        Session("two", coordinator=shared)
    assert "one" not in repr(shared)


async def test_broken_connections_lose_nothing(box: Sandbox, open_session: Open, sql) -> None:
    async with open_session() as first, open_session() as second:
        request = await recolor(first)
        jobs = [await session.submit(request) for session in (first, second)]
        for _ in range(3):
            await sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'piktid'"
            )
            jobs += await asyncio.gather(*(each.submit(request) for each in (first, second)))
        await asyncio.gather(*(job.result(30) for job in jobs))
        await all_acknowledged(box)
    assert box.books.jobs_created == 8


async def test_while_the_database_is_away_submissions_wait_and_jobs_are_followed(
    box: Sandbox, database: str, open_session: Open, sql, caplog
) -> None:
    await sql("CREATE DATABASE outage")
    quick = attrs.evolve(QUICK, silent_after=0.3)
    coordinator = PostgresCoordinator(urlsplit(database)._replace(path="/outage").geturl())
    try:
        async with open_session(coordinator=coordinator, stream=quick) as session:
            request = await recolor(session)
            before = await session.submit(request)
            await sql("ALTER DATABASE outage ALLOW_CONNECTIONS false")
            await sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'outage'"
            )
            waiting = asyncio.create_task(session.submit(request))
            assert (await before.result(30)).status == "completed"
            told = "while the database is away"
            while told not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert not waiting.done()
            assert box.books.jobs_created == 1
            await sql("ALTER DATABASE outage ALLOW_CONNECTIONS true")
            await (await asyncio.wait_for(waiting, 30)).result(30)
            await all_acknowledged(box)
    finally:
        await sql("DROP DATABASE outage WITH (FORCE)")
