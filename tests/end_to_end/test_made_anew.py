"""An image that was made anew is part of the job from then on."""

from __future__ import annotations

from piktid_async import GarmentRecolor
from piktid_async.sandbox import Faults
from tests.end_to_end.conftest import PICTURE


async def test_after_a_regeneration_the_result_and_the_files_are_the_newest(
    make_sandbox, make_session, tmp_path
):
    async with (
        make_sandbox(faults=Faults(images_fail=1)) as sandbox,
        make_session(sandbox) as session,
    ):
        project = await session.projects.ensure("anew")
        files = await session.upload_many([PICTURE, PICTURE])
        job = await session.submit(
            GarmentRecolor(project=project, images=files, reference_text="navy")
        )
        (failed,) = (await job).failed
        await (await job.regenerate(failed.image_index))
        result = await job
        assert not result.failed
        assert sorted(output.key for output in result.ok) == [(0, 0, 1), (1, 0, 0)]
        saved = await job.download(tmp_path)
        assert sorted(path.name for path in saved) == ["0_0_v1.jpg", "1_0_v0.jpg"]
