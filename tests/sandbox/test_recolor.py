from __future__ import annotations

import asyncio
import errno

import aiohttp
import pytest

from piktid_async.sandbox import Faults, SandboxLimits


async def test_an_accepted_job_answers_202_as_the_guide_shows(caller):
    body = await caller.wanted(num_variations=2)
    status, answer = await caller.post("/garment-recolor", body)
    assert status == 202
    assert answer.pop("job_id").startswith("job_")
    assert answer == {
        "status": "pending",
        "message": "Garment recolor job created and queued",
        "total_outputs": 2,
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("project_id", None),
        ("project_id", 7),
        ("images", None),
        ("images", []),
        ("images", ["x"] * 11),
        ("images", "x"),
        ("num_variations", 0),
        ("num_variations", 9),
        ("num_variations", "2"),
        ("num_variations", True),
        ("processing_size", 1000),
        ("post_process", "yes"),
        ("use_anchor", 1),
        ("add_ai_watermark", "false"),
        ("garment_label", 3),
        ("reference_text", ["green"]),
    ],
)
async def test_a_malformed_field_is_named(caller, field, value):
    status, body = await caller.post("/garment-recolor", await caller.wanted(**{field: value}))
    assert (status, body["error"]) == (400, "Invalid request")
    (problem,) = body["detail"]
    assert problem["field"] == field
    assert problem["position"] == "body"
    assert problem["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reference_text": None}, "at least one of"),
        ({"reference_text": ""}, "at least one of"),
        ({"model": "dall-e"}, "Unsupported model"),
        ({"images": ["nobody"]}, "Image not found"),
        ({"reference_image": "nobody"}, "Reference image not found"),
    ],
)
async def test_other_bad_requests_are_a_plain_400(caller, changes, words):
    status, body = await caller.post("/garment-recolor", await caller.wanted(**changes))
    assert status == 400
    assert words in body["error"]
    assert "detail" not in body


async def test_a_ticket_without_its_file_is_no_image(caller):
    ticket = await caller.ticket()
    status, _ = await caller.post(
        "/garment-recolor", await caller.wanted(images=[ticket["file_id"]])
    )
    assert status == 400


async def test_each_of_the_three_targets_is_enough(caller):
    swatch = await caller.upload(filename="swatch.png")
    for target in ({"reference_image": swatch}, {"instruction": "make it green"}):
        await caller.submit(reference_text=None, **target)


async def test_an_unknown_project_is_a_404(caller):
    status, body = await caller.post("/garment-recolor", await caller.wanted(project_id="nobody"))
    assert (status, body) == (404, {"error": "Project not found"})


async def test_a_size_above_the_plan_is_a_403(start):
    caller = await start(max_size=2048)
    status, body = await caller.post("/garment-recolor", await caller.wanted(processing_size=4096))
    assert status == 403
    assert "exceeds your plan" in body["error"]
    await caller.submit(processing_size=2048)


async def test_credits_that_running_jobs_may_cost_are_not_free(start):
    caller = await start(credits=12.0, seconds_per_image=60.0)
    await caller.submit(processing_size=2048)
    status, body = await caller.post("/garment-recolor", await caller.wanted(processing_size=4096))
    assert status == 402
    assert body == {
        "error": "Insufficient credits",
        "required_credits": 10.0,
        "in_progress_credits": 5.0,
        "user_credits": 12.0,
    }
    assert caller.sandbox.books.jobs_created == 1


@pytest.mark.parametrize(("size", "price"), [(1024, 3.0), (2048, 5.0), (4096, 10.0)])
async def test_made_outputs_are_charged_when_the_job_completes(start, size, price):
    caller = await start(credits=100.0)
    job_id = await caller.finished(processing_size=size, num_variations=2)
    books = caller.sandbox.books
    assert books.credits_charged == 2 * price
    assert books.credits_left == 100.0 - 2 * price
    assert books.jobs[job_id].credits_used == 2 * price
    _, results = await caller.get(f"/jobs/{job_id}/results")
    assert results["credits_used"] == 2 * price


async def test_the_price_of_a_job_is_that_of_all_its_outputs(start):
    caller = await start(credits=17.9)
    images = [await caller.upload(), await caller.upload()]
    body = await caller.wanted(images=images, num_variations=3, processing_size=1024)
    status, refused = await caller.post("/garment-recolor", body)
    assert (status, refused["required_credits"]) == (402, 18.0)


async def test_the_two_429_differ_only_in_their_text(start):
    caller = await start(limits=SandboxLimits(active_jobs=2), seconds_per_image=60.0)
    body = await caller.wanted()
    statuses = [await caller.post("/garment-recolor", body) for _ in range(6)]
    assert [status for status, _ in statuses] == [202, 202, 429, 429, 429, 429]
    assert statuses[2][1]["error"].startswith("Concurrent job limit reached. ")
    assert statuses[5][1] == {"error": "Rate limit exceeded: 5 per 1 minute"}
    assert caller.sandbox.books.active_jobs == 2


async def test_a_slot_is_free_when_its_job_has_ended(start):
    caller = await start(limits=SandboxLimits(active_jobs=1, per_minute={}))
    for _ in range(3):
        await caller.finished()
    assert caller.sandbox.books.jobs_created == 3


async def test_the_documented_limits_hold_unless_told_otherwise(start):
    caller = await start(limits=True)
    statuses = [(await caller.post("/garment-recolor", {}))[0] for _ in range(6)]
    assert statuses == [400] * 5 + [429]


async def test_the_window_of_the_request_rate_can_be_scaled(start):
    caller = await start(limits=SandboxLimits(per_minute={"/garment-recolor": 1}, window=0.05))
    assert (await caller.post("/garment-recolor", {}))[0] == 400
    assert (await caller.post("/garment-recolor", {}))[0] == 429
    await asyncio.sleep(0.06)
    assert (await caller.post("/garment-recolor", {}))[0] == 400


@pytest.mark.parametrize(("asked", "header"), [(None, None), (2, "2"), (0.5, "0.5")])
async def test_fault_retry_after_is_the_only_reason_for_the_header(start, asked, header):
    limits = SandboxLimits(per_minute={"/garment-recolor": 1})
    caller = await start(limits=limits, faults=Faults(retry_after=asked))
    await caller.post("/garment-recolor", {})
    async with caller.http.post(
        f"{caller.sandbox.url}/garment-recolor",
        headers={"Authorization": f"Bearer {caller.sandbox.token}"},
    ) as response:
        assert response.status == 429
        assert response.headers.get("Retry-After") == header


async def test_fault_submit_status_makes_no_job(start):
    caller = await start(faults=Faults(submit_status=[503, 429]))
    body = await caller.wanted()
    assert [(await caller.post("/garment-recolor", body))[0] for _ in range(3)] == [503, 429, 202]
    assert caller.sandbox.books.jobs_created == 1
    assert caller.sandbox.faults.counts == {"submit_status": 2}


async def test_fault_submit_lost_makes_a_job_and_resets_the_connection(start):
    caller = await start(faults=Faults(submit_lost=1))
    body = await caller.wanted()
    with pytest.raises(aiohttp.ClientOSError) as reset:  # not a mere end of the connection
        await caller.post("/garment-recolor", body)
    assert reset.value.errno == errno.ECONNRESET
    assert caller.sandbox.books.jobs_created == 1
    assert (await caller.post("/garment-recolor", body))[0] == 202
    assert caller.sandbox.faults.counts == {"submit_lost": 1}


async def test_fault_submit_delay_lets_the_events_outrun_the_202(start):
    caller = await start(faults=Faults(submit_delay=60.0))
    stream = await caller.stream()
    posting = asyncio.create_task(caller.submit())
    while (await stream.live())["data"]["status"] != "completed":
        assert not posting.done()
    assert not posting.done()
    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)


async def test_a_delayed_answer_comes_after_the_delay(start):
    caller = await start(faults=Faults(submit_delay=0.05))
    before = asyncio.get_running_loop().time()
    await caller.submit()
    assert asyncio.get_running_loop().time() - before >= 0.05


async def test_the_delay_of_requests_is_put_before_every_answer(start):
    caller = await start(request_delay=0.05)
    before = asyncio.get_running_loop().time()
    await caller.get("/project")
    assert asyncio.get_running_loop().time() - before >= 0.05


async def test_images_are_taken_with_notes_and_without(caller):
    wanted = await caller.wanted()
    first, *others = wanted["images"]
    images = [{"file_id": first, "note": "back view"}, *others]
    status, _ = await caller.post("/garment-recolor", {**wanted, "images": images})
    assert status == 202
    status, body = await caller.post(
        "/garment-recolor", {**wanted, "images": [{"note": "of nothing"}]}
    )
    assert (status, body["detail"][0]["field"]) == (400, "images.0.file_id")
