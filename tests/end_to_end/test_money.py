"""What two hundred submissions cost when one answer is lost, and what a budget lets through."""

from __future__ import annotations

import asyncio
import random

import pytest

from piktid_async import (
    BudgetExceededError,
    GarmentRecolor,
    ImagePlayground,
    Job,
    StreamSettings,
    SubmissionUnknownError,
)

PATIENT = StreamSettings(keepalive=10.0, close_wait=60.0)
"""So that a slow machine is no fault, too."""

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
POST = "POST /garment-recolor"
PRICE = 5


def recolor(project, file):
    return GarmentRecolor(project=project, images=[file], reference_text="navy")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_one_lost_202_out_of_200_leaves_200_jobs_and_is_found(
    seed, make_sandbox, make_session
):
    place = random.Random(seed).randrange(200)
    async with (
        make_sandbox() as sandbox,
        make_session(sandbox, max_credits=200 * PRICE, stream=PATIENT) as session,
    ):
        project = await session.projects.ensure("the batch's own")
        files = await session.upload_many([PICTURE] * 200)

        async def submit(number):
            if number == place:
                sandbox.faults.submit_lost = 1
            try:
                return await session.submit(recolor(project, files[number]))
            except SubmissionUnknownError as error:
                # At once, while the answers of the others are still under way.
                return error, await error.reconcile()

        outcomes = await asyncio.gather(*(submit(number) for number in range(200)))
        ((error, found),) = [each for each in outcomes if isinstance(each, tuple)]
        assert found is not None
        assert error.request.images[0] in files
        jobs = [each for each in outcomes if not isinstance(each, tuple)] + [found]
        results = await asyncio.gather(*jobs)
        assert session.in_doubt == ()
    assert [result.status for result in results] == ["completed"] * 200
    assert {job.id for job in jobs} == set(sandbox.books.jobs)
    assert sandbox.books.api_requests[POST] == sandbox.books.jobs_created == 200
    assert sandbox.books.credits_charged == 200 * PRICE
    assert sandbox.books.notifications_outstanding == ()


@pytest.mark.parametrize("lost", [0, 3])
async def test_a_hundred_at_once_never_pass_the_budget_and_as_many_as_fit_are_made(
    lost, make_sandbox, make_session
):
    fit = 37
    async with (
        make_sandbox() as sandbox,
        make_session(sandbox, max_credits=fit * PRICE + PRICE - 1) as session,
    ):
        project = await session.projects.ensure("spring")
        files = await session.upload_many([PICTURE] * 100)
        sandbox.faults.submit_lost = lost
        outcomes = await asyncio.gather(
            *(session.submit(recolor(project, file)) for file in files), return_exceptions=True
        )
        refused = [each for each in outcomes if isinstance(each, BudgetExceededError)]
        assert len(refused) == 100 - fit
        assert len(session.in_doubt) == lost
        jobs = [each for each in outcomes if isinstance(each, Job)]
        jobs += [await doubt.reconcile() for doubt in session.in_doubt]
        assert session._runtime.budget.spent == fit * PRICE
        await asyncio.gather(*jobs)
    assert sandbox.books.api_requests[POST] == sandbox.books.jobs_created == fit
    assert {job.id for job in jobs} == set(sandbox.books.jobs)
    assert sandbox.books.credits_charged == fit * PRICE


async def test_what_was_refused_makes_room_for_others_in_the_budget(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox, max_credits=PRICE) as session:
        project = await session.projects.ensure("spring")
        file = await session.upload(PICTURE)
        sandbox.faults.submit_status = [402]
        with pytest.raises(Exception, match="402"):
            await session.submit(recolor(project, file))
        await session.submit(recolor(project, file))
        with pytest.raises(BudgetExceededError):
            await session.submit(recolor(project, file))
    assert sandbox.books.jobs_created == 1


@pytest.mark.parametrize("made", [True, False])
async def test_a_lost_generation_is_found_and_another_is_never_taken_for_it(
    made, make_sandbox, make_session
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        first = await session.submit(ImagePlayground(prompt="a red shoe"))
        await first
        if made:
            sandbox.faults.submit_lost = 1
        else:
            sandbox.faults.submit_status = [502]
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(ImagePlayground(prompt="darker", conversation=first))
        found = await caught.value.reconcile() if made else None
        after = await session.submit(ImagePlayground(prompt="blue", conversation=first))
        assert [output.image_index for output in (await after).outputs] == [2 if made else 1]
        if made:
            assert [output.image_index for output in (await found).outputs] == [1]
        else:
            assert await caught.value.reconcile() is None
        assert len(session.in_doubt) == (not made)


async def test_all_who_look_for_one_job_get_the_same(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        project = await session.projects.ensure("spring")
        file = await session.upload(PICTURE)
        sandbox.faults.submit_lost = 1
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(recolor(project, file))
        doubts = [caught.value, *session.in_doubt, *session.in_doubt]
        found = await asyncio.gather(*(doubt.reconcile() for doubt in doubts))
        assert len({id(job) for job in found}) == 1
        assert found[0] is not None
