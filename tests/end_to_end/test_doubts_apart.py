"""Several submissions in doubt at once: each finds its own job, and stands in no other's way."""

from __future__ import annotations

import asyncio

from piktid_async import ImagePlayground, SubmissionUnknownError
from piktid_async.sandbox import Faults
from tests.end_to_end.conftest import PICTURE


async def test_a_generation_or_a_bare_prompt_in_doubt_does_not_hide_the_job_of_another(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        photos = await session.upload_many([PICTURE, PICTURE])
        first = await session.submit(ImagePlayground(prompt="dusk", images=[photos[0]]))
        await first
        sandbox.faults.change({"submit_lost": 3})
        doubts = await asyncio.gather(
            session.submit(ImagePlayground(prompt="dawn", conversation=first)),
            session.submit(ImagePlayground(prompt="a red coat")),
            session.submit(ImagePlayground(prompt="noon", images=[photos[1]])),
            return_exceptions=True,
        )
        assert [type(doubt) for doubt in doubts] == [SubmissionUnknownError] * 3
        generation, bare, other = doubts
        found = await other.reconcile()
        assert found is not None
        assert found.id != first.id
        assert (await generation.reconcile()).id == first.id
        assert await bare.reconcile() is None
        assert sandbox.books.jobs_created == 3


async def test_two_jobs_in_doubt_are_told_apart_by_their_images(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(submit_lost=2)) as sandbox,
        make_session(sandbox) as session,
    ):
        photos = await session.upload_many([PICTURE, PICTURE])
        doubts = await asyncio.gather(
            *(session.submit(ImagePlayground(prompt="noon", images=[each])) for each in photos),
            return_exceptions=True,
        )
        found = [await doubt.reconcile() for doubt in doubts]
        assert {job.id for job in found} == set(sandbox.books.jobs)
        for job, photo in zip(found, photos, strict=True):
            (made,) = [each for each in sandbox.books.outputs if each.job_id == job.id]
            assert made.inputs == (photo.file_id,)
