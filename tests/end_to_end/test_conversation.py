"""Image Playground conversations: one job id, many generations, each ending by its own images."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from piktid_async import (
    CreatePackshot,
    GarmentRecolor,
    ImagePlayground,
    InvalidRequestError,
    JobFailedError,
    PackshotInstruction,
    SubmissionUnknownError,
)
from piktid_async.sandbox import Faults
from tests.end_to_end.conftest import PICTURE, QUICK


async def told(job) -> list[tuple[int, int, int]]:
    return [output.key async for output in job.outputs()]


def pair(index: int) -> list[tuple[int, int, int]]:
    return [(index, 0, 0), (index, 1, 0)]


async def test_three_generations_beside_twenty_jobs_end_with_their_own_outputs_through_two_cuts(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(seconds_per_image=0.05) as sandbox:
        async with make_session(sandbox) as session:
            others = await submit_jobs(session, 20)
            first = await session.submit(ImagePlayground(prompt="a red shoe", num_variations=2))
            cut = asyncio.create_task(sandbox.cut_streams())
            assert await told(first) == pair(0)
            await cut
            second = await session.submit(
                ImagePlayground(prompt="on wet asphalt", num_variations=2, conversation=first)
            )
            third = await session.submit(
                ImagePlayground(prompt="at night", num_variations=2, conversation=first)
            )
            await sandbox.cut_streams()
            assert await asyncio.gather(told(second), told(third)) == [pair(1), pair(2)]
            results = [await job for job in (first, second, third)]
            recolored = await asyncio.gather(*others)
        assert [job.id for job in (second, third)] == [first.id] * 2
        keys = [[output.key for output in result.outputs] for result in results]
        assert keys == [pair(0), pair(1), pair(2)]
        assert [result.status for result in results] == ["completed"] * 3
        assert all(len(result.ok) == 2 for result in recolored)
        assert sandbox.books.notifications_outstanding == ()


async def test_old_events_of_a_conversation_do_not_end_a_new_generation(make_sandbox, make_session):
    async with make_sandbox(seconds_per_image=0.05) as sandbox:
        async with make_session(sandbox, ack="never") as session:
            first = await session.submit(ImagePlayground(prompt="a red shoe"))
            await first
        async with make_session(sandbox) as session:  # the first image is replayed to it
            again = await session.submit(ImagePlayground(prompt="blue", conversation=first.id))
            assert await told(again) == [(1, 0, 0)]
            assert [output.key for output in (await again).outputs] == [(1, 0, 0)]


async def test_two_continuations_at_once_get_a_generation_each(make_sandbox, make_session):
    async with make_sandbox(seconds_per_image=0.05) as sandbox, make_session(sandbox) as session:
        first = await session.submit(ImagePlayground(prompt="a red shoe"))
        more = ImagePlayground(prompt="darker", conversation=first)
        jobs = await asyncio.gather(*(session.submit(more) for _ in range(3)))
        assert sorted([await told(job) for job in jobs]) == [[(n, 0, 0)] for n in (1, 2, 3)]


async def test_a_generation_whose_events_are_lost_ends_by_the_results(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(drop_events=100)) as sandbox,
        make_session(sandbox) as session,
    ):
        job = await session.submit(ImagePlayground(prompt="a red shoe", num_variations=2))
        assert await told(job) == pair(0)


async def test_a_conversation_is_picked_up_by_its_id_at_its_newest_generation(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session:
            first = await session.submit(ImagePlayground(prompt="a red shoe"))
            await first
            second = await session.submit(ImagePlayground(prompt="blue", conversation=first))
            await second
        async with make_session(sandbox) as session:
            job = session.job(first.id, kind="edit_chat")
            assert [output.key for output in (await job.result(5)).outputs] == [(1, 0, 0)]


async def test_a_lost_answer_to_a_continuation_is_found_in_the_conversation(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        first = await session.submit(ImagePlayground(prompt="a red shoe"))
        await first
        sandbox.faults.submit_lost = 1
        more = ImagePlayground(prompt="blue", conversation=first)
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(more)
        job = await caught.value.reconcile()
        assert job is not None
        assert [output.key for output in (await job).outputs] == [(1, 0, 0)]


async def test_images_are_made_anew_and_old_versions_kept(make_sandbox, make_session, submit_jobs):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        await job
        output = await (await job.regenerate(1))
        assert output.key == (1, 0, 1)
        assert [each.key for each in await job.versions(1)] == [(1, 0, 0), (1, 0, 1)]
        newest = (await job.fetch_results()).outputs
        assert [each.key for each in newest] == [(0, 0, 0), (1, 0, 1)]
        for wrong in (-1, "x", True):
            with pytest.raises(InvalidRequestError, match="image_index"):
                await job.regenerate(wrong)
            with pytest.raises(InvalidRequestError, match="image_index"):
                await job.versions(wrong)


async def test_the_finishing_pass_is_waited_for_when_asked(make_sandbox, make_session, submit_jobs):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        result = await job.result(10, wait_for_post_processing=True)
        assert result.post_processing_status == "completed"
        assert sandbox.books.api_requests["GET /jobs/{job_id}/status"] >= 1


async def test_many_jobs_are_packed_into_one_zip(make_sandbox, make_session, submit_jobs, tmp_path):
    import zipfile

    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        jobs = await submit_jobs(session, 3)
        path = await session.download_zip(jobs, tmp_path / "all.zip")
        with zipfile.ZipFile(path) as packed:
            assert len(packed.namelist()) == 6
        assert sandbox.books.api_requests["POST /download/bulk"] == 1


async def test_more_than_a_hundred_images_are_fetched_in_parts_and_joined(
    make_sandbox, make_session, submit_jobs, tmp_path
):
    import zipfile

    async with make_sandbox(seconds_per_image=0) as sandbox, make_session(sandbox) as session:
        jobs = await submit_jobs(session, 11, images=10)
        path = await session.download_zip(jobs, tmp_path / "all.zip")
        with zipfile.ZipFile(path) as packed:
            assert len(packed.namelist()) == len(set(packed.namelist())) == 110
            folders = {name.split("/")[0] for name in packed.namelist()}
            assert folders == {job.id for job in jobs}
        assert sandbox.books.api_requests["POST /download/bulk"] == 1  # and the last by itself
        assert [each.name for each in tmp_path.iterdir()] == ["all.zip"]
        with pytest.raises(InvalidRequestError, match="at least one job"):
            await session.download_zip([], tmp_path / "none.zip")


async def test_a_job_of_more_than_a_hundred_images_is_packed_alone_and_with_others(
    make_sandbox, make_session, tmp_path
):
    import zipfile

    async with make_sandbox(seconds_per_image=0) as sandbox, make_session(sandbox) as session:
        file = await session.upload(PICTURE)
        options = {"project": await session.projects.ensure("large"), "images": [file]}
        shot = PackshotInstruction(style="free", num_variations=8)
        large = await session.submit(CreatePackshot(**options, instructions=[shot] * 13))
        small = await session.submit(CreatePackshot(**options, instructions=[shot]))
        both = await session.download_zip([small, large, small], tmp_path / "both.zip")
        alone = await session.download_zip([large], tmp_path / "alone.zip")
        with zipfile.ZipFile(both) as packed:
            folders = [name.split("/")[0] for name in packed.namelist()]
            assert (folders.count(small.id), folders.count(large.id)) == (8, 104)
        with zipfile.ZipFile(alone) as packed:
            assert len(packed.namelist()) == 104
        with pytest.raises(InvalidRequestError, match=r"jobs: takes jobs: pick one up with"):
            await session.download_zip([large.id], tmp_path / "id.zip")


async def test_a_job_that_failed_is_not_packed(sandbox, session, tmp_path):
    project = await session.projects.ensure("broken")
    file = await session.upload(b"\xff\xd8\xff" + b"no picture" * 30)
    job = await session.submit(
        GarmentRecolor(project=project, images=[file], reference_text="navy")
    )
    with pytest.raises(JobFailedError):
        await session.download_zip([job], tmp_path / "all.zip")


def darker(conversation, variations: int) -> ImagePlayground:
    return ImagePlayground(prompt="darker", num_variations=variations, conversation=conversation)


async def test_a_running_generation_that_is_picked_up_ends_by_its_events(
    make_sandbox, make_session
):
    patient = attrs.evolve(QUICK, silent_after=60.0, silent_longest=60.0)
    async with make_sandbox(seconds_per_image=0.3) as sandbox, make_session(sandbox) as session:
        running = await session.submit(ImagePlayground(prompt="a red shoe", num_variations=2))
        async with make_session(sandbox, stream=patient) as fresh:
            job = fresh.job(running.id, kind="edit_chat")
            asked = "GET /jobs/{job_id}/results"
            assert await told(job) == pair(0)
            # One to learn which generation, one for the results at its end; none on a guess.
            assert job.total_outputs == 2
            assert sandbox.books.api_requests[asked] <= 2
        await running


async def test_each_pick_up_of_a_conversation_is_of_its_newest_generation(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        first = await session.submit(ImagePlayground(prompt="a red shoe"))
        await first
        async with make_session(sandbox) as other:
            before = other.job(first.id, kind="edit_chat")
            assert [output.key for output in (await before).outputs] == [(0, 0, 0)]
            await (await session.submit(darker(first, 1)))
            after = other.job(first.id, kind="edit_chat")
            assert [output.key for output in (await after).outputs] == [(1, 0, 0)]
            assert [output.key for output in (await before).outputs] == [(0, 0, 0)]
        again = session.job(first.id, kind="edit_chat")
        assert [output.key for output in (await again).outputs] == [(1, 0, 0)]


async def test_what_was_made_anew_is_the_result_from_then_on(
    make_sandbox, make_session, submit_jobs, tmp_path
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        (job,) = await submit_jobs(session, 1)
        assert [output.key for output in (await job).outputs] == [(0, 0, 0), (1, 0, 0)]
        await (await job.regenerate(1))
        asked = sandbox.books.api_requests["GET /jobs/{job_id}/results"]
        assert [output.key for output in (await job).outputs] == [(0, 0, 0), (1, 0, 1)]
        # The old version is in no results any more, so it is not waited for.
        assert sandbox.books.api_requests["GET /jobs/{job_id}/results"] == asked + 1
        saved = await job.download(tmp_path)
        assert [path.stem for path in saved] == ["0_0_v0", "1_0_v1"]
        sandbox.faults.images_fail = 1
        assert (await (await job.regenerate(0))).status == "failed"
        # A picture is worth more than none.
        assert [output.key for output in (await job).ok] == [(0, 0, 0), (1, 0, 1)]


async def test_a_generation_without_any_image_says_why(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(images_fail=2)) as sandbox,
        make_session(sandbox) as session,
    ):
        job = await session.submit(ImagePlayground(prompt="a red shoe", num_variations=2))
        with pytest.raises(JobFailedError) as caught:
            await job
        result = caught.value.result
        assert result is not None
        assert result.failed[0].error_message in str(caught.value)
