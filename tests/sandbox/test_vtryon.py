"""The second service of the sandbox, asked by a bare HTTP program as its page shows."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import attrs
import pytest
from PIL import Image

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG

RECOLORS = "/v4/models/multipose-image-recolor/"
BODY: dict[str, Any] = {
    "pose_image_generation_id": 936,
    "color_changes": [
        {"target": "blouse", "color": "royal blue"},
        {"target": "lehenga", "color": "royal blue"},
    ],
    "image_quality": "2k",
}


@attrs.define
class Program:
    """A program that talks to one sandbox."""

    sandbox: Sandbox
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        more.setdefault("headers", {"x-api-key": self.sandbox.vtryon_key})
        url = self.sandbox.vtryon_url + path
        async with self.http.request(method, url, **more) as response:
            return response.status, await response.json()

    async def create(self, **changes: Any) -> int:
        status, body = await self.call("POST", RECOLORS, json=BODY | changes)
        assert status == 200, body
        number: int = body["id"]
        return number

    async def statuses(self, number: int) -> tuple[list[str], Any]:
        """Poll until the end; return each status that was seen, and the last answer."""
        seen: list[str] = []
        async with asyncio.timeout(20):
            while True:
                status, body = await self.call("GET", f"/v2/models/multipose-tasks/{number}/")
                assert status == 200
                if body["status"] not in seen:
                    seen.append(body["status"])
                if body["status"] in ("completed", "failed"):
                    return seen, body


@pytest.fixture
async def program() -> AsyncIterator[Program]:
    async with (
        Sandbox(render=False, vtryon_seconds=0.3) as sandbox,
        aiohttp.ClientSession() as http,
    ):
        yield Program(sandbox, http)


async def test_a_task_goes_through_all_its_statuses_to_a_picture(program: Program) -> None:
    status, made = await program.call("POST", RECOLORS, json=BODY)
    assert (status, made["id"], made["status"]) == (200, 501, "queued")
    assert datetime.fromisoformat(made["created_at"]).utcoffset() == timedelta(0)
    seen, done = await program.statuses(501)
    assert seen == ["queued", "pending", "processing", "completed"]
    assert set(done) == {"id", "status", "result_url"}
    assert not done["result_url"].startswith(program.sandbox.vtryon_url)
    async with program.http.get(done["result_url"]) as answer:
        assert (answer.status, answer.content_type) == (200, "image/jpeg")
        assert await answer.read() == PLAIN_JPEG
    assert program.sandbox.books.vtryon.tasks == {501: "completed"}


async def test_a_garment_that_is_not_there_fails_the_task_with_a_reason(program: Program) -> None:
    number = await program.create(color_changes=[{"target": "hat", "color": "red"}])
    seen, done = await program.statuses(number)
    assert seen[-1] == "failed"
    assert done["result_url"] is None
    assert done["error"] == "We couldn't find the hat in this image"


async def test_only_the_named_garment_changes_its_colour() -> None:
    async with (
        Sandbox(image_scale=0.25, vtryon_seconds=0) as sandbox,
        aiohttp.ClientSession() as http,
    ):
        program = Program(sandbox, http)
        pictures = {}
        for quality, color in (("2k", "royal blue"), ("4k", "forest green")):
            number = await program.create(
                color_changes=[{"target": "blouse", "color": color}], image_quality=quality
            )
            _, done = await program.statuses(number)
            async with http.get(done["result_url"]) as answer:
                pictures[color] = Image.open(io.BytesIO(await answer.read())).convert("RGB")
    blue, green = pictures["royal blue"], pictures["forest green"]
    assert max(blue.size) == 512
    assert max(green.size) == 1024

    def at(picture: Image.Image, x: float, y: float) -> tuple[int, ...]:
        pixel = picture.getpixel((round(x * picture.width), round(y * picture.height)))
        assert isinstance(pixel, tuple)
        return pixel

    for picture, channel in ((blue, 2), (green, 1)):
        blouse, lehenga = at(picture, 0.25, 0.5), at(picture, 0.75, 0.5)
        assert max(blouse) == blouse[channel]
        assert max(lehenga) == lehenga[0]  # burgundy, as it was


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "credentials were not provided"),
        ({"Authorization": "Bearer sandbox-vtryon-key"}, 401, "credentials were not provided"),
        ({"x-api-key": "wrong"}, 403, "Invalid API key"),
    ],
)
async def test_every_call_needs_the_key(
    program: Program, headers: dict[str, str], status: int, words: str
) -> None:
    for method, path in (
        ("POST", RECOLORS),
        ("GET", RECOLORS),
        ("GET", "/v2/models/multipose-tasks/1/"),
        ("DELETE", "/v2/models/multipose-tasks/1/"),
    ):
        answered, body = await program.call(method, path, headers=headers)
        assert answered == status
        assert words in body["detail"]


async def test_its_key_opens_nothing_of_the_other_service(program: Program) -> None:
    headers = {"Authorization": f"Bearer {program.sandbox.vtryon_key}"}
    async with program.http.get(f"{program.sandbox.url}/project", headers=headers) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"pose_image_generation_id": None}, 400, "pose_image_generation_id: this field is"),
        ({"pose_image_generation_id": "936"}, 400, "pose_image_generation_id: a valid integer"),
        ({"pose_image_generation_id": 1}, 404, "there is no task 1"),
        ({"models_image_generation_task_id": 1}, 404, "there is no task 1"),
        ({"color_changes": []}, 400, "color_changes: this field is required"),
        ({"color_changes": [{"target": "blouse"}]}, 400, "color_changes: each needs"),
        ({"color_changes": ["blouse"]}, 400, "color_changes: each needs"),
        ({"image_quality": "8k"}, 400, "image_quality"),
    ],
)
async def test_a_body_that_cannot_be_is_refused_and_makes_no_task(
    program: Program, changes: dict[str, Any], status: int, words: str
) -> None:
    answered, body = await program.call("POST", RECOLORS, json=BODY | changes)
    assert answered == status
    assert words in body["detail"]
    assert program.sandbox.books.vtryon.tasks == {}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]"])
async def test_what_is_no_json_object_is_refused(program: Program, raw: bytes) -> None:
    status, body = await program.call("POST", RECOLORS, data=raw)
    assert status == 400
    assert body["detail"]


async def test_a_model_task_alone_is_a_base_and_the_quality_has_a_default(
    program: Program,
) -> None:
    body = {"models_image_generation_task_id": 411, "color_changes": BODY["color_changes"]}
    status, _ = await program.call("POST", RECOLORS, json=body)
    assert status == 200


async def test_the_list_is_cut_into_pages_newest_first(program: Program) -> None:
    made = [await program.create() for _ in range(5)]
    _, first = await program.call("GET", RECOLORS, params={"page_size": 2})
    assert set(first) == {"count", "next", "previous", "results"}
    assert (first["count"], first["previous"]) == (5, None)
    assert [set(row) for row in first["results"]] == [{"id", "status", "result_url"}] * 2
    listed, page = [row["id"] for row in first["results"]], first
    while page["next"]:
        _, page = await program.call("GET", page["next"].removeprefix(program.sandbox.vtryon_url))
        listed += [row["id"] for row in page["results"]]
    assert listed == made[::-1]
    assert "page=2" in page["previous"]
    status, body = await program.call("GET", RECOLORS, params={"page": 4, "page_size": 2})
    assert (status, body) == (404, {"detail": "Invalid page."})


async def test_an_empty_list_has_one_page(program: Program) -> None:
    _, body = await program.call("GET", RECOLORS)
    assert body == {"count": 0, "next": None, "previous": None, "results": []}


async def test_a_deleted_task_is_gone_with_its_picture(program: Program) -> None:
    number = await program.create()
    _, done = await program.statuses(number)
    path = f"/v2/models/multipose-tasks/{number}/"
    assert await program.call("DELETE", path) == (200, {"detail": "Deleted successfully"})
    for method in ("GET", "DELETE"):
        assert await program.call(method, path) == (404, {"detail": "Not found."})
    async with program.http.get(done["result_url"]) as answer:
        assert answer.status == 404


async def test_a_running_task_can_be_deleted(program: Program) -> None:
    number = await program.create()
    status, _ = await program.call("DELETE", f"/v2/models/multipose-tasks/{number}/")
    assert status == 200
    assert program.sandbox.books.vtryon.tasks == {}


async def test_faults_are_done_as_often_as_asked(program: Program) -> None:
    faults: Faults = program.sandbox.faults
    faults.vtryon_create_lost = faults.vtryon_poll_errors = faults.vtryon_delete_lost = 1
    with pytest.raises(aiohttp.ClientError):
        await program.create()
    path = "/v2/models/multipose-tasks/501/"
    status, _ = await program.call("GET", path)
    assert status == 503
    status, _ = await program.call("GET", path)
    assert status == 200
    # aiohttp's own client repeats a DELETE whose connection breaks.
    status, _ = await program.call("DELETE", path)
    assert status == 404
    assert faults.counts["vtryon_delete_lost"] == 1


async def test_a_key_that_is_sent_to_the_files_is_noted(program: Program) -> None:
    _, done = await program.statuses(await program.create())
    assert not program.sandbox.books.vtryon.key_seen_by_files
    headers = {"x-api-key": program.sandbox.vtryon_key}
    async with program.http.get(done["result_url"], headers=headers) as answer:
        assert answer.status == 200
    assert program.sandbox.books.vtryon.key_seen_by_files


async def test_a_sandbox_that_stops_takes_its_tasks_along() -> None:
    async with Sandbox(render=False, vtryon_seconds=60) as sandbox, aiohttp.ClientSession() as http:
        await Program(sandbox, http).create()
    assert sandbox.books.vtryon.tasks == {501: "queued"}


def test_there_is_no_url_before_the_start() -> None:
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = Sandbox().vtryon_url
