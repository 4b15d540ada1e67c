"""The account's limits, kept on this side: no refusal, no slot wasted, none leaked."""

from __future__ import annotations

import asyncio
import time

import pytest

from piktid_async import (
    AccountLimits,
    ConfigurationError,
    GarmentRecolor,
    ImagePlayground,
    InvalidRequestError,
    Job,
    ModelSwap,
    Session,
    SubmissionUnknownError,
)
from piktid_async.sandbox import Faults, SandboxLimits

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
PATH = "/garment-recolor"
SWAP = "/model-swap"


async def recolor(session: Session, **options: object) -> GarmentRecolor:
    project = await session.projects.ensure("spring")
    file = await session.upload(PICTURE)
    return GarmentRecolor(project=project, images=[file], reference_text="navy", **options)  # type: ignore[arg-type]


async def test_sixty_submissions_are_never_refused_and_waste_no_window(make_sandbox, make_session):
    """Twelve windows of five: eleven waits of a window each are the best that can be had."""
    window = 0.3
    limits = {"per_minute": {PATH: 5}, "window": window}
    async with make_sandbox(
        limits=SandboxLimits(active_jobs=5, **limits), seconds_per_image=0
    ) as sandbox:
        ours = AccountLimits(active_jobs=5, **limits)
        async with make_session(sandbox, limits=ours) as session:
            request = await recolor(session)
            began = time.monotonic()
            jobs = await asyncio.gather(*(session.submit(request) for _ in range(60)))
            took = time.monotonic() - began
            await asyncio.gather(*jobs)
        assert sandbox.books.jobs_created == 60
        assert sandbox.books.api_requests[f"POST {PATH}"] == 60  # so none was refused
    assert took >= 11 * window


async def test_what_waits_is_told_while_it_waits(make_sandbox, make_session):
    async with make_sandbox(seconds_per_image=0.3) as sandbox:
        ours = AccountLimits(active_jobs=2, per_minute={PATH: 9})
        async with make_session(sandbox, limits=ours) as session:
            assert session.limits.account == ours
            assert session.limits.waiting == ()
            request = await recolor(session)
            first = [await session.submit(request) for _ in range(2)]
            waiting = [asyncio.create_task(session.submit(request)) for _ in range(2)]
            await first[0].fetch_status()  # the two have queued up by now
            report = session.limits
            assert report.jobs == tuple(job.id for job in first)
            assert [(each.path, each.waits_for) for each in report.waiting] == [
                (PATH, "slot"),
                (PATH, "turn"),
            ]
            (window,) = report.windows
            assert (window.path, window.limit, window.used) == (PATH, 9, 2)
            jobs = await asyncio.gather(*waiting)
            await asyncio.gather(*jobs)
            assert session.limits.jobs == session.limits.waiting == ()
            assert session.limits.seconds_per_job is not None


async def test_limits_can_be_changed_while_submissions_wait(make_sandbox, make_session):
    async with make_sandbox(seconds_per_image=30) as sandbox:
        ours = AccountLimits(active_jobs=1, per_minute={})
        async with make_session(sandbox, limits=ours) as session:
            request = await recolor(session)
            await session.submit(request)
            waiting = asyncio.create_task(session.submit(request))
            await session.projects.ensure("other")
            assert len(session.limits.waiting) == 1
            session.set_limits(AccountLimits(active_jobs=2, per_minute={}))
            assert isinstance(await asyncio.wait_for(waiting, 5), Job)
            with pytest.raises(ConfigurationError, match="limits must be AccountLimits"):
                session.set_limits(5)


async def test_a_doubt_holds_its_slot_until_it_was_looked_for(make_sandbox, make_session):
    """The service counts the job of a lost 202: to send the next one would be refused."""
    async with make_sandbox(faults=Faults(submit_lost=1), seconds_per_image=0.3) as sandbox:
        ours = AccountLimits(active_jobs=1, per_minute={})
        async with make_session(sandbox, limits=ours) as session:
            request = await recolor(session)
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(request)
            assert session.limits.in_doubt == 1
            waiting = asyncio.create_task(session.submit(request))
            job = await caught.value.reconcile()
            assert job is not None
            assert session.limits.in_doubt == 0
            assert session.limits.jobs == (job.id,)
            assert not waiting.done()
            await job
            await (await waiting)


async def test_a_doubt_that_was_no_job_frees_its_slot(make_sandbox, make_session):
    async with make_sandbox(faults=Faults(submit_status=[502])) as sandbox:
        ours = AccountLimits(active_jobs=1, per_minute={})
        async with make_session(sandbox, limits=ours) as session:
            request = await recolor(session)
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(request)
            assert await caught.value.reconcile() is None
            await asyncio.wait_for(session.run(request), 5)


async def test_a_job_that_is_picked_up_takes_a_slot_while_it_runs(make_sandbox, make_session):
    async with make_sandbox(seconds_per_image=0.5) as sandbox, make_session(sandbox) as maker:
        request = await recolor(maker)
        made = await maker.submit(request)
        ours = AccountLimits(active_jobs=1, per_minute={})
        async with make_session(sandbox, limits=ours) as session:
            job = session.job(made.id, kind="garment_recolor")
            await job.fetch_status()
            assert session.limits.jobs == (made.id,)
            waiting = asyncio.create_task(session.submit(request))
            await job
            await asyncio.wait_for(waiting, 5)


async def test_jobs_of_others_only_delay_and_their_end_is_noticed(make_sandbox, make_session):
    """The other program fills the account; the pause of a minute ends when its job does."""
    limits = SandboxLimits(active_jobs=1, per_minute={})
    ours = AccountLimits(active_jobs=5, per_minute={}, window=3000.0)
    async with (
        make_sandbox(limits=limits, seconds_per_image=0.5) as sandbox,
        make_session(sandbox) as other,
        make_session(sandbox, limits=ours) as session,
    ):
        request = await recolor(other)
        theirs = await other.submit(request)
        await asyncio.wait_for(session.submit(request), 10)
        assert theirs.done or (await theirs.fetch_status()).status == "completed"
        assert sandbox.books.api_requests[f"POST {PATH}"] == 3  # one of them was refused


async def test_an_estimate_adds_up_credits_and_time(sandbox, session):
    sandbox_project, file = "p", "f"
    small = GarmentRecolor(
        project=sandbox_project, images=[file], reference_text="x", processing_size=1024
    )
    swap = ModelSwap(project=sandbox_project, images=[file], identity="Aria")
    prompt = ImagePlayground(prompt="a red coat", size="1K")
    estimate = await session.estimate([small] * 11 + [prompt])
    assert (estimate.jobs, estimate.outputs, estimate.unpriced) == (12, 12, 0)
    assert estimate.credits == float(estimate) == 11 * 3.0 + 3.0
    assert estimate.seconds == 120.0  # five at once, five after a minute, the last after two

    async def drawn():
        yield swap

    priced = await session.estimate(drawn())
    assert priced.jobs == 1
    assert priced.seconds == 0.0
    with pytest.raises(InvalidRequestError, match="requests: takes a job request"):
        await session.estimate(["red"])
    with pytest.raises(InvalidRequestError, match="requests: must be a list of requests"):
        await session.estimate(5)
    assert sandbox.books.api_requests == {}
