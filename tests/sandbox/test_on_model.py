"""`POST /flat-2-model` and `POST /model-swap`."""

from __future__ import annotations

import pytest

from piktid_async.sandbox import SandboxLimits

FLAT, SWAP = "/flat-2-model", "/model-swap"
IDENTITY = "default-pro-00000001"

both = pytest.mark.parametrize("path", [FLAT, SWAP])


async def wanted(caller, **changes):
    body = {
        "identity_code": IDENTITY,
        "project_id": await caller.project(),
        "images": [await caller.upload()],
    }
    return body | changes


async def test_an_accepted_flat_lay_job_answers_as_the_guide_shows(caller):
    instructions = [
        {
            "pose": "standing front-facing",
            "expression": "neutral",
            "background": "white studio",
            "lighting": "soft",
            "camera": {"framing": "full body", "angle": "eye level"},
            "options": {"size": "2K", "ar": "9:16", "format": "jpg"},
        },
        {
            "pose": {"text": "walking, mid-stride", "image": await caller.upload()},
            "mood": 4,
            "angle": "low angle",
            "lighting": {"direction": "left", "quality": "hard", "complexity": "simple"},
            "camera": {"lens": "50mm", "aperture": "f/2"},
            "options": {"size": "2K", "ar": "3:4", "format": "png"},
        },
    ]
    images = [await caller.upload(), {"file_id": await caller.upload(), "note": "tucked in"}]
    status, answer = await caller.post(
        FLAT,
        await wanted(caller, images=images, instructions=instructions, options={"model": "auto"}),
    )
    assert status == 202
    assert answer.pop("job_id").startswith("job_")
    assert answer == {
        "status": "pending",
        "message": "Job created successfully",
        "total_outputs": 2,
    }


@pytest.mark.parametrize("given", [{}, {"instructions": []}, {"instructions": None}])
async def test_without_instructions_there_is_one_output_of_all_images(caller, given):
    images = [await caller.upload(), await caller.upload()]
    job_id = await caller.run(FLAT, await wanted(caller, images=images, **given))
    body = await caller.results(job_id)
    (row,) = body["results"]
    assert (body["job_type"], row["image_index"], row["group_index"]) == ("flat_2_model", 0, 0)
    assert [each["uuid"] for each in row["inputs"]] == images
    assert caller.sandbox.books.credits_charged == 5.0


async def test_instructions_give_their_variations(caller):
    job_id = await caller.run(FLAT, await wanted(caller, instructions=[{"num_variations": 2}, {}]))
    rows = (await caller.results(job_id))["results"]
    assert [(row["image_index"], row["group_index"]) for row in rows] == [(0, 0), (0, 1), (1, 0)]


async def test_a_model_swap_has_one_output_for_each_image(caller):
    images = [await caller.upload(filename="a.jpg"), await caller.upload(filename="b.jpg")]
    status, answer = await caller.post(SWAP, await wanted(caller, images=images))
    assert status == 202
    assert set(answer) == {"job_id", "status", "message"}
    job_id = await caller.run(SWAP, await wanted(caller, images=images, swap_options={"x": 1}))
    body = await caller.results(job_id)
    assert body["job_type"] == "model_swap"
    assert [
        (row["image_index"], row["group_index"], row["original_filename"])
        for row in body["results"]
    ] == [(0, 0, "a.jpg"), (1, 0, "b.jpg")]
    assert caller.sandbox.books.jobs[job_id].credits_used == 10.0


@both
async def test_the_identity_is_shown_and_must_be_known(caller, path):
    job_id = await caller.run(path, await wanted(caller))
    _, body = await caller.get(f"/jobs/{job_id}/status")
    assert (body["identity_code"], body["identity_name"]) == (IDENTITY, "Aria")
    status, body = await caller.post(path, await wanted(caller, identity_code="nobody"))
    assert (status, body) == (404, {"error": "Identity not found: nobody"})


@both
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"identity_code": None}, "identity_code"),
        ({"project_id": None}, "project_id"),
        ({"images": None}, "images"),
        ({"images": []}, "images"),
        ({"post_process": 1}, "post_process"),
    ],
)
async def test_a_malformed_field_is_named(caller, path, changes, field):
    status, body = await caller.post(path, await wanted(caller, **changes))
    assert (status, body["error"]) == (400, "Invalid request")
    assert [problem["field"] for problem in body["detail"]] == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"images": ["x"] * 11}, "images"),
        ({"instructions": [{}] * 11}, "instructions"),
        ({"instructions": [{"pose": 1.5}]}, "instructions.0.pose"),
        ({"instructions": [{"camera": {"lens": 50}}]}, "instructions.0.camera.lens"),
        ({"instructions": [{"num_variations": 0}]}, "instructions.0.num_variations"),
        ({"options": {"use_alternative_method": "yes"}}, "options.use_alternative_method"),
    ],
)
async def test_a_malformed_field_of_a_flat_lay_job_is_named(caller, changes, field):
    status, body = await caller.post(FLAT, await wanted(caller, **changes))
    assert (status, body["error"]) == (400, "Invalid request")
    assert [problem["field"] for problem in body["detail"]] == [field]


async def test_a_swap_takes_plain_ids_and_an_object_of_options_only(caller):
    for changes in ({"images": [{"file_id": "x"}]}, {"swap_options": []}):
        assert (await caller.post(SWAP, await wanted(caller, **changes)))[0] == 400


@both
async def test_an_image_or_project_that_is_not_there_is_refused(caller, path):
    assert (await caller.post(path, await wanted(caller, images=["nobody"])))[0] == 400
    assert (await caller.post(path, await wanted(caller, project_id="nobody")))[0] == 404


async def test_the_legacy_flag_means_seedream(caller):
    options = {"use_alternative_method": True}
    job_id = await caller.run(FLAT, await wanted(caller, options=options))
    (row,) = (await caller.results(job_id))["results"]
    assert row["model_used"] == "seedream"


@both
async def test_they_count_in_the_pool_and_have_windows_of_their_own(start, path):
    limits = SandboxLimits(active_jobs=1, per_minute={path: 2})
    caller = await start(limits=limits, seconds_per_image=60.0)
    assert (await caller.post("/garment-recolor", await caller.wanted()))[0] == 202
    status, body = await caller.post(path, await wanted(caller))
    assert status == 429
    assert body["error"].startswith("Concurrent job limit")
    await caller.post(path, {})
    assert (await caller.post(path, {}))[1] == {"error": "Rate limit exceeded: 2 per 1 minute"}


@both
async def test_they_are_not_free(start, path):
    caller = await start(credits=4.0)
    status, body = await caller.post(path, await wanted(caller))
    assert status == 402
    assert body == {
        "error": "Insufficient credits to create job",
        "required_credits": 5.0,
        "in_progress_credits": 0.0,
        "user_credits": 4.0,
    }
