"""Images that hang: listed, and given up so that their jobs can end."""

from __future__ import annotations

from typing import Any

import pytest

from piktid_async import (
    AccountLimits,
    GarmentRecolor,
    InvalidRequestError,
    Session,
    StreamSettings,
)
from piktid_async.sandbox import Faults, Sandbox

PICTURE = b"\xff\xd8\xff\xe0" + bytes(500)


async def test_an_image_that_hangs_is_listed_and_given_up() -> None:
    quick = StreamSettings(silent_after=0.2, poll_every=0.1)
    async with (
        Sandbox(
            render=False, seconds_per_image=0, limits=False, faults=Faults(images_stuck=1)
        ) as sandbox,
        Session(
            sandbox.token, base_url=sandbox.url, limits=AccountLimits.unlimited(), stream=quick
        ) as session,
    ):
        project = await session.projects.ensure("stuck")
        files = await session.upload_many([PICTURE] * 2)
        job = await session.submit(
            GarmentRecolor(project=project, images=files, reference_text="navy")
        )
        async for note in job.events():
            if note.data["status"] == "processing":
                break
        listed = session.stuck_images(min_hours=0, status="processing")
        stuck = [image async for image in listed]
        assert [(image.job_id, image.image_index) for image in stuck] == [(job.id, 0)]
        assert await session.fail_stuck_images(stuck, "given up") == 1
        result = await job.result(timeout=10)
        assert [output.error_message for output in result.failed] == ["given up"]
        assert [output.image_index for output in result.ok] == [1]


async def test_what_cannot_be_meant_is_refused_before_anything_is_sent() -> None:
    async with Session("token", base_url="http://127.0.0.1:9") as session:
        wrong: Any
        for wrong in (["x"], 5, "17", [True], [-1], [None]):
            with pytest.raises(InvalidRequestError, match=r"^images: "):
                await session.fail_stuck_images(wrong)
        for wrong in ("x", -1, float("nan")):
            with pytest.raises(InvalidRequestError, match=r"^min_hours: must be hours, 0 or more"):
                session.stuck_images(min_hours=wrong)
