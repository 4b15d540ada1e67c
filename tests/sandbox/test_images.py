"""Single images of jobs: new versions, and those that are stuck."""

from __future__ import annotations

import io
import zipfile

import pytest

from piktid_async.sandbox import Faults


async def versions(caller, job_id, image_index=0):
    status, body = await caller.get(f"/jobs/{job_id}/versions/{image_index}")
    assert status == 200, body
    assert (body["job_id"], body["image_index"]) == (job_id, image_index)
    return [(row["group_index"], row["version"], row["status"]) for row in body["versions"]]


async def regenerated(caller, job_id, image_index=0, group_index=0):
    stream = await caller.stream()
    await stream.synced()
    answer = await caller.post(f"/jobs/{job_id}/regenerate/{image_index}?group_index={group_index}")
    assert answer == (
        200,
        {"success": True, "message": "Image regeneration started", "image_index": image_index},
    )
    note = await stream.live()
    stream.response.close()
    return note


async def test_a_new_version_takes_the_place_of_the_old_one_and_both_stay(caller):
    images = [await caller.upload(), await caller.upload()]
    job_id = await caller.finished(images=images, num_variations=2)
    before = (await caller.results(job_id))["results"]
    note = await regenerated(caller, job_id, 1, 1)
    assert note["name"] == "image_result"
    data = note["data"]
    assert (data["image_index"], data["group_index"], data["status"]) == (1, 1, "completed")
    assert await versions(caller, job_id, 1) == [
        (0, 0, "completed"),
        (1, 0, "completed"),
        (1, 1, "completed"),
    ]
    after = (await caller.results(job_id))["results"]
    assert [row["version"] for row in after] == [0, 0, 0, 1]
    assert [row["id"] for row in after[:3]] == [row["id"] for row in before[:3]]
    assert after[3]["id"] != before[3]["id"]
    assert after[3]["download_filename"].endswith("_1_1_v1.jpg")
    assert caller.sandbox.books.credits_charged == 5 * 5.0


async def test_a_new_version_waits_and_has_no_links_yet(start):
    caller = await start()
    job_id = await caller.finished()
    caller.sandbox.faults.images_stuck = 1
    await caller.post(f"/jobs/{job_id}/regenerate/0")
    body = await caller.results(job_id)
    assert body["status"] == "completed"
    (row,) = body["results"]
    assert (row["version"], row["output"]["full_size"]) == (1, None)
    assert row["status"] in ("pending", "processing")
    assert (await caller.post(f"/jobs/{job_id}/regenerate/0"))[0] == 409


async def test_a_failed_image_can_be_made_again(start):
    caller = await start(faults=Faults(images_fail=1))
    job_id = await caller.finished()
    assert caller.sandbox.books.jobs[job_id].status == "failed"
    await regenerated(caller, job_id)
    assert await versions(caller, job_id) == [(0, 0, "failed"), (0, 1, "completed")]


async def test_a_generation_of_a_conversation_can_be_made_again(caller):
    job_id, _ = await caller.generate(prompt="a hat", num_variations=2)
    note = await regenerated(caller, job_id, 0, 1)
    assert note["data"]["id_task"] == job_id
    rows = (await caller.results(job_id))["results"]
    assert [(row["group_index"], row["version"]) for row in rows] == [(0, 0), (1, 1)]


async def test_only_an_image_that_is_there_and_has_ended_can_be_made_again(start):
    caller = await start(seconds_per_image=60.0)
    job = await caller.submit()
    path = f"/jobs/{job['job_id']}"
    assert (await caller.post(f"{path}/regenerate/0"))[0] == 409
    assert (await caller.post(f"{path}/regenerate/1"))[0] == 404
    assert (await caller.post(f"{path}/regenerate/0?group_index=1"))[0] == 404
    assert (await caller.post(f"{path}/regenerate/0?group_index=x"))[0] == 400
    assert (await caller.post("/jobs/nobody/regenerate/0"))[0] == 404
    assert (await caller.get(f"{path}/versions/7"))[0] == 404
    assert (await caller.get("/jobs/nobody/versions/0"))[0] == 404


async def test_a_new_version_costs_what_the_output_cost(start):
    caller = await start(credits=9.0)
    job_id = await caller.finished()
    status, body = await caller.post(f"/jobs/{job_id}/regenerate/0")
    assert (status, body["required_credits"], body["user_credits"]) == (402, 5.0, 4.0)


async def test_the_zip_holds_the_newest_versions_only(caller):
    job_id = await caller.finished(num_variations=2)
    await regenerated(caller, job_id)
    _, body = await caller.post("/download", {"job_id": job_id})
    _, packed = await caller.fetch(body["download_url"])
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == ["shirt_0_0_v1.jpg", "shirt_0_1_v0.jpg"]


async def test_stuck_images_are_listed_and_can_be_let_fail(start):
    caller = await start(faults=Faults(images_stuck=1))
    stream = await caller.stream()
    job = await caller.submit(num_variations=2)
    assert (await stream.live())["data"]["status"] == "processing"
    status, body = await caller.get("/jobs/stuck-images", min_hours=0)
    assert status == 200
    assert body["pagination"]["total"] == 2
    first, second = body["images"]
    assert first["id"] < second["id"]
    assert first.pop("hours_stuck") < 0.01
    assert isinstance(first.pop("created_at"), str)
    assert isinstance(first.pop("updated_at"), str)
    assert first == {
        "id": first["id"],
        "job_id": job["job_id"],
        "image_index": 0,
        "status": "processing",
        "original_filename": "shirt.jpg",
        "job_status": "processing",
        "error_message": None,
    }
    assert second["status"] == "pending"

    status, body = await caller.post(
        "/jobs/stuck-images/bulk-update",
        {"image_ids": [first["id"], 999_999], "new_status": "failed", "error_message": "gave up"},
    )
    assert status == 200
    assert body == {"success": True, "updated_count": 1, "message": "Updated 1 images"}
    notes = await stream.until_ended(job["job_id"])
    failed, made = (note["data"] for note in notes if note["name"] == "image_result")
    assert (failed["status"], failed["error_message"]) == ("failed", "gave up")
    assert made["status"] == "completed"
    assert notes[-1]["data"]["status"] == "completed"
    assert caller.sandbox.books.credits_charged == 5.0


async def test_an_image_that_waits_can_be_let_fail_before_its_turn(start):
    caller = await start(faults=Faults(images_stuck=1))
    stream = await caller.stream()
    job = await caller.submit(num_variations=2)
    await stream.live()
    _, body = await caller.get("/jobs/stuck-images", min_hours=0)
    ids = [image["id"] for image in body["images"]]
    await caller.post("/jobs/stuck-images/bulk-update", {"image_ids": ids, "new_status": "failed"})
    notes = await stream.until_ended(job["job_id"])
    assert [note["name"] for note in notes].count("image_result") == 2
    assert notes[-1]["data"]["status"] == "failed"


async def test_a_stuck_variation_of_the_playground_can_be_let_fail(start):
    caller = await start(faults=Faults(images_stuck=1))
    _, answer = await caller.post("/edit-chat", {"prompt": "a hat"})
    _, body = await caller.get("/jobs/stuck-images", min_hours=0)
    (image,) = body["images"]
    assert image["original_filename"] is None
    await caller.post(
        "/jobs/stuck-images/bulk-update", {"image_ids": [image["id"]], "new_status": "failed"}
    )
    (row,) = (await caller.results(answer["job_id"]))["results"]
    assert (row["status"], row["error_message"]) == ("failed", "Marked as failed")
    assert caller.sandbox.books.credits_charged == 0.0
    await caller.generate(prompt="again", conversation_id=answer["job_id"])


async def test_the_listing_of_stuck_images_filters(start):
    caller = await start(faults=Faults(images_stuck=1))
    stream = await caller.stream()
    await caller.submit(num_variations=3)
    await stream.live()

    async def count(**query):
        status, body = await caller.get("/jobs/stuck-images", **query)
        assert status == 200, body
        return len(body["images"])

    assert await count() == 0  # an hour, unless told otherwise
    assert await count(min_hours="0.5") == 0
    assert await count(min_hours=0, status="processing") == 1
    assert await count(min_hours=0, status="pending", per_page=1) == 1
    for query in ({"min_hours": "soon"}, {"min_hours": -1}, {"min_hours": "nan"}):
        assert (await caller.get("/jobs/stuck-images", **query))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"image_ids": "1", "new_status": "failed"},
        {"image_ids": [True], "new_status": "failed"},
        {"image_ids": [1]},
        {"image_ids": [1], "new_status": "completed"},
        {"image_ids": [1], "new_status": "failed", "error_message": 7},
    ],
)
async def test_a_malformed_update_is_a_400(caller, body):
    assert (await caller.post("/jobs/stuck-images/bulk-update", body))[0] == 400
