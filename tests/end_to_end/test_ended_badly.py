"""Outputs of a job that ended badly: an answer that does not come is no empty list."""

from __future__ import annotations

import pytest

from piktid_async import GarmentRecolor, JobFailedError, ServerError, StreamSettings
from piktid_async.sandbox import Faults
from tests.end_to_end.conftest import PICTURE

POLLING = StreamSettings(connect=False, poll_every=0.05)


async def test_outputs_of_a_failed_job_are_not_left_out_when_its_results_cannot_be_read(
    make_sandbox, make_session, tmp_path
):
    faults = Faults(images_fail=1, errors=100, on="GET /jobs/{job_id}/results")
    async with (
        make_sandbox(faults=faults) as sandbox,
        make_session(sandbox, stream=POLLING, max_retries=0) as session,
    ):
        project = await session.projects.ensure("badly")
        file = await session.upload(PICTURE)
        job = await session.submit(
            GarmentRecolor(project=project, images=[file], reference_text="navy")
        )
        with pytest.raises(ServerError):
            _ = [output async for output in job.outputs()]
        with pytest.raises(ServerError):
            await job.download(tmp_path)
        sandbox.faults.clear()
        assert [output.status async for output in job.outputs()] == ["failed"]
        with pytest.raises(JobFailedError):
            await job.download(tmp_path)
