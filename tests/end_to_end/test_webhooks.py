"""The same jobs followed by webhooks alone, by the stream alone, and by both at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import attrs
import pytest

from piktid_async import Job, Session, StreamSettings
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.webhooks import WebhookReceiver
from tests.receivers import Serve, serve_aiohttp, serve_asgi

JOBS = 20
NEVER_LOOK = {"poll_every": 3600.0, "silent_after": 3600.0, "silent_longest": 3600.0}
ONLY_WEBHOOKS = StreamSettings(connect=False, **NEVER_LOOK)
STREAM = StreamSettings(keepalive=0.2, reconnect_base=0.01, reconnect_cap=0.1, **NEVER_LOOK)

Submit = Callable[..., Awaitable[list[Job]]]


@attrs.frozen
class Story:
    """How one job went: what every way of following must agree on."""

    status: str
    deliveries: Counter[tuple[int, int, int]]
    outputs: tuple[tuple[tuple[int, int, int], str], ...]
    credits_used: float | None


async def follow(job: Job) -> Story:
    deliveries = Counter([output.key async for output in job.outputs()])
    result = await job
    outputs = tuple((output.key, output.status) for output in result.outputs)
    return Story(result.status, deliveries, outputs, result.credits_used)


@asynccontextmanager
async def listening(session: Session, serve: Serve) -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(session)
    async with serve(receiver) as url:
        registration = await session.webhooks.register(url)
        receiver.secrets.add(registration.secret)
        yield receiver


async def by_webhooks(
    sandbox: Sandbox, session: Session, submit: Submit, serve: Serve
) -> Sequence[Story]:
    async with listening(session, serve):
        jobs = await submit(session, JOBS)
        stories = await asyncio.gather(*(follow(job) for job in jobs))
        await sandbox.webhooks_idle()
        return stories


EXPECTED = [
    Story(
        "completed",
        Counter({(0, 0, 0): 1, (1, 0, 0): 1}),
        (((0, 0, 0), "completed"), ((1, 0, 0), "completed")),
        10.0,
    )
] * JOBS


async def test_twenty_jobs_go_the_same_by_webhooks_by_the_stream_and_by_both(
    make_sandbox: Callable[..., Sandbox],
    make_session: Callable[..., Session],
    submit_jobs: Submit,
) -> None:
    stories = []
    async with make_sandbox() as sandbox:
        async with make_session(sandbox, stream=ONLY_WEBHOOKS) as session:
            stories.append(await by_webhooks(sandbox, session, submit_jobs, serve_aiohttp))
            assert session.stream_state == "idle"
        assert sandbox.books.stream_connections == 0
        assert_nobody_looked(sandbox)
        assert sandbox.books.notifications_outstanding == ()

    async with make_sandbox() as sandbox:
        async with make_session(sandbox, stream=STREAM) as session:
            jobs = await submit_jobs(session, JOBS)
            stories.append(await asyncio.gather(*(follow(job) for job in jobs)))
        assert sandbox.books.webhooks_delivered == ()
        assert_nobody_looked(sandbox)
        assert sandbox.books.notifications_outstanding == ()

    async with make_sandbox() as sandbox:
        async with make_session(sandbox, stream=STREAM) as session:
            stories.append(await by_webhooks(sandbox, session, submit_jobs, serve_asgi))
        assert sandbox.books.stream_connections == 1
        # a ping, and of each job: started, (image and count) for each of two, ended
        assert len(sandbox.books.webhooks_delivered) == 1 + JOBS * 6
        assert_nobody_looked(sandbox)
        assert sandbox.books.notifications_outstanding == ()

    assert stories == [EXPECTED] * 3


def assert_nobody_looked(sandbox: Sandbox) -> None:
    """What ended the jobs was not a status call; their results are read once they have ended."""
    requests = sandbox.books.api_requests
    assert "GET /jobs/{job_id}/status" not in requests
    assert requests["GET /jobs/{job_id}/results"] == JOBS


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({"webhook_duplicate": 10_000}, id="each-twice"),
        pytest.param({"webhook_reorder": 10_000}, id="in-pairs-turned-round"),
        pytest.param({"submit_delay": 0.3}, id="before-the-answer-of-their-post"),
    ],
)
async def test_webhooks_that_come_twice_or_in_disorder_lose_and_double_nothing(
    faults: dict[str, float],
    make_sandbox: Callable[..., Sandbox],
    make_session: Callable[..., Session],
    submit_jobs: Submit,
) -> None:
    async with make_sandbox(faults=Faults(**faults)) as sandbox:
        async with make_session(sandbox, stream=ONLY_WEBHOOKS) as session:
            told = await by_webhooks(sandbox, session, submit_jobs, serve_aiohttp)
            assert told == EXPECTED
        assert sandbox.books.notifications_outstanding == ()
        assert sandbox.faults.counts[next(iter(faults))] > 1


async def test_while_the_stream_is_down_webhooks_go_on_and_the_replay_counts_nothing_twice(
    make_sandbox: Callable[..., Sandbox],
    make_session: Callable[..., Session],
    submit_jobs: Submit,
) -> None:
    async with make_sandbox() as sandbox:
        async with make_session(sandbox, stream=STREAM, ack="manual") as session:
            async with listening(session, serve_aiohttp):
                jobs = await submit_jobs(session, JOBS)
                following = [asyncio.create_task(follow(job)) for job in jobs]
                await sandbox.stop_streams()
                assert await asyncio.gather(*following) == EXPECTED
            # Nothing was deleted, so the next connection is told everything once more.
            sandbox.allow_streams()
            async with session.notifications(names=["marker"]) as feed:
                sandbox.emit("marker", {})
                await anext(feed)
            for job in jobs:
                ids = [note.id async for note in job.events()]
                assert len(ids) == len(set(ids)) == 6
        assert sandbox.books.stream_connections == 2


async def test_a_webhook_that_is_never_taken_in_is_made_good_by_the_status(
    make_sandbox: Callable[..., Sandbox],
    make_session: Callable[..., Session],
    submit_jobs: Submit,
) -> None:
    polling = StreamSettings(connect=False, poll_every=0.1)
    async with make_sandbox() as sandbox, make_session(sandbox, stream=polling) as session:
        async with listening(session, serve_aiohttp) as receiver:
            receiver.secrets.clear()
            (job,) = await submit_jobs(session, 1)
            assert await follow(job) == EXPECTED[0]
        assert "GET /jobs/{job_id}/status" in sandbox.books.api_requests


async def test_notifications_of_somebody_else_are_answered_shown_and_left_alone(
    make_sandbox: Callable[..., Sandbox], make_session: Callable[..., Session]
) -> None:
    async with make_sandbox() as sandbox:
        async with (
            make_session(sandbox, stream=ONLY_WEBHOOKS) as session,
            listening(session, serve_aiohttp),
            session.notifications(names=["batch_edit"]) as feed,
        ):
            foreign = sandbox.emit("batch_edit", {"id_task": "theirs", "status": "completed"})
            assert (await anext(feed)).id == foreign
            await sandbox.webhooks_idle()
            assert foreign in sandbox.books.webhooks_delivered
        assert sandbox.books.notifications_outstanding == (foreign,)


async def test_the_ping_of_a_registration_is_refused_until_its_secret_is_known(
    make_sandbox: Callable[..., Sandbox], make_session: Callable[..., Session]
) -> None:
    async with make_sandbox() as sandbox, make_session(sandbox, stream=ONLY_WEBHOOKS) as session:
        receiver = WebhookReceiver(session)
        async with serve_aiohttp(receiver) as url:
            first = await session.webhooks.register(url)
            await sandbox.webhooks_idle()
            assert len(sandbox.books.webhooks_given_up) == 1
            receiver.secrets.add(first.secret)
            second = await session.webhooks.register(url)
            assert second.secret != first.secret
            assert second.last_response_status == 401
            receiver.secrets.add(second.secret)
            await sandbox.webhooks_idle()
            assert len(sandbox.books.webhooks_delivered) == 1
