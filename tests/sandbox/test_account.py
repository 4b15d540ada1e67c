from __future__ import annotations

import pytest

from tests.sandbox.conftest import Caller, Start


async def test_assets_are_what_has_arrived(caller: Caller) -> None:
    await caller.ticket(filename="never-sent.jpg")
    file_id = await caller.upload(filename="shirt.jpg")
    status, body = await caller.get("/assets")
    assert status == 200
    (asset,) = body["assets"]
    assert (asset["id"], asset["filename"], asset["detected"]) == (file_id, "shirt.jpg", None)
    assert await caller.fetch(asset["url"]) == (200, b"pixels")
    assert (await caller.get(f"/assets/{file_id}"))[1]["id"] == file_id


async def test_assets_that_were_deleted_are_gone_for_jobs_too(caller: Caller) -> None:
    file_id = await caller.upload()
    body = {"asset_ids": [file_id, "nothing"]}
    assert await caller.post("/assets/bulk-delete", body) == (
        200,
        {"deleted_count": 1, "failed_ids": ["nothing"]},
    )
    assert (await caller.get(f"/assets/{file_id}"))[0] == 404
    wanted = await caller.wanted(images=[file_id])
    assert (await caller.post("/garment-recolor", wanted))[0] == 400


@pytest.mark.parametrize("ids", [[], ["x"] * 101, None, "x"])
async def test_a_deletion_takes_1_to_100_ids(caller: Caller, ids: object) -> None:
    assert (await caller.post("/assets/bulk-delete", {"asset_ids": ids}))[0] == 400


@pytest.mark.parametrize(
    "params", [{"sort_by": "size"}, {"include_tags": "shoe"}, {"created_after": "today"}]
)
async def test_a_filter_that_is_not_known_is_a_400(caller: Caller, params: dict[str, str]) -> None:
    await caller.upload()
    assert (await caller.get("/assets", **params))[0] == 400


async def test_the_gallery_of_projects_holds_their_images(caller: Caller) -> None:
    await caller.finished(num_variations=3)
    _, body = await caller.get("/gallery/by-project", max_images_per_project="2")
    (project,) = body["projects"]
    assert (project["project_name"], project["completed_images"]) == ("spring", 3)
    assert len(project["images"]) == 2
    _, body = await caller.get("/gallery/by-project", search="autumn")
    assert body["projects"] == []


@pytest.mark.parametrize("resolution", ["day", "week", "month"])
async def test_billing_sums_what_was_charged(caller: Caller, resolution: str) -> None:
    await caller.finished(num_variations=3)
    _, body = await caller.get("/billing/credits", resolution=resolution)
    assert body["total_credits"] == caller.sandbox.books.credits_charged == 15.0
    (period,) = body["summary"]
    assert (period["job_type"], period["job_count"]) == ("garment_recolor", 1)
    assert period["period_start"] < period["period_end"]


async def test_usage_of_a_group_is_for_its_owner(caller: Caller) -> None:
    _, body = await caller.get("/billing/usage/sandbox")
    assert (body["member_count"], body["summary_by_user"]) == (1, None)
    assert (await caller.get("/billing/usage/others"))[0] == 403


async def test_a_preset_without_its_fields_is_a_400_that_names_them(caller: Caller) -> None:
    status, body = await caller.post("/preset", {"type": "packshot"})
    fields = {each["field"] for each in body["detail"]}
    assert (status, fields) == (400, {"name", "type", "instruction_data"})


async def test_categories_and_pictures_that_are_not_there_are_404s(caller: Caller) -> None:
    assert (await caller.post("/preset/categories/x/duplicate", {"name": "y"}))[0] == 404
    assert (await caller.post("/preset/extract-from-image", {"file_id": "x"}))[0] == 404
    body = {"name": "a", "type": "model_swap", "instruction_data": {}, "category_ids": ["x"]}
    assert (await caller.post("/preset", body))[0] == 404


async def test_a_request_without_a_token_is_refused_everywhere_but_at_the_door(
    start: Start,
) -> None:
    caller = await start()
    for method, path in (("GET", "/assets"), ("GET", "/auth/token"), ("POST", "/identity/upload")):
        assert (await caller.call(method, path, headers={}))[0] == 401
    status, body = await caller.call("POST", "/auth/login", headers={})
    assert (status, body["error"]) == (401, "Invalid email or password")
