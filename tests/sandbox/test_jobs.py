from __future__ import annotations

import asyncio
import io
import time
import zipfile
from datetime import UTC, datetime

import pytest

from piktid_async.sandbox import Faults
from piktid_async.sandbox.rendering import PLAIN_JPEG, Picture, Renderer, RenderError


async def test_a_job_tells_each_step(caller):
    stream = await caller.stream()
    job = await caller.submit(
        images=[await caller.upload(), await caller.upload()], num_variations=2
    )
    notes = await stream.until_ended(job["job_id"])
    results = [note["data"] for note in notes if note["name"] == "image_result"]
    states = [note["data"] for note in notes if note["name"] == "batch_edit"]
    assert [(data["image_index"], data["group_index"]) for data in results] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert [(data["status"], data["processed_images"]) for data in states] == [
        ("processing", 0),
        ("processing", 1),
        ("processing", 2),
        ("processing", 3),
        ("processing", 4),
        ("completed", 4),
    ]
    assert {data["total_images"] for data in states} == {4}
    assert set(results[0]) == {
        "id_task",
        "image_index",
        "group_index",
        "status",
        "output_link",
        "output_thumbnail_link",
    }
    assert await caller.fetch(results[0]["output_link"]) == (200, PLAIN_JPEG)
    assert await caller.fetch(results[0]["output_thumbnail_link"]) == (200, PLAIN_JPEG)
    ids = [note["id"] for note in notes]
    assert ids == sorted(set(ids))
    assert all(isinstance(note["timestamp"], float) for note in notes)


async def test_the_status_has_the_documented_fields(caller):
    key = await caller.project()
    job_id = await caller.finished(project_id=key, post_process=True)
    status, body = await caller.get(f"/jobs/{job_id}/status")
    assert status == 200
    for moment in (body.pop("created_at"), body.pop("updated_at")):
        assert datetime.fromisoformat(moment).tzinfo is UTC
    options = body.pop("processing_options")
    assert (options["reference_text"], options["processing_size"]) == ("forest green", 2048)
    assert isinstance(body.pop("project_id"), int)
    assert body == {
        "job_id": job_id,
        "job_type": "garment_recolor",
        "status": "completed",
        "progress": 100.0,
        "total_images": 1,
        "processed_images": 1,
        "should_post_process": True,
        "post_processing_status": "completed",
        "post_processing_error": None,
        "error_message": None,
        "identity_code": None,
        "identity_name": None,
        "project_text": "spring",
        "project_key": key,
    }


async def test_the_books_tell_how_long_a_job_took(start):
    caller = await start(seconds_per_image=0.02)
    images = [await caller.upload(), await caller.upload()]
    before = time.time()
    job_id = await caller.finished(images=images)
    facts = caller.sandbox.books.jobs[job_id]
    assert before <= facts.created
    assert 0.04 <= facts.updated - facts.created <= time.time() - before


async def test_without_post_processing_there_is_no_state_of_it(caller):
    job_id = await caller.finished(post_process=False)
    _, body = await caller.get(f"/jobs/{job_id}/status")
    assert (body["should_post_process"], body["post_processing_status"]) == (False, None)


@pytest.mark.parametrize("path", ["/jobs/nobody/status", "/jobs/nobody/results"])
async def test_an_unknown_job_is_a_404(caller, path):
    assert await caller.get(path) == (404, {"error": "Job not found"})


@pytest.mark.parametrize(
    "options", [{"visible_after": 0.05}, {"faults": Faults(status_404_for=0.05)}]
)
async def test_a_new_job_is_not_visible_at_once(start, options):
    caller = await start(**options)
    job = await caller.submit()
    assert (await caller.get(f"/jobs/{job['job_id']}/status"))[0] == 404
    await asyncio.sleep(0.06)
    assert (await caller.get(f"/jobs/{job['job_id']}/status"))[0] == 200


async def test_results_have_every_field_of_an_image(caller):
    file_id = await caller.upload(filename="front.jpg")
    job_id = await caller.finished(images=[file_id], model="seedream")
    status, body = await caller.get(f"/jobs/{job_id}/results")
    assert (status, body["status"], body["job_type"]) == (200, "completed", "garment_recolor")
    assert body["summary"] == {
        "total_images": 1,
        "successful": 1,
        "failed": 0,
        "average_quality_score": 1.0,
        "success_rate": 100.0,
    }
    (image,) = body["results"]
    assert set(image) == {
        "id",
        "job_id",
        "image_index",
        "group_index",
        "version",
        "original_filename",
        "download_filename",
        "inputs",
        "output",
        "input_description",
        "model_used",
        "detail_needs_review",
        "detail_review_reason",
        "status",
        "quality_score",
        "processing_time",
        "error_message",
        "feedback",
        "feedback_comment",
        "created_at",
    }
    assert image["original_filename"] == "front.jpg"
    assert image["inputs"][0]["uuid"] == file_id
    assert image["model_used"] == "seedream"
    assert image["version"] == 0
    assert await caller.fetch(image["output"]["full_size"]) == (200, PLAIN_JPEG)


class HeldRenderer(Renderer):
    """Makes one picture each time it is let, or refuses."""

    steps: asyncio.Queue[Exception | None] = asyncio.Queue()

    async def render(self, *_):
        error = await self.steps.get()
        if error is not None:
            raise error
        return Picture(PLAIN_JPEG, PLAIN_JPEG)


@pytest.fixture
def held(monkeypatch):
    """Make pictures only when the test says so."""
    monkeypatch.setattr(HeldRenderer, "steps", asyncio.Queue())
    monkeypatch.setattr("piktid_async.sandbox.assembly.Renderer", HeldRenderer)
    return HeldRenderer.steps


async def test_results_are_partial_while_the_job_runs(held, start):
    caller = await start()
    stream = await caller.stream()
    job = await caller.submit(num_variations=3)
    held.put_nowait(None)
    while (await stream.live())["data"].get("processed_images") != 1:
        pass
    _, body = await caller.get(f"/jobs/{job['job_id']}/results")
    assert body["status"] == "processing"
    assert [image["status"] for image in body["results"]] == ["completed", "processing"]
    assert body["results"][1]["output"] == {"full_size": None, "thumbnail": None, "uuid": None}
    assert body["credits_used"] == 0.0
    _, status = await caller.get(f"/jobs/{job['job_id']}/status")
    assert (status["status"], status["processed_images"]) == ("processing", 1)
    assert status["progress"] == pytest.approx(33.33)


async def test_an_image_that_cannot_be_read_fails_alone(held, start):
    caller = await start()
    stream = await caller.stream()
    job = await caller.submit(images=[await caller.upload(), await caller.upload()])
    held.put_nowait(RenderError("We couldn't read this image"))
    held.put_nowait(None)
    notes = await stream.until_ended(job["job_id"])
    failed, made = (note["data"] for note in notes if note["name"] == "image_result")
    assert (failed["status"], failed["output_link"]) == ("failed", None)
    assert failed["error_message"] == "We couldn't read this image"
    assert made["status"] == "completed"
    assert notes[-1]["data"]["status"] == "completed"
    assert "error_message" not in notes[-1]["data"]
    _, body = await caller.get(f"/jobs/{job['job_id']}/results")
    assert (body["summary"]["successful"], body["summary"]["failed"]) == (1, 1)
    assert body["credits_used"] == 5.0  # a failed output is free
    assert body["results"][0]["error_message"] == "We couldn't read this image"


async def test_a_job_whose_images_all_fail_has_failed(held, start):
    caller = await start()
    stream = await caller.stream()
    job = await caller.submit(num_variations=2)
    for _ in range(2):
        held.put_nowait(RenderError("We couldn't read this image"))
    last = (await stream.until_ended(job["job_id"]))[-1]["data"]
    assert last["status"] == "failed"
    assert "We couldn't read this image" in last["error_message"]
    _, body = await caller.get(f"/jobs/{job['job_id']}/status")
    assert body["error_message"] == last["error_message"]
    assert caller.sandbox.books.credits_charged == 0.0
    assert caller.sandbox.books.jobs[job["job_id"]].status == "failed"


async def test_a_bug_in_the_image_work_fails_the_image_and_not_the_job(held, start, caplog):
    caller = await start()
    stream = await caller.stream()
    job = await caller.submit(num_variations=2)
    held.put_nowait(ZeroDivisionError("bug"))
    held.put_nowait(None)
    notes = await stream.until_ended(job["job_id"])
    assert notes[1]["data"]["error_message"] == "Internal error"
    assert notes[-1]["data"]["status"] == "completed"
    assert "ZeroDivisionError" in caplog.text


async def test_a_full_disk_fails_the_image_and_not_the_job(start, monkeypatch, caplog):
    async def put(*_: object, **__: object) -> None:
        raise OSError("no space left")

    caller = await start()
    monkeypatch.setattr("piktid_async.sandbox.spool.Spool.put", put)
    job_id = await caller.finished()
    assert caller.sandbox.books.jobs[job_id].status == "failed"
    assert "no space left" in caplog.text


async def test_the_gallery_lists_jobs_newest_first_also_those_that_wait(held, start):
    caller = await start()
    key = await caller.project()
    file_id = await caller.upload(filename="front.jpg")
    first, second = [
        (await caller.submit(project_id=key, images=[file_id]))["job_id"] for _ in range(2)
    ]
    status, body = await caller.get("/gallery/by-job")
    assert status == 200
    assert [job["job_id"] for job in body["jobs"]] == [second, first]
    job = body["jobs"][0]
    assert isinstance(job["project_id"], int)
    assert (job["project_key"], job["project_name"]) == (key, "spring")
    assert (job["total_images"], job["completed_images"], job["failed_images"]) == (1, 0, 0)
    (image,) = job["images"]
    assert image["original_filename"] == "front.jpg"
    assert image["inputs"][0]["uuid"] == file_id
    assert image["status"] in ("pending", "processing")


async def test_the_gallery_filters(caller):
    key = await caller.project()
    _, other = await caller.post("/project", {"project_name": "autumn"})
    job_id = await caller.finished(project_id=key)
    other_id = await caller.finished(project_id=other["project_id"])

    async def found(**query):
        status, body = await caller.get("/gallery/by-job", **query)
        assert status == 200
        return [job["job_id"] for job in body["jobs"]]

    assert await found(project_id=key) == [job_id]
    assert await found(job_id=other_id) == [other_id]
    assert await found(status="completed") == [other_id, job_id]
    assert await found(status="failed") == []
    assert await found(search=job_id) == [job_id]
    assert await found(ownership="mine") == [other_id, job_id]
    assert await found(ownership="shared") == await found(feedback="like") == []
    assert (await caller.get("/gallery/by-job", ownership="default"))[0] == 400
    assert await found(job_type="garment_recolor", order="asc") == [job_id, other_id]
    assert await found(job_type="model_swap") == []
    assert await found(per_page=1, page=2) == [job_id]
    _, body = await caller.get("/gallery/by-job", job_id=job_id)
    number = body["jobs"][0]["project_id"]
    assert await found(project_id=number) == [job_id]


async def test_the_gallery_filters_images_and_not_jobs(start):
    caller = await start(faults=Faults(images_fail=1))
    images = [await caller.upload(), await caller.upload()]
    job_id = await caller.finished(images=images)
    for path, key in (("/gallery/by-job", "jobs"), ("/gallery/by-project", "projects")):
        for status in ("completed", "failed"):
            _, body = await caller.get(path, status=status)
            (row,) = body[key]
            assert [(each["job_id"], each["status"]) for each in row["images"]] == [
                (job_id, status)
            ]
            assert row["total_images"] == 2
        _, body = await caller.get(path, feedback="like")
        assert [row["images"] for row in body[key]] == ([] if key == "jobs" else [[]])


async def test_the_gallery_shows_only_so_many_images_of_a_job(caller):
    await caller.finished(num_variations=3)
    _, body = await caller.get("/gallery/by-job", max_images_per_job=2)
    assert len(body["jobs"][0]["images"]) == 2
    assert body["jobs"][0]["total_images"] == 3
    assert (await caller.get("/gallery/by-job", max_images_per_job=201))[0] == 400


async def test_the_zip_holds_every_output_and_needs_no_token(caller):
    front, back = (
        await caller.upload(filename="front.jpg"),
        await caller.upload(filename="back.jpg"),
    )
    job_id = await caller.finished(images=[front, back], num_variations=2)
    status, body = await caller.post("/download", {"job_id": job_id})
    assert status == 200
    assert body["download_url"].startswith(f"{caller.sandbox.url}/download/")
    assert datetime.fromisoformat(body["expires"]) > datetime.now(UTC)
    status, packed = await caller.fetch(body["download_url"])
    assert status == 200
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            "front_0_0_v0.jpg",
            "front_0_1_v0.jpg",
            "back_1_0_v0.jpg",
            "back_1_1_v0.jpg",
        ]
        assert archive.read("back_1_0_v0.jpg") == PLAIN_JPEG


async def test_a_zip_of_nothing_can_be_asked_for_by_nobody(caller):
    assert (await caller.post("/download", {"job_id": "nobody"}))[0] == 404
    assert (await caller.post("/download", {}))[0] == 400
    assert (await caller.get("/download/made-up"))[0] == 404


async def test_links_expire(start):
    caller = await start(url_life=0.2)
    stream = await caller.stream()
    job = await caller.submit()
    notes = await stream.until_ended(job["job_id"])
    link = notes[1]["data"]["output_link"]
    _, body = await caller.post("/download", {"job_id": job["job_id"]})
    assert (await caller.fetch(link))[0] == 200
    await asyncio.sleep(0.21)
    assert (await caller.fetch(link))[0] == 403
    assert (await caller.fetch(body["download_url"]))[0] == 404
