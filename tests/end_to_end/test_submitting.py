"""Submitting costs money: when it waits, when it is refused, and when nobody knows."""

from __future__ import annotations

import asyncio
import pickle
import time

import pytest

from piktid_async import (
    AccountLimits,
    BadRequestError,
    BudgetExceededError,
    ConnectionFailedError,
    GarmentRecolor,
    ImagePlayground,
    InsufficientCreditsError,
    InvalidRequestError,
    JobTimeoutError,
    NotFoundError,
    PermissionDeniedError,
    Session,
    SubmissionUnknownError,
)
from piktid_async.sandbox import Faults, SandboxLimits

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
PATH = "/garment-recolor"


async def recolor(session: Session, name: str = "spring", **options: object) -> GarmentRecolor:
    project = await session.projects.ensure(name)
    file = await session.upload(PICTURE)
    return GarmentRecolor(project=project, images=[file], reference_text="navy", **options)  # type: ignore[arg-type]


async def test_a_lost_202_is_not_sent_again_and_is_found(make_sandbox, make_session):
    async with make_sandbox(faults=Faults(submit_lost=1)) as sandbox:
        async with make_session(sandbox) as session:
            request = await recolor(session)
            with pytest.raises(SubmissionUnknownError) as caught:
                await session.submit(request)
            assert caught.value.request is request
            assert sandbox.books.jobs_created == 1
            job = await caught.value.reconcile()
            assert job is not None
            assert job.id in sandbox.books.jobs
            assert (await job).status == "completed"
            assert job.request is request
        assert sandbox.books.api_requests[f"POST {PATH}"] == 1
        assert sandbox.books.notifications_outstanding == ()


async def lost(
    session: Session, request: GarmentRecolor, times: int
) -> list[SubmissionUnknownError]:
    errors = []
    for _ in range(times):
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(request)
        errors.append(caught.value)
    return errors


async def test_equal_submissions_that_were_lost_together_get_a_job_each(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(submit_lost=3)) as sandbox,
        make_session(sandbox) as session,
    ):
        errors = await lost(session, await recolor(session), 3)
        jobs = [await error.reconcile() for error in errors]
        assert {job.id for job in jobs} == set(sandbox.books.jobs)
        assert session.in_doubt == ()


async def test_a_lost_202_is_never_guessed_among_more_jobs_than_submissions(
    make_sandbox, make_session
):
    async with (
        make_sandbox(faults=Faults(submit_lost=2)) as sandbox,
        make_session(sandbox) as session,
        make_session(sandbox) as other,
    ):
        request = await recolor(session)
        errors = await lost(session, request, 2)
        await other.submit(request)
        with pytest.raises(SubmissionUnknownError, match="3 jobs fit"):
            await errors[0].reconcile()


async def test_a_request_without_a_mark_is_looked_for_by_its_user(make_sandbox, make_session):
    """To answer that there is none would invite to pay again."""
    async with (
        make_sandbox(faults=Faults(submit_lost=1)) as sandbox,
        make_session(sandbox) as session,
    ):
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(ImagePlayground(prompt="a cat"))
        with pytest.raises(SubmissionUnknownError, match="leaves no mark"):
            await caught.value.reconcile()
        assert len(session.in_doubt) == sandbox.books.jobs_created == 1


async def test_a_doubt_that_is_dismissed_gives_back_what_it_held(make_sandbox, make_session):
    ours = AccountLimits(active_jobs=1, per_minute={})
    async with (
        make_sandbox(faults=Faults(submit_status=[502])) as sandbox,
        make_session(sandbox, limits=ours, max_credits=5) as session,
    ):
        request = await recolor(session)
        (error,) = await lost(session, request, 1)
        with pytest.raises(BudgetExceededError):
            await session.submit(request)
        for again in (error, pickle.loads(pickle.dumps(error)), error):
            again.dismiss()  # the second and third time there is nothing left to dismiss
        assert session.in_doubt == ()
        await asyncio.wait_for(session.run(request), 5)
        with pytest.raises(BudgetExceededError):
            await session.submit(request)
        assert sandbox.books.jobs_created == 1


async def test_no_error_of_run_invites_to_pay_again(make_sandbox, make_session):
    async with (
        make_sandbox(seconds_per_image=0.5) as sandbox,
        make_session(sandbox) as session,
    ):
        request = await recolor(session)
        with pytest.raises(JobTimeoutError) as caught:
            await session.run(request, timeout=0.01)
        (job_id,) = sandbox.books.jobs
        assert not caught.value.retryable
        assert f"session.job({job_id!r}, kind=...)" in caught.value.__notes__[0]
        job = session.job(job_id, kind=GarmentRecolor)
        with pytest.raises(JobTimeoutError) as caught:
            await job.result(timeout=0)
        assert caught.value.retryable
        await job


@pytest.mark.parametrize("status", [500, 502, 503, 408, 409])
async def test_an_answer_that_does_not_say_whether_is_in_doubt_and_not_repeated(
    status, make_sandbox, make_session
):
    async with (
        make_sandbox(faults=Faults(submit_status=[status])) as sandbox,
        make_session(sandbox) as session,
    ):
        with pytest.raises(SubmissionUnknownError, match=str(status)) as caught:
            await session.submit(await recolor(session))
        assert await caught.value.reconcile() is None
        assert sandbox.books.api_requests[f"POST {PATH}"] == 1
        copy = pickle.loads(pickle.dumps(caught.value))
        assert copy.request == caught.value.request


async def test_a_timeout_after_the_request_left_is_in_doubt(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(submit_delay=5.0)) as sandbox,
        make_session(sandbox, timeout=0.5) as session,
    ):
        with pytest.raises(SubmissionUnknownError, match="no answer in time") as caught:
            await session.submit(await recolor(session))
        job = await caught.value.reconcile()
        assert job is not None
        assert (await job).status == "completed"


async def test_a_server_that_is_not_there_was_certainly_not_asked(make_sandbox, make_session):
    async with make_sandbox() as sandbox:
        gone = make_session(sandbox, max_retries=1, max_credits=5)
    async with gone as session:
        request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
        for _ in range(2):  # the budget is not used up by what never left
            with pytest.raises(ConnectionFailedError) as caught:
                await session.submit(request)
            assert not caught.value.sent


@pytest.mark.parametrize(
    ("error", "options", "sandbox_options"),
    [
        (NotFoundError, {"project": "no-such-project"}, {}),
        (BadRequestError, {"images": ["no-such-file"]}, {}),
        (BadRequestError, {"model": "crayon"}, {}),
        (PermissionDeniedError, {"processing_size": 4096}, {"max_size": 2048}),
        (InsufficientCreditsError, {}, {"credits": 4.0}),
    ],
)
async def test_a_refusal_is_told_in_the_services_words_and_costs_nothing(
    error, options, sandbox_options, make_sandbox, make_session
):
    async with (
        make_sandbox(**sandbox_options) as sandbox,
        make_session(sandbox, max_credits=1000) as session,
    ):
        good = await recolor(session)
        fields = {"project": good.project, "images": good.images, "reference_text": "navy"}
        with pytest.raises(error) as caught:
            await session.submit(GarmentRecolor(**{**fields, **options}))
        assert str(caught.value.status) in str(caught.value)
        assert PATH in str(caught.value)
        assert caught.value.message
        assert sandbox.books.jobs_created == 0
        assert session._runtime.budget.spent == 0


async def test_what_is_missing_for_payment_is_told(make_sandbox, make_session):
    async with make_sandbox(credits=4.0) as sandbox, make_session(sandbox) as session:
        with pytest.raises(InsufficientCreditsError) as caught:
            await session.submit(await recolor(session))
        assert caught.value.required_credits == 5
        assert caught.value.user_credits == 4
        assert caught.value.in_progress_credits == 0


async def test_a_budget_stops_before_anything_is_sent(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox, max_credits=12) as session:
        request = await recolor(session)
        await asyncio.gather(session.submit(request), session.submit(request))
        with pytest.raises(BudgetExceededError, match="12"):
            await session.submit(request)
        assert sandbox.books.api_requests[f"POST {PATH}"] == 2


async def test_what_is_no_request_is_refused_by_name(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        with pytest.raises(InvalidRequestError, match="request: takes a job request"):
            await session.submit({"images": []})  # type: ignore[arg-type]


async def test_submissions_keep_the_limits_so_that_none_is_refused(make_sandbox, make_session):
    window = 0.5
    async with make_sandbox(limits=SandboxLimits(window=window), seconds_per_image=0.02) as sandbox:
        async with make_session(sandbox, limits=AccountLimits(window=window + 0.05)) as session:
            request = await recolor(session)
            began = time.monotonic()
            jobs = await asyncio.gather(*(session.submit(request) for _ in range(16)))
            results = await asyncio.gather(*jobs)
            assert time.monotonic() - began > 3 * window  # 5 + 5 + 5 + 1
        assert [result.status for result in results] == ["completed"] * 16
        assert sandbox.books.api_requests[f"POST {PATH}"] == 16


async def test_slots_are_waited_for_and_freed_by_jobs_nobody_awaits(make_sandbox, make_session):
    limits = SandboxLimits(active_jobs=2, per_minute={})
    async with make_sandbox(limits=limits, seconds_per_image=0.05) as sandbox:
        ours = AccountLimits(active_jobs=2, per_minute={})
        async with make_session(sandbox, limits=ours) as session:
            request = await recolor(session)
            for _ in range(6):
                await session.submit(request)
        assert sandbox.books.api_requests[f"POST {PATH}"] == 6


@pytest.mark.parametrize("limits", [{"active_jobs": 1, "per_minute": {}}, {"window": 0.5}])
async def test_a_429_of_either_kind_only_delays(limits, make_sandbox, make_session):
    unaware = AccountLimits(active_jobs=None, per_minute={}, window=0.5)  # for short pauses
    async with make_sandbox(limits=SandboxLimits(**limits), seconds_per_image=0.1) as sandbox:
        async with make_session(sandbox, limits=unaware) as session:
            request = await recolor(session)
            jobs = await asyncio.gather(*(session.submit(request) for _ in range(7)))
            await asyncio.gather(*jobs)
        assert sandbox.books.jobs_created == 7
        assert sandbox.books.api_requests[f"POST {PATH}"] > 7


async def test_a_submission_that_is_cancelled_while_waiting_its_turn_costs_nothing(
    make_sandbox, make_session
):
    async with make_sandbox(seconds_per_image=0.3) as sandbox:
        ours = AccountLimits(active_jobs=1, per_minute={})
        async with make_session(sandbox, limits=ours, max_credits=15) as session:
            request = await recolor(session)
            first = await session.submit(request)
            waiting = asyncio.create_task(session.submit(request))
            after = asyncio.create_task(session.submit(request))
            async for _ in first.outputs():
                break  # both are in the queue by now
            waiting.cancel()
            await first
            second = await after
            await second
        assert sandbox.books.jobs_created == 2
