"""Programs written with plain `requests` after the vendor's guides run against the sandbox.

https://docs.piktid.com/docs/v2/garment-recolor, create-packshot, flat-lay, image-playground; the
reference page of model swap, and Vtryon's page on its Recolor API.
"""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image

from piktid_async.sandbox.imaging import sample_photos
from tests.sandbox.vendor import done, run, running

NAMES = (
    *(f"shirt-{view}" for view in ("front", "back", "side", "swatch")),
    *("coat-front", "coat-back", "shirt", "trousers", "person", "look", "bag"),
)
both_ways = pytest.mark.parametrize("how", ["stream", "polling"])


@pytest.fixture
async def reader(start):
    """Start a sandbox that draws small pictures, with the limits that the guides tell of."""
    return await start(render=True, image_scale=1 / 32, limits=True, vtryon_seconds=0.0)


@pytest.fixture(scope="module")
def drawn():
    drawn = sample_photos(len(NAMES), size=200)
    return {name: photo.data for name, photo in zip(NAMES, drawn, strict=True)}


@pytest.fixture(autouse=True)
def photos(drawn, tmp_path):
    """Put the pictures where the programs have them."""
    (tmp_path / "pictures").mkdir()
    for name, data in drawn.items():
        (tmp_path / f"pictures/{name}.jpg").write_bytes(data)
    return drawn


async def edges(reader, links):
    """Fetch the pictures, and return their sizes in pixels."""
    sizes = []
    for link in links:
        status, picture = await reader.fetch(link)
        assert status == 200
        sizes.append(Image.open(io.BytesIO(picture)).size)
    return sizes


def packed(tmp_path):
    with zipfile.ZipFile(tmp_path / "results.zip") as results:
        return sorted(results.namelist())


def assert_tracked(ran, how, outputs):
    """What the two ways of waiting print of a job that has completed."""
    by_stream = how == "stream"
    notes = [name for (name,) in ran.told("notification")]
    assert notes.count("image_result") == (outputs if by_stream else 0)
    assert ran.told("completed") == ([["by", "the", "stream"]] if by_stream else [])
    assert ran.told("status")[-1] == ["completed", "100.0%", f"{outputs}/{outputs}"]


@both_ways
async def test_a_recolor_program_runs(reader, photos, tmp_path, how):
    sandbox = reader.sandbox
    ran = await done(sandbox, tmp_path, "recolor", how)
    uploaded = [file_id for (file_id,) in ran.told("uploaded")]
    ((job_id, outputs, _),) = ran.told("started")
    assert (len(set(uploaded)), outputs) == (4, "6")
    assert_tracked(ran, how, 6)
    pictures = ran.told("picture")
    assert [place for place, _, _ in pictures] == ["0.0", "0.1", "1.0", "1.1", "2.0", "2.1"]
    assert {max(size) for size in await edges(reader, [row[-1] for row in pictures])} == {64}
    assert ran.told("zip")[0][0].startswith(f"{sandbox.url}/download/")
    assert packed(tmp_path) == sorted(
        f"shirt-{view}_{place}_{group}_v0.jpg"
        for place, view in enumerate(("front", "back", "side"))
        for group in (0, 1)
    )
    results = (await reader.results(job_id))["results"]
    for row, name, file_id in zip(results[::2], NAMES, uploaded, strict=False):
        (given,) = row["inputs"]
        assert given["uuid"] == file_id
        assert await reader.fetch(given["full_size"]) == (200, photos[name])

    books = sandbox.books
    (job,) = books.jobs.values()
    assert (job.job_id, job.project_name) == (job_id, "shirts")
    assert (job.successful, job.credits_used) == (6, 30.0)
    assert books.credits_charged == 30.0
    assert books.api_requests["POST /upload"] == books.storage_put_connections == 4
    assert books.authorization_seen_by_storage is False
    assert books.stream_connections == (1 if how == "stream" else 0)
    assert books.acknowledged == ()  # the program deletes nothing of what it has read


@both_ways
async def test_a_job_that_fails_is_told(reader, tmp_path, how):
    reader.sandbox.faults.images_fail = 6
    ran = await run(reader.sandbox, tmp_path, "recolor", how)
    (job,) = reader.sandbox.books.jobs.values()
    assert job.error_message is not None
    if how == "stream":
        assert ran.code == 1
        assert ran.complaints.splitlines()[-1] == f"RuntimeError: {job.error_message}"
    else:
        assert f"failed: {job.error_message}" in ran.printed
        assert ran.told("status")[-1] == ["failed", "100.0%", "6/6"]
    assert reader.sandbox.books.credits_charged == 0


async def test_an_image_that_fails_is_told_by_its_index(reader, tmp_path):
    reader.sandbox.faults.images_fail = 1
    ran = await done(reader.sandbox, tmp_path, "recolor", "stream")
    ((place, *reason),) = ran.told("failed")
    assert place in ("0.0", "0.1", "1.0", "1.1", "2.0", "2.1")
    assert reason
    assert len(ran.told("picture")) == 5
    assert reader.sandbox.books.credits_charged == 25.0


async def test_a_loop_over_lines_reads_what_came_before_it_and_what_comes(reader, tmp_path):
    """And what is deleted after it was processed is not replayed."""
    sandbox = reader.sandbox
    job, other = {"id_task": "job-1"}, {"id_task": "job-of-others", "status": "completed"}
    before = sandbox.emit("image_result", {**job, "image_index": 0, "status": "completed"})
    sandbox.emit("batch_edit", other)
    async with running(sandbox, tmp_path, "listen", JOB="job-1") as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"notification image_result\n"
        sandbox.emit("batch_edit", other)
        sandbox.emit("batch_edit", {**job, "status": "processing"})
        after = sandbox.emit("batch_edit", {**job, "status": "completed"})
        printed, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")
    assert printed.decode().splitlines() == [
        "notification batch_edit",
        "notification batch_edit",
        "completed by the stream",
    ]
    assert sandbox.books.acknowledged == (after,)
    replayed = [note["id"] for note in await (await reader.stream()).synced()]
    assert before in replayed
    assert after not in replayed


@both_ways
async def test_a_packshot_program_runs(reader, tmp_path, how):
    ran = await done(reader.sandbox, tmp_path, "packshot", how)
    ((job_id, outputs, _),) = ran.told("started")
    assert outputs == "4"
    assert_tracked(ran, how, 4)
    places, engines, links = zip(*ran.told("picture"), strict=True)
    assert places == ("0.0", "0.1", "0.2", "1.0")
    assert set(engines) == {"nano_banana_pro"}
    assert await edges(reader, links) == [(48, 64), (48, 64), (48, 64), (64, 64)]
    assert len(packed(tmp_path)) == 4

    results = await reader.results(job_id)
    given = [each["uuid"] for each in results["results"][0]["inputs"]]
    assert given == [file_id for (file_id,) in ran.told("uploaded")]
    assert (results["job_type"], results["should_post_process"]) == ("create_packshot", False)
    books = reader.sandbox.books
    (job,) = books.jobs.values()
    assert (job.job_id, job.project_name) == (job_id, "coats")
    assert books.credits_charged == 20.0
    assert books.stream_connections == (1 if how == "stream" else 0)


@both_ways
async def test_a_flat_lay_program_runs(reader, tmp_path, how):
    """With plain file ids on the stream, with a note and the mark when it polls."""
    ran = await done(reader.sandbox, tmp_path, "on_model", how)
    ((identity,),) = ran.told("identity")
    ((job_id, outputs, _),) = ran.told("started")
    assert outputs == "2"
    assert_tracked(ran, how, 2)
    _, engines, links = zip(*ran.told("picture"), strict=True)
    assert engines == ("nano_banana_pro", "nano_banana_pro")
    assert await edges(reader, links) == [(36, 64), (48, 64)]
    assert packed(tmp_path) == ["shirt_0_0_v0.jpg", "shirt_1_0_v0.png"]

    results = await reader.results(job_id)
    assert (results["job_type"], results["identity_code"]) == ("flat_2_model", identity)
    given = [each["uuid"] for each in results["results"][0]["inputs"]]
    assert given == [file_id for (file_id,) in ran.told("uploaded")]
    status, kept = await reader.get(f"/identity/{identity}")
    assert (status, kept["name"]) == (200, "Ada")
    books = reader.sandbox.books
    assert books.jobs[job_id].project_name == "looks"
    assert books.jobs[job_id].credits_used == 10.0
    assert books.storage_put_connections == 2
    assert books.authorization_seen_by_storage is False


@both_ways
async def test_a_model_swap_program_runs(start, tmp_path, how):
    reader = await start(render=True, limits=True)  # a swap keeps the size of its photo
    ran = await done(reader.sandbox, tmp_path, "model_swap", how)
    ((job_id, _, status),) = ran.told("started")
    assert status == "pending"
    assert_tracked(ran, how, 1)
    assert await edges(reader, [row[-1] for row in ran.told("picture")]) == [(160, 200)]
    assert packed(tmp_path) == ["look_0_0_v0.jpg"]
    code, told = await reader.get(f"/jobs/{job_id}/status")
    assert (code, told["post_processing_status"]) == (200, "completed")


async def test_a_playground_program_runs(reader, photos, tmp_path):
    """Three generations followed on the stream, a fourth by polling the results."""
    ran = await done(reader.sandbox, tmp_path, "playground")
    started = [job_id for job_id, *_ in ran.told("started")]
    ready = [link for (link,) in ran.told("ready")]
    assert len(set(ready)) == len(await edges(reader, ready)) == 3
    assert [row[0] for row in ran.told("picture")] == ["0.0", "1.0"]

    body = await reader.results(started[-1])
    assert (body["job_type"], body["status"]) == ("edit_chat", "completed")
    assert [
        (each["image_index"], each["group_index"], each["version"], each["status"])
        for each in body["results"]
    ] == [(0, 0, 0, "completed"), (1, 0, 0, "completed")]
    (attached,) = body["edit_chat_attachments"]
    assert await reader.fetch(attached["full_size"]) == (200, photos["bag"])
    books = reader.sandbox.books
    assert list(books.jobs) == started
    assert books.credits_charged == 20.0
    assert books.stream_connections == 3


async def test_a_vtryon_program_runs(reader, tmp_path):
    ran = await done(reader.sandbox, tmp_path, "vtryon")
    ((link,),) = ran.told("result")
    assert ran.printed == [
        "task 501 queued",
        f"result {link}",
        "listed 1 [501]",
        "deleted Deleted successfully",
    ]
    assert (await reader.fetch(link))[0] == 404
    assert reader.sandbox.books.vtryon.requests["POST /v4/models/multipose-image-recolor/"] == 1
