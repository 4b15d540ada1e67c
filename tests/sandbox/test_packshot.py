"""`POST /create-packshot`, and what all instructed jobs have in common."""

from __future__ import annotations

import pytest

from piktid_async.sandbox import Faults, SandboxLimits
from piktid_async.sandbox.rendering import PLAIN_JPEG, PLAIN_PNG

PATH = "/create-packshot"


async def wanted(caller, **changes):
    body = {
        "project_id": await caller.project(),
        "images": [await caller.upload()],
        "instructions": [{"style": "white_cutout"}],
    }
    return body | changes


def one(**fields):
    return [{"style": "free", **fields}]


async def test_an_accepted_job_answers_202_as_the_guide_shows(caller):
    body = await wanted(
        caller,
        instructions=[
            {
                "style": "ghost_mannequin",
                "background": "white studio",
                "framing": "tall_3_4",
                "angle": "three_quarter",
                "shadow": "contact",
                "num_variations": 3,
                "options": {"size": "2K", "ar": "3:4", "format": "jpg"},
            },
            {
                "style": "flat_lay",
                "surface": "linen",
                "shadow": "natural",
                "options": {"size": "2K", "ar": "1:1", "format": "jpg"},
            },
        ],
        post_process=False,
        options={"model": "auto", "use_anchor": False},
    )
    status, answer = await caller.post(PATH, body)
    assert status == 202
    assert answer.pop("job_id").startswith("job_")
    assert answer == {
        "status": "pending",
        "message": "Job created successfully",
        "total_outputs": 4,
    }


async def test_the_image_index_is_the_instruction_and_the_group_index_the_variation(caller):
    front, back = await caller.upload(filename="front.jpg"), await caller.upload()
    job_id = await caller.run(
        PATH,
        await wanted(
            caller,
            images=[front, {"file_id": back, "note": "back view"}],
            instructions=[*one(num_variations=2), *one(options={"format": "png"})],
        ),
    )
    body = await caller.results(job_id)
    assert body["job_type"] == "create_packshot"
    rows = body["results"]
    assert [(row["image_index"], row["group_index"]) for row in rows] == [(0, 0), (0, 1), (1, 0)]
    assert {row["model_used"] for row in rows} == {"nano_banana_pro"}
    for row in rows:
        assert [each["uuid"] for each in row["inputs"]] == [front, back]
    fetched = [await caller.fetch(row["output"]["full_size"]) for row in rows]
    assert fetched == [(200, PLAIN_JPEG), (200, PLAIN_JPEG), (200, PLAIN_PNG)]
    assert rows[2]["download_filename"] == "front_1_0_v0.png"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"project_id": None}, "project_id"),
        ({"images": []}, "images"),
        ({"images": ["x"] * 11}, "images"),
        ({"images": [7]}, "images.0"),
        ({"images": [{"note": "front"}]}, "images.0.file_id"),
        ({"images": [{"file_id": "x", "note": 7}]}, "images.0.note"),
        ({"instructions": None}, "instructions"),
        ({"instructions": []}, "instructions"),
        ({"instructions": ["flat_lay"]}, "instructions"),
        ({"instructions": [{}]}, "instructions.0.style"),
        ({"instructions": [{"style": "painted"}]}, "instructions.0.style"),
        ({"instructions": [*one(), *one(num_variations=9)]}, "instructions.1.num_variations"),
        ({"instructions": one(framing="round")}, "instructions.0.framing"),
        ({"instructions": one(angle="below")}, "instructions.0.angle"),
        ({"instructions": one(shadow="long")}, "instructions.0.shadow"),
        ({"instructions": one(background=["white"])}, "instructions.0.background"),
        ({"instructions": one(surface=True)}, "instructions.0.surface"),
        ({"instructions": one(lighting={"quality": 3})}, "instructions.0.lighting.quality"),
        ({"instructions": one(seed="1")}, "instructions.0.seed"),
        ({"instructions": one(category_names=[1])}, "instructions.0.category_names"),
        ({"instructions": one(options=[])}, "instructions.0.options"),
        ({"instructions": one(options={"size": "8K"})}, "instructions.0.options.size"),
        ({"instructions": one(options={"ar": "5:4"})}, "instructions.0.options.ar"),
        ({"instructions": one(options={"format": "webp"})}, "instructions.0.options.format"),
        ({"instructions": one(options={"width": "512"})}, "instructions.0.options.width"),
        ({"options": {"use_anchor": 1}}, "options.use_anchor"),
        ({"options": {"anchor_index": "0"}}, "options.anchor_index"),
        ({"post_process": "no"}, "post_process"),
    ],
)
async def test_a_malformed_field_is_named(caller, changes, field):
    status, body = await caller.post(PATH, await wanted(caller, **changes))
    assert (status, body["error"]) == (400, "Invalid request")
    assert [problem["field"] for problem in body["detail"]] == [field]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": ["nobody"]}, "Image not found"),
        ({"options": {"model": "dall-e"}}, "Unsupported model"),
        ({"options": {"anchor_index": 1}}, "Invalid anchor_index"),
        ({"options": {"anchor_index": -1}}, "Invalid anchor_index"),
        ({"instructions": one(options={"width": 512})}, "Invalid custom dimensions"),
        ({"instructions": one(options={"width": 512, "height": 516})}, "multiple of 8"),
        ({"instructions": one(options={"width": 248, "height": 512})}, "between 256"),
        ({"instructions": one(options={"width": 7008, "height": 2048})}, "and 7000"),
        ({"instructions": one(options={"width": 2048, "height": 504})}, "aspect ratio"),
    ],
)
async def test_other_bad_requests_are_a_plain_400(caller, changes, words):
    status, body = await caller.post(PATH, await wanted(caller, **changes))
    assert status == 400
    assert words in body["error"]
    assert "detail" not in body


@pytest.mark.parametrize(
    "fields",
    [
        {"background": 3},
        {"background": {"text": "white studio", "image": None}},
        {"lighting": {"direction": "left", "quality": "soft", "complexity": "simple"}},
        {"preset_name": "clean", "category_names": ["tops"], "seed": 7, "prompt": ""},
        {"options": {"width": 256, "height": 1024, "seed": 3}},
    ],
)
async def test_every_documented_shape_is_taken(caller, fields):
    status, answer = await caller.post(PATH, await wanted(caller, instructions=one(**fields)))
    assert status == 202, answer


async def test_an_unknown_project_is_a_404(caller):
    answer = await caller.post(PATH, await wanted(caller, project_id="nobody"))
    assert answer == (404, {"error": "Project not found"})


async def test_a_size_above_the_plan_is_a_403_and_so_is_an_exact_size(start):
    caller = await start(max_size=1024, custom_dimensions=False)
    for options in ({"size": "2K"}, {}, {"size": "1K", "width": 512, "height": 512}):
        body = await wanted(caller, instructions=one(options=options))
        assert (await caller.post(PATH, body))[0] == 403
    body = await wanted(caller, instructions=one(options={"size": "1K"}))
    assert (await caller.post(PATH, body))[0] == 202


async def test_the_402_is_worded_as_in_the_guide(start):
    caller = await start(credits=12.0, seconds_per_image=60.0)
    assert (await caller.post(PATH, await wanted(caller)))[0] == 202
    body = await wanted(caller, instructions=one(num_variations=4, options={"size": "2K"}))
    assert await caller.post(PATH, body) == (
        402,
        {
            "error": "Insufficient credits to create job",
            "required_credits": 20.0,
            "in_progress_credits": 5.0,
            "user_credits": 12.0,
        },
    )


async def test_each_output_is_charged_by_its_size_and_failed_ones_are_free(start):
    caller = await start(faults=Faults(images_fail=1))
    sizes = [{"size": "4K"}, {"size": "4K"}, {"size": "2K"}, {"size": "1K"}, {}]
    instructions = [each for size in sizes for each in one(options=size)]
    job_id = await caller.run(PATH, await wanted(caller, instructions=instructions))
    assert caller.sandbox.books.jobs[job_id].credits_used == 10 + 5 + 3 + 5
    assert caller.sandbox.books.credits_charged == 23
    failed, *_ = (await caller.results(job_id))["results"]
    assert failed["status"] == "failed"
    assert failed["error_message"] == "The image could not be generated"
    assert failed["model_used"] is None


async def test_auto_falls_back_when_content_is_refused_and_a_named_engine_does_not(start):
    caller = await start(faults=Faults(content_refused=1))
    job_id = await caller.run(PATH, await wanted(caller, instructions=one(num_variations=2)))
    rows = (await caller.results(job_id))["results"]
    assert [row["model_used"] for row in rows] == ["seedream", "nano_banana_pro"]
    caller.sandbox.faults.content_refused = 1
    options = {"model": "nano_banana_pro"}
    job_id = await caller.run(PATH, await wanted(caller, options=options))
    (row,) = (await caller.results(job_id))["results"]
    assert row["status"] == "failed"
    assert "refused" in row["error_message"]


async def test_the_batch_services_share_the_slots_and_not_the_request_rates(start):
    caller = await start(limits=SandboxLimits(active_jobs=2), seconds_per_image=60.0)
    assert (await caller.post("/garment-recolor", await caller.wanted()))[0] == 202
    assert (await caller.post(PATH, await wanted(caller)))[0] == 202
    for path, body in ((PATH, await wanted(caller)), ("/garment-recolor", await caller.wanted())):
        status, refused = await caller.post(path, body)
        assert status == 429
        assert refused["error"].startswith("Concurrent job limit reached. ")
    for _ in range(3):
        await caller.post(PATH, {})
    assert await caller.post(PATH, {}) == (429, {"error": "Rate limit exceeded: 5 per 1 minute"})
    assert (await caller.post("/garment-recolor", {}))[0] == 400


async def test_the_status_names_the_kind_and_the_options(caller):
    job_id = await caller.run(
        PATH, await wanted(caller, options={"use_anchor": True, "add_ai_watermark": True})
    )
    _, body = await caller.get(f"/jobs/{job_id}/status")
    assert body["job_type"] == "create_packshot"
    assert body["should_post_process"] is False
    assert body["identity_code"] is None
    assert body["processing_options"] == {
        "model": "auto",
        "use_anchor": True,
        "anchor_index": 0,
        "add_ai_watermark": True,
    }
    _, gallery = await caller.get("/gallery/by-job", job_type="create_packshot")
    assert [job["job_type"] for job in gallery["jobs"]] == ["create_packshot"]


async def test_post_processing_may_go_on_after_the_end_of_the_job(start):
    caller = await start(post_process_seconds=0.05)
    job_id = await caller.run(PATH, await wanted(caller, post_process=True))

    async def state():
        _, body = await caller.get(f"/jobs/{job_id}/status")
        assert body["status"] == "completed"
        return body["post_processing_status"]

    assert await state() == "processing"
    while await state() == "processing":
        pass
    assert await state() == "completed"


async def test_fault_post_processing_fails_leaves_the_job_completed(start):
    caller = await start(faults=Faults(post_processing_fails=1))
    job_id = await caller.run(PATH, await wanted(caller, post_process=True))
    _, body = await caller.get(f"/jobs/{job_id}/status")
    assert body["status"] == "completed"
    assert body["post_processing_status"] == "failed"
    assert body["post_processing_error"] == "Post-processing failed"


async def test_a_design_value_shows_a_picture_that_is_there(caller):
    for image, expected in (("no-such-file", 400), (await caller.upload(), 202)):
        shot = {"style": "free", "background": {"text": "studio", "image": image}}
        status, _ = await caller.post(PATH, await wanted(caller, instructions=[shot]))
        assert status == expected


async def test_a_custom_size_overrides_size_and_ratio_also_for_the_plan(start):
    caller = await start(max_size=1024)
    for options, expected in (
        ({"size": "4K", "width": 512, "height": 256}, 202),
        ({"size": "1K", "width": 1032, "height": 512}, 403),
        ({"size": "4K"}, 403),
    ):
        shot = {"style": "free", "options": options}
        status, _ = await caller.post(PATH, await wanted(caller, instructions=[shot]))
        assert status == expected, options
