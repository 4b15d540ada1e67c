"""`POST /edit-chat`, Image Playground."""

from __future__ import annotations

import asyncio

import pytest

from piktid_async.sandbox import Faults, SandboxLimits
from piktid_async.sandbox.rendering import PLAIN_JPEG

PATH = "/edit-chat"
IDENTITY = "default-pro-00000001"


async def test_it_answers_as_the_guide_shows(caller):
    status, answer = await caller.post(PATH, {"prompt": "A bottle of perfume", "size": "2K"})
    assert status == 202
    assert answer == {
        "job_id": answer["job_id"],
        "conversation_id": answer["job_id"],
        "status": "processing",
    }


async def test_the_status_is_completed_from_the_start(start):
    caller = await start(seconds_per_image=60.0)
    _, answer = await caller.post(PATH, {"prompt": "a hat"})
    _, body = await caller.get(f"/jobs/{answer['job_id']}/status")
    assert (body["job_type"], body["status"]) == ("edit_chat", "completed")
    assert (body["project_id"], body["project_text"], body["project_key"]) == (None, None, None)
    (row,) = (await caller.results(answer["job_id"]))["results"]
    assert row["status"] in ("pending", "processing")
    assert row["output"] == {"full_size": None, "thumbnail": None, "uuid": None}
    assert caller.sandbox.books.active_jobs == 0


async def test_there_is_an_image_result_for_each_variation_and_no_batch_edit(caller):
    job_id, results = await caller.generate(prompt="a hat", num_variations=3)
    assert [(data["image_index"], data["group_index"]) for data in results] == [
        (0, 0),
        (0, 1),
        (0, 2),
    ]
    assert set(results[0]) == {
        "id_task",
        "image_index",
        "group_index",
        "status",
        "output_link",
        "output_thumbnail_link",
    }
    assert await caller.fetch(results[0]["output_link"]) == (200, PLAIN_JPEG)
    _, notes = await caller.post("/notifications", {"name_list": ["batch_edit", "image_result"]})
    assert [note["name"] for note in notes] == ["image_result"] * 3
    body = await caller.results(job_id)
    assert body["status"] == "completed"
    assert {row["model_used"] for row in body["results"]} == {"nano_banana_2"}


async def test_a_conversation_goes_on_in_the_same_job(caller):
    photo = await caller.upload(filename="shoe.jpg")
    job_id, _ = await caller.generate(prompt="a wet street", image_ids=[photo], num_variations=2)
    again, results = await caller.generate(
        prompt="warmer", conversation_id=job_id, num_variations=2
    )
    assert again == job_id
    assert [(data["image_index"], data["group_index"]) for data in results] == [(1, 0), (1, 1)]
    swatch = await caller.upload(filename="swatch.jpg")
    await caller.generate(
        image_ids=[swatch], identity_codes=[IDENTITY], conversation_id=job_id, model="gpt_image"
    )
    body = await caller.results(job_id)
    assert [(row["image_index"], row["group_index"]) for row in body["results"]] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
    ]
    assert body["results"][4]["model_used"] == "gpt_image"
    assert [each["uuid"] for each in body["edit_chat_attachments"]] == [photo, swatch]
    assert body["edit_chat_identities"] == [{"identity_code": IDENTITY, "name": "Aria"}]
    assert body["summary"]["total_images"] == 5
    assert caller.sandbox.books.jobs_created == 1


async def test_generations_are_made_in_their_order(start):
    caller = await start(seconds_per_image=0.01)
    stream = await caller.stream()
    await stream.synced()
    _, first = await caller.post(PATH, {"prompt": "a hat", "num_variations": 2})
    job_id = first["job_id"]
    await asyncio.gather(
        *(caller.post(PATH, {"prompt": "more", "conversation_id": job_id}) for _ in range(3))
    )
    body = await caller.results(job_id)
    assert [row["image_index"] for row in body["results"]] == [0, 0, 1, 2, 3]
    seen = [(await stream.live())["data"]["image_index"] for _ in range(5)]
    assert seen == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "a hat", "output_mode": "ratio", "aspect_ratio": "21:9"},
        {"prompt": "a hat", "output_mode": "custom", "width": 512, "height": 2048},
        {"prompt": None, "identity_codes": [IDENTITY, "default-pro-00000002"]},
        {"prompt": "a hat", "image_ids": None, "conversation_id": None, "model": "seedream"},
    ],
)
async def test_every_documented_shape_is_taken(caller, body):
    status, answer = await caller.post(PATH, body)
    assert status == 202, answer


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prompt": 7}, "prompt"),
        ({"image_ids": "x"}, "image_ids"),
        ({"identity_codes": ["a", "b", "c"]}, "identity_codes"),
        ({"size": "8K"}, "size"),
        ({"size": 2048}, "size"),
        ({"num_variations": 5}, "num_variations"),
        ({"output_mode": "exact"}, "output_mode"),
        ({"output_mode": "ratio"}, "aspect_ratio"),
        ({"output_mode": "ratio", "aspect_ratio": "1:3"}, "aspect_ratio"),
        ({"width": 512.5}, "width"),
        ({"conversation_id": 7}, "conversation_id"),
    ],
)
async def test_a_malformed_field_is_named(caller, body, field):
    status, answer = await caller.post(PATH, {"prompt": "a hat", **body})
    assert (status, answer["error"]) == (400, "Invalid request")
    assert [problem["field"] for problem in answer["detail"]] == [field]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "at least one of"),
        ({"prompt": "", "image_ids": [], "identity_codes": []}, "at least one of"),
        ({"prompt": "a hat", "model": "dall-e"}, "Unsupported model"),
        ({"prompt": "a hat", "output_mode": "custom"}, "Invalid custom dimensions"),
        ({"prompt": "a hat", "width": 512}, "Invalid custom dimensions"),
        ({"prompt": "a hat", "width": 512, "height": 100}, "Invalid custom dimensions"),
    ],
)
async def test_other_bad_requests_are_a_plain_400(caller, body, words):
    status, answer = await caller.post(PATH, body)
    assert status == 400
    assert words in answer["error"]
    assert "detail" not in answer


async def test_whatever_it_refers_to_and_is_not_there_is_a_404(caller):
    recolored = await caller.finished()
    for body in (
        {"image_ids": ["nobody"]},
        {"identity_codes": ["nobody"]},
        {"prompt": "more", "conversation_id": "nobody"},
        {"prompt": "more", "conversation_id": recolored},
    ):
        assert (await caller.post(PATH, body))[0] == 404, body


async def test_plan_and_content_filter_answer_403(start):
    caller = await start(max_size=1024, custom_dimensions=False, blocked_words=["Weapon"])
    exact = {"output_mode": "custom", "width": 512, "height": 512}
    for body in (
        {"prompt": "a hat"},
        {"prompt": "a hat", "size": "1K", **exact},
        {"prompt": "A weapon.", "size": "1K"},
    ):
        assert (await caller.post(PATH, body))[0] == 403, body
    assert (await caller.post(PATH, {"prompt": "a hat", "size": "1K"}))[0] == 202


async def test_each_made_variation_is_charged_and_a_failed_one_is_free(start):
    caller = await start(credits=20.0, faults=Faults(images_fail=1))
    job_id, results = await caller.generate(prompt="a hat", num_variations=2)
    assert [data["status"] for data in results] == ["failed", "completed"]
    assert results[0]["output_link"] is None
    assert results[0]["error_message"]
    assert caller.sandbox.books.credits_left == 15.0
    await caller.generate(prompt="a cap", conversation_id=job_id, size="4K")
    assert caller.sandbox.books.jobs[job_id].credits_used == 15.0
    status, body = await caller.post(
        PATH, {"prompt": "more", "conversation_id": job_id, "num_variations": 2}
    )
    assert (status, body["required_credits"], body["user_credits"]) == (402, 10.0, 5.0)
    assert len((await caller.results(job_id))["results"]) == 3


async def test_what_waits_is_reserved(start):
    caller = await start(credits=12.0, seconds_per_image=60.0)
    assert (await caller.post(PATH, {"prompt": "a hat"}))[0] == 202
    assert await caller.post(PATH, {"prompt": "a hat", "size": "4K"}) == (
        402,
        {
            "error": "Insufficient credits",
            "required_credits": 10.0,
            "in_progress_credits": 5.0,
            "user_credits": 12.0,
        },
    )


async def test_fifteen_a_minute_and_no_slot_of_the_pool(start):
    caller = await start(limits=SandboxLimits(active_jobs=1), seconds_per_image=60.0)
    statuses = [(await caller.post(PATH, {"prompt": "a hat"}))[0] for _ in range(16)]
    assert statuses == [202] * 15 + [429]
    assert (await caller.post("/garment-recolor", await caller.wanted()))[0] == 202
    assert (await caller.post("/garment-recolor", await caller.wanted()))[0] == 429


async def test_the_gallery_lists_conversations_too(caller):
    job_id, _ = await caller.generate(prompt="a hat")
    _, body = await caller.get("/gallery/by-job", job_type="edit_chat")
    (job,) = body["jobs"]
    assert (job["job_id"], job["project_name"], job["total_images"]) == (job_id, None, 1)
    assert job["images"][0]["original_filename"] is None
    assert (await caller.get("/gallery/by-job", project_id="1"))[1]["jobs"] == []
