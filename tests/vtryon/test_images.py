"""The pictures of the try-on page, against the sandbox."""

from __future__ import annotations

import math
from pathlib import Path

import aiohttp
import pytest

from piktid_async import InvalidRequestError, NotFoundError, UploadError
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG, PLAIN_PNG
from piktid_async.vtryon import VtryonSession
from tests.vtryon.support import BLUE


async def test_people_are_uploaded_listed_and_deleted(session: VtryonSession) -> None:
    images = session.person_images
    made = [await images.upload(PLAIN_JPEG, f"front {n}") for n in range(5)]
    assert len({image.id for image in made}) == 5
    assert [image async for image in images.list(page_size=2)] == made[::-1]
    assert [image.id async for image in images.list("front 3")] == [made[3].id]
    await images.delete(made[0])
    await images.delete(made[1].id)
    assert [image async for image in images.list()] == [made[4], made[3], made[2]]
    with pytest.raises(NotFoundError):
        await images.delete(made[0])


async def test_garments_are_a_list_of_their_own(session: VtryonSession, tmp_path: Path) -> None:
    photo = tmp_path / "shirt.png"
    photo.write_bytes(PLAIN_PNG)
    garment = await session.garment_images.upload(photo)
    assert [image async for image in session.garment_images.list("shirt")] == [garment]
    assert [image async for image in session.person_images.list()] == []
    with pytest.raises(NotFoundError):
        await session.person_images.delete(garment.id)


async def test_an_uploaded_picture_is_behind_its_link(session: VtryonSession) -> None:
    image = await session.person_images.upload(PLAIN_PNG)
    assert image.image_url is not None
    async with aiohttp.ClientSession() as http, http.get(image.image_url) as answer:
        assert (answer.status, await answer.read()) == (200, PLAIN_PNG)


async def test_what_cannot_be_sent_is_refused_before(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    for name in ("", 7, "half \ud83d"):
        with pytest.raises(InvalidRequestError, match=r"^name: "):
            await session.person_images.upload(PLAIN_JPEG, name)  # type: ignore[arg-type]
    with pytest.raises(UploadError):
        await session.garment_images.upload("/no/such/file.jpg")
    with pytest.raises(InvalidRequestError, match=r"^image: "):
        await session.person_images.delete("12")  # type: ignore[arg-type]
    assert not [call for call in sandbox.books.vtryon.requests if "tryon" in call.split("/")]


@pytest.mark.parametrize("timeout", ["x", math.nan, -1, True])
async def test_a_time_to_wait_is_checked(session: VtryonSession, timeout: object) -> None:
    task = await session.recolor(BLUE)
    with pytest.raises(InvalidRequestError, match=r"^timeout: must be seconds, 0 or more"):
        await task.result(timeout)  # type: ignore[arg-type]
