from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from piktid_async.sandbox import Faults
from piktid_async.sandbox.settings import SandboxLimits
from tests.sandbox.conftest import Caller, Start

PICTURE = b"\xff\xd8\xff\xe0" + bytes(100)
BRIEF: dict[str, Any] = {"instructions": [{"prompt": "a tall person", "num_variations": 2}]}


def form(picture: bytes | None = PICTURE, **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    for name, value in fields.items():
        data.add_field(name, value)
    if picture is not None:
        data.add_field("image", picture, filename="face.jpg", content_type="image/jpeg")
    return data


async def upload(caller: Caller, **fields: str) -> Any:
    status, body = await caller.call("POST", "/identity/upload", data=form(**fields))
    assert status == 201, body
    return body


async def prepared(caller: Caller, code: str) -> list[dict[str, Any]]:
    """Read the stream until an identity is ready or has failed; return its events."""
    stream = await caller.stream(name_list="identity_preprocessing")
    notes = [note["data"] for note in await stream.synced()]
    while not notes or notes[-1]["status"] not in ("completed", "failed"):
        notes.append((await stream.live())["data"])
    stream.response.close()
    return [note for note in notes if note["identity_code"] == code]


async def test_an_upload_is_described_as_documented_and_prepared(caller: Caller) -> None:
    made = await upload(caller, name="Anna", tag="studio")
    assert made["success"] is made["face_detected"] is True
    assert made["image_description"] == {"tag": "studio"}
    notes = await prepared(caller, made["identity_code"])
    assert [note["status"] for note in notes] == ["processing", "completed"]
    status, body = await caller.get(f"/identity/{made['identity_code']}/status")
    assert (status, body) == (200, {"preprocessing_status": "completed", "error_message": None})
    status, picture = await caller.fetch(made["link"])
    assert (status, picture) == (200, PICTURE)


async def test_a_taken_name_is_a_409_with_the_code(caller: Caller) -> None:
    made = await upload(caller, name="Anna")
    status, body = await caller.call("POST", "/identity/upload", data=form(name="Anna"))
    assert status == 409
    assert body["existing_identity_code"] == made["identity_code"]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (form(None, name="Anna"), 400),
        (form(b"no picture at all"), 400),
        (form(name="x" * 256), 400),
    ],
)
async def test_a_form_against_the_rules_is_refused(
    caller: Caller, data: aiohttp.FormData, status: int
) -> None:
    assert (await caller.call("POST", "/identity/upload", data=data))[0] == status


async def test_json_is_no_form(caller: Caller) -> None:
    status, body = await caller.post("/identity/upload", {"name": "Anna"})
    assert (status, body["detail"][0]["field"]) == (400, "image")


async def test_the_fifty_first_identity_finds_no_slot(start: Start) -> None:
    caller = await start(limits=SandboxLimits(per_minute={}))
    for number in range(50):
        await upload(caller, name=f"Anna {number}")
    status, body = await caller.call("POST", "/identity/upload", data=form(name="Berta"))
    assert (status, body["error"]) == (429, "Maximum identities reached.")


async def test_a_list_comes_in_pages_and_is_filtered(caller: Caller) -> None:
    for number in range(5):
        await upload(caller, name=f"Anna {number}")
    _, body = await caller.get("/identity", search="anna", per_page="2", page="3")
    assert [each["name"] for each in body["identities"]] == ["Anna 0"]
    assert (body["pagination"]["total"], body["pagination"]["has_next"]) == (5, False)
    _, body = await caller.get("/identity", ownership="mine", sort_by="name", order="asc")
    assert [each["name"] for each in body["identities"]] == [f"Anna {n}" for n in range(5)]
    status, _ = await caller.get("/identity", sort_by="age")
    assert status == 400


async def test_metadata_and_points_of_view(caller: Caller) -> None:
    code = (await upload(caller))["identity_code"]
    path = f"/identity/{code}/metadata"
    status, body = await caller.call("PATCH", path, json={"gender": "female", "age": 30})
    assert (status, body["image_description"]) == (200, {"gender": "female", "age": 30})
    assert (await caller.call("PATCH", path, json={"gender": "other"}))[0] == 400
    status, body = await caller.call("POST", f"/identity/{code}/pov", data=form(pov_index="1"))
    assert (status, body["pov_index"], body["processed_count"]) == (200, 1, 1)
    assert (await caller.call("POST", f"/identity/{code}/pov", data=form()))[0] == 400
    assert (await caller.call("POST", "/identity/nobody/pov", data=form(pov_index="1")))[0] == 404


async def test_a_preparation_can_fail(start: Start) -> None:
    caller = await start(faults=Faults(identities_fail=1))
    code = (await upload(caller))["identity_code"]
    assert (await prepared(caller, code))[-1]["error_message"]
    _, body = await caller.get(f"/identity/{code}/status")
    assert body["preprocessing_status"] == "failed"
    swap = {
        "identity_code": code,
        "project_id": await caller.project(),
        "images": [await caller.upload()],
    }
    assert await caller.post("/model-swap", swap) == (
        400,
        {"error": f"Identity preprocessing failed: {code}"},
    )


async def test_a_draft_is_promoted_once_for_fifty_credits(caller: Caller) -> None:
    job_id = await caller.run("/identity/create", {**BRIEF, "name": "Spring"})
    drafts = (await caller.results(job_id))["results"]
    body = {"image_result_id": drafts[1]["id"]}
    status, made = await caller.post("/identity/promote-generated", body)
    assert status == 201
    await prepared(caller, made["identity_code"])
    assert caller.sandbox.books.credits_charged == 2 * 5.0 + 50.0
    _, job = await caller.get(f"/jobs/{made['preprocessing_job_id']}/status")
    assert (job["job_type"], job["status"]) == ("identity_preprocessing", "completed")
    status, again = await caller.post("/identity/promote-generated", body)
    assert (status, again["identity_code"]) == (409, made["identity_code"])
    _, second = await caller.post(
        "/identity/promote-generated", {"image_result_id": drafts[0]["id"]}
    )
    _, named = await caller.get(f"/identity/{second['identity_code']}")
    assert named["name"] == "Spring 2"


async def test_what_is_no_draft_cannot_be_promoted(caller: Caller) -> None:
    job_id = await caller.finished()
    (image,) = (await caller.results(job_id))["results"]
    path = "/identity/promote-generated"
    assert (await caller.post(path, {"image_result_id": image["id"]}))[0] == 404
    assert (await caller.post(path, {}))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {"instructions": []},
        {"instructions": [{}]},
        {"instructions": [{"prompt": "x", "num_variations": 9}]},
        {"instructions": [{"prompt": "x", "input_assets": [{"file_id": "f"}] * 4}]},
        {"instructions": [{"prompt": "x", "input_assets": [{"file_id": "nothing"}]}]},
        {"instructions": [{"face": "round"}]},
        {**BRIEF, "options": {"model": "gpt_image"}},
        {**BRIEF, "options": {"model": "orbita"}},  # the default size is 2K
        {"instructions": [{"prompt": "Somebody Famous at work"}]},
    ],
)
async def test_a_brief_against_the_rules_is_refused(start: Start, body: dict[str, Any]) -> None:
    caller = await start(blocked_words=["somebody famous"])
    status, answer = await caller.post("/identity/create", body)
    assert status == 400, answer


async def test_drafts_take_slots_of_the_pool(start: Start) -> None:
    caller = await start(limits=SandboxLimits(active_jobs=1), seconds_per_image=60.0)
    status, body = await caller.post("/identity/create", BRIEF)
    assert (status, body["total_variations"], body["num_instructions"]) == (202, 2, 1)
    status, body = await caller.post("/identity/create", BRIEF)
    assert status == 429
    assert "Concurrent" in body["error"]


async def test_drafts_are_pictures_that_differ(start: Start) -> None:
    caller = await start(render=True, image_scale=0.1)
    brief = {"hair": {"color": "red", "length": "long"}, "num_variations": 2}
    instruction = {**brief, "options": {"size": "1K", "ar": "1:1", "format": "png"}}
    job_id = await caller.run("/identity/create", {"instructions": [instruction]})
    links = [each["output"]["full_size"] for each in (await caller.results(job_id))["results"]]
    pictures = [(await caller.fetch(link))[1] for link in links]
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert pictures[0] != pictures[1]
