"""Waiting for jobs: many waiters, impatient ones, other loops, closed doors."""

from __future__ import annotations

import asyncio
import pickle

import pytest

from piktid_async import (
    AuthenticationError,
    GarmentRecolor,
    ImagePlayground,
    InvalidRequestError,
    JobFailedError,
    JobTimeoutError,
    ModelSwap,
    NotFoundError,
    OutputFailedError,
    Session,
    SessionClosedError,
    StreamSettings,
)
from piktid_async.sandbox import Faults

POLLING = StreamSettings(connect=False, poll_every=0.05)


async def test_ten_tasks_await_one_job_with_one_results_request(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        results = await asyncio.gather(*(job.result() for _ in range(10)))
        assert all(result is results[0] for result in results)
        assert sandbox.books.api_requests["GET /jobs/{job_id}/results"] == 1


async def test_a_cancelled_waiter_disturbs_neither_the_job_nor_the_others(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(seconds_per_image=0.1) as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        impatient = asyncio.create_task(job.result())
        patient = asyncio.create_task(job.result())
        async for _ in job.outputs():
            break
        impatient.cancel()
        assert (await patient).status == "completed"
        with pytest.raises(asyncio.CancelledError):
            await impatient
        assert (await job).status == "completed"


async def test_a_timeout_leaves_the_job_tracked_and_tells_what_there_is(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(seconds_per_image=0.3) as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        with pytest.raises(JobTimeoutError, match="can be awaited again") as caught:
            await job.result(timeout=0.05)
        assert caught.value.job_id == job.id
        assert isinstance(caught.value, TimeoutError)
        assert pickle.loads(pickle.dumps(caught.value)).job_id == job.id
        assert (await job).status == "completed"


async def test_outputs_start_from_the_first_whenever_the_iterator_starts(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        early = [output.key async for output in job.outputs()]
        await job
        late = [output.key async for output in job.outputs()]
        assert early == late == [(0, 0, 0), (1, 0, 0)]


async def test_outputs_are_handed_over_before_the_job_has_ended(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(seconds_per_image=0.1) as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        async for output in job.outputs():
            assert output.url is not None
            assert not job.done
            assert job.progress.processed <= 1
            break


async def test_a_completed_job_can_hold_a_failed_image(sandbox, session, tmp_path):
    from piktid_async.sandbox.imaging import sample_photos

    project = await session.projects.ensure("mixed")
    good, broken = await session.upload_many(
        [sample_photos(1, size=300)[0].data, b"\xff\xd8\xff" + b"no picture" * 30]
    )
    request = GarmentRecolor(project=project, images=[good, broken], reference_text="navy")
    job = await session.submit(request)
    outputs = [output async for output in job.outputs()]
    result = await job
    assert result.status == "completed"
    assert [len(result.ok), len(result.failed), len(outputs)] == [1, 1, 2]
    with pytest.raises(OutputFailedError, match="could not be read"):
        result.raise_for_failures()
    with pytest.raises(OutputFailedError):
        await result.failed[0].save(tmp_path / "x.jpg")
    saved = await job.download(tmp_path / "out")
    assert [path.name for path in saved] == ["0_0_v0.jpg"]


async def test_a_failed_job_raises_with_its_result(sandbox, session):
    project = await session.projects.ensure("broken")
    file = await session.upload(b"\xff\xd8\xff" + b"no picture" * 30)
    request = GarmentRecolor(project=project, images=[file], reference_text="navy")
    job = await session.submit(request)
    with pytest.raises(JobFailedError) as caught:
        await job
    assert caught.value.result is not None
    assert len(caught.value.result.failed) == 1
    assert pickle.loads(pickle.dumps(caught.value)).result.failed == caught.value.result.failed
    with pytest.raises(JobFailedError):
        await job.download("never")


async def test_a_job_that_is_invisible_at_first_is_waited_for(
    make_sandbox, make_session, submit_jobs
):
    faults = Faults(status_404_for=0.4, drop_events=10_000)
    async with make_sandbox(faults=faults) as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        assert (await job).status == "completed"


async def test_a_job_is_picked_up_by_its_id_in_another_session(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session:
            (made,) = await submit_jobs(session, 1)
            await made
        async with make_session(sandbox) as session:
            job = session.job(made.id, kind="garment_recolor")
            assert len((await job.result(timeout=5)).ok) == 2
            assert job.request is None
            assert job.total_outputs == 2


async def test_a_job_that_does_not_exist_is_an_error_and_not_a_wait(
    make_sandbox, make_session, monkeypatch
):
    monkeypatch.setattr("piktid_async.jobs.FOUND_WITHIN", 0.2)
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        job = session.job("job_none", kind=GarmentRecolor)
        with pytest.raises(NotFoundError):
            await job.result(timeout=10)
        with pytest.raises(NotFoundError):
            [output async for output in job.outputs()]
    with pytest.raises(InvalidRequestError, match="kind"):
        session.job("x", kind="watercolour")


async def test_waiters_are_told_when_the_session_closes_and_the_job_goes_on(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(seconds_per_image=0.2) as sandbox:
        session = make_session(sandbox)
        (job,) = await submit_jobs(session, 1)
        waiter = asyncio.create_task(job.result())
        watcher = asyncio.create_task(anext(job.outputs()))
        async with session.notifications(names=["nothing"]) as feed:
            reader = asyncio.create_task(anext(feed, None))
            await asyncio.sleep(0)
            await session.close()
            await session.close()
            assert await reader is None
        for waiting in (waiter, watcher):
            with pytest.raises(SessionClosedError):
                await waiting
        with pytest.raises(SessionClosedError):
            await job
        with pytest.raises(SessionClosedError):
            await session.upload(b"\xff\xd8\xff")
        with pytest.raises(SessionClosedError):
            session.job(job.id, kind="garment_recolor")
        assert session.stream_state == "closed"
        assert sandbox.books.active_jobs == 1


async def test_closing_delivers_pending_acknowledgements_and_is_bounded_when_it_cannot(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(faults=Faults(acks_fail=1_000_000)) as sandbox:
        session = make_session(sandbox)
        (job,) = await submit_jobs(session, 1)
        await job
        async with asyncio.timeout(5):
            await session.close()
        assert sandbox.books.acknowledged == ()


async def test_a_refused_token_is_told_to_whoever_asks(make_sandbox):
    async with (
        make_sandbox() as sandbox,
        Session("wrong-token", base_url=sandbox.url) as session,
    ):
        with pytest.raises(AuthenticationError):
            await session.projects.ensure("x")
        request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
        with pytest.raises(AuthenticationError):
            await session.submit(request)
        with pytest.raises(AuthenticationError):
            async with session.notifications():
                pass
        job = session.job("job_x", kind="garment_recolor")
        with pytest.raises(AuthenticationError):
            await job.result(timeout=5)


async def test_without_a_stream_jobs_are_followed_by_their_status(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox, make_session(sandbox, stream=POLLING) as session:
        (job,) = await submit_jobs(session, 1)
        assert [output.key async for output in job.outputs()] == [(0, 0, 0), (1, 0, 0)]
        assert sandbox.books.stream_connections == 0
        assert session.stream_state == "idle"


async def test_a_stream_that_is_refused_for_good_is_replaced_by_status_calls(
    make_sandbox, make_session, submit_jobs
):
    async with (
        make_sandbox(faults=Faults(stream_refuse=True)) as sandbox,
        make_session(sandbox) as session,
    ):
        (job,) = await submit_jobs(session, 1)
        assert (await job.result(timeout=10)).status == "completed"


@pytest.mark.parametrize("kind", ["edit_chat", "create_packshot"])
async def test_a_job_that_is_picked_up_as_another_kind_says_what_it_is(
    make_sandbox, make_session, submit_jobs, kind
):
    async with make_sandbox(seconds_per_image=0.2) as sandbox, make_session(sandbox) as session:
        (running,) = await submit_jobs(session, 1)
        async with make_session(sandbox) as other:
            for job in (running, running):  # while it runs, and when it has ended
                picked = other.job(job.id, kind=kind)
                with pytest.raises(InvalidRequestError) as caught:
                    await picked.result(10)
                assert caught.value.field == "kind"
                assert f"is of kind 'garment_recolor', not '{kind}'" in str(caught.value)
                await running
            assert len((await other.job(running.id, kind="garment_recolor")).ok) == 2


async def test_a_conversation_that_is_picked_up_as_another_kind_says_what_it_is(
    make_sandbox, make_session
):
    async with make_sandbox(seconds_per_image=0.2) as sandbox, make_session(sandbox) as session:
        chat = await session.submit(ImagePlayground(prompt="a red shoe", num_variations=2))
        async with make_session(sandbox) as other:
            with pytest.raises(InvalidRequestError, match="kind 'edit_chat', not 'model_swap'"):
                await other.job(chat.id, kind=ModelSwap)
        await chat
