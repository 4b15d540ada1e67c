from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from piktid_async import (
    AccountLimits,
    ConnectionFailedError,
    GarmentRecolor,
    InvalidRequestError,
    Job,
    NotFoundError,
    PermissionDeniedError,
    Preset,
    Session,
    UploadedFile,
)
from piktid_async.sandbox import Sandbox
from tests.transport.servers import Exchange, serve

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, seconds_per_image=0.0, limits=None) as running:
        yield running


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    limits = AccountLimits.unlimited()
    async with Session(sandbox.token, base_url=sandbox.url, limits=limits) as opened:
        yield opened


async def recolored(session: Session, project: str = "spring", images: int = 2) -> Job:
    files: list[UploadedFile] = await session.upload_many([PICTURE] * images)
    job = await session.submit(
        GarmentRecolor(
            project=await session.projects.ensure(project), images=files, reference_text="red"
        )
    )
    await job
    return job


# Assets


async def test_assets_are_listed_over_all_pages_each_once(session: Session) -> None:
    files = await session.upload_many([PICTURE] * 120)
    found = [asset.id async for asset in session.assets.list()]
    assert len(found) == 120
    assert set(found) == {file.file_id for file in files}


async def test_a_row_that_moved_to_the_next_page_meanwhile_is_seen_once() -> None:
    pages = {"1": ["c", "b"], "2": ["b", "a"], "3": []}

    async def answer(exchange: Exchange) -> None:
        page = parse_qs(urlsplit(exchange.target).query)["page"][0]
        rows = [{"id": each} for each in pages[page]]
        # a service that always says "more" must not keep us asking
        await exchange.answer_json({"assets": rows, "pagination": {"has_next": True}})

    async with serve(answer) as server, Session("token", base_url=server.url) as session:
        assert [asset.id async for asset in session.assets.list()] == ["c", "b", "a"]
        assert len(server.requests) == 3


@pytest.mark.parametrize("last", [["b", "a"], []], ids=["the same page again", "empty pages"])
async def test_a_service_that_always_says_more_does_not_keep_us_asking(last: list[str]) -> None:
    async def answer(exchange: Exchange) -> None:
        rows = last if len(server.requests) > 1 else ["b", "a"]
        kind, name = (
            ("projects", "project_id") if "project" in exchange.target else ("assets", "id")
        )
        listed = [{name: each, "project_name": each} for each in rows]
        await exchange.answer_json({kind: listed, "pagination": {"has_next": True}})

    for read in (lambda: session.assets.list(), lambda: session.projects.list()):
        async with serve(answer) as server, Session("token", base_url=server.url) as session:
            assert len([each async for each in read()]) >= 2
            assert len(server.requests) == 2


async def test_assets_are_filtered_as_asked(session: Session) -> None:
    await session.upload(PICTURE, filename="red-shirt.jpg")
    await session.upload(PICTURE, filename="blue-hat.jpg")

    async def names(**filters: object) -> list[str | None]:
        return [each.filename async for each in session.assets.list(**filters)]  # type: ignore[arg-type]

    assert await names(search="shirt") == ["red-shirt.jpg"]
    assert await names(sort_by="filename", order="asc") == ["blue-hat.jpg", "red-shirt.jpg"]
    assert await names(created_after=date.today() + timedelta(days=2)) == []  # noqa: DTZ011
    assert await names(exclude_tags=["product"]) == []
    assert await names(ownership="default") == []


async def test_an_asset_is_described_by_its_file_id(session: Session) -> None:
    file = await session.upload(PICTURE, filename="shirt.jpg")
    asset = await session.assets.get(file)
    assert (asset.file_id, asset.filename, asset.visibility) == (
        file.file_id,
        "shirt.jpg",
        "private",
    )
    assert "X-Amz" not in repr(asset)
    with pytest.raises(NotFoundError):
        await session.assets.get("nothing")


async def test_a_deletion_of_250_takes_three_requests_and_names_what_was_not_there(
    sandbox: Sandbox, session: Session
) -> None:
    files = await session.upload_many([PICTURE] * 130)
    strangers = [f"stranger-{number}" for number in range(120)]
    deleted = await session.assets.delete_many([*files, *strangers, *files])
    assert deleted.deleted_count == 130
    assert deleted.failed == tuple(strangers)
    assert sandbox.books.api_requests["POST /assets/bulk-delete"] == 3
    assert [each async for each in session.assets.list()] == []


async def test_a_deletion_of_nothing_sends_nothing(sandbox: Sandbox, session: Session) -> None:
    assert (await session.assets.delete_many([])).deleted_count == 0
    assert "POST /assets/bulk-delete" not in sandbox.books.api_requests


async def test_a_deletion_whose_answer_was_lost_is_not_sent_again() -> None:
    async def drop(exchange: Exchange) -> None:
        await exchange.body()
        exchange.reset()

    async with serve(drop) as server, Session("token", base_url=server.url) as session:
        with pytest.raises(ConnectionFailedError):
            await session.assets.delete_many(["one"])
        assert len(server.requests) == 1


async def test_a_lone_text_is_not_taken_for_a_list_of_ids(session: Session) -> None:
    with pytest.raises(InvalidRequestError, match="wrap it"):
        await session.assets.delete_many("abc")


# Gallery


async def test_the_gallery_lists_jobs_and_its_images_can_be_saved(
    session: Session, tmp_path: Path
) -> None:
    job = await recolored(session)
    await recolored(session, "autumn")
    project = await session.projects.ensure("spring")
    (found,) = [each async for each in session.gallery.jobs(project=project)]
    assert (found.job_id, found.job_type, found.total_images) == (job.id, "garment_recolor", 2)
    assert len({image.image_result_id for image in found.images}) == 2
    saved = await found.images[0].save(tmp_path / "image.jpg")
    assert saved.stat().st_size > 100


async def test_the_gallery_lists_projects_with_their_images(session: Session) -> None:
    await recolored(session)
    await recolored(session)
    await session.projects.ensure("empty")
    found = {each.project_name: each async for each in session.gallery.projects(max_images=3)}
    assert (found["spring"].total_images, found["spring"].completed_images) == (4, 4)
    assert len(found["spring"].images) == 3
    assert found["empty"].images == ()


@pytest.mark.parametrize("filters", [{"max_images": 0}, {"max_images": 201}, {"order": "up"}])
def test_gallery_filters_against_the_rules_are_refused_by_name(filters: dict[str, object]) -> None:
    session = Session("token", base_url="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError, match=next(iter(filters))):
        session.gallery.jobs(**filters)  # type: ignore[arg-type]


# Billing


async def test_usage_sums_what_jobs_charged_by_kind_and_period(session: Session) -> None:
    await recolored(session, images=3)
    await recolored(session, images=1)
    usage = await session.billing.usage()
    (period,) = usage.summary
    assert usage.total_credits == 20.0
    assert (period.job_type, period.total_credits, period.job_count) == (
        "garment_recolor",
        20.0,
        2,
    )
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert (await session.billing.usage(tomorrow)).total_credits == 0.0
    assert (await session.billing.usage(None, tomorrow, "month")).total_credits == 20.0


async def test_group_usage_is_told_to_the_owner_alone(session: Session) -> None:
    await recolored(session, images=1)
    usage = await session.billing.group_usage("sandbox", breakdown="user")
    assert (usage.group_name, usage.total_credits, usage.member_count) == ("sandbox", 5.0, 1)
    assert usage.members[0].job_count == 1
    assert usage.summary_by_user is not None
    with pytest.raises(PermissionDeniedError):
        await session.billing.group_usage("others")


async def test_a_moment_without_a_zone_and_an_unknown_resolution_are_refused(
    session: Session,
) -> None:
    with pytest.raises(InvalidRequestError, match="time zone"):
        await session.billing.usage(datetime(2026, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidRequestError, match="resolution"):
        await session.billing.usage(resolution="year")  # type: ignore[arg-type]


async def test_moments_are_sent_in_utc() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json({"total_credits": 0, "summary": []})

    async with serve(answer) as server, Session("token", base_url=server.url) as session:
        rome = timezone(timedelta(hours=2))
        await session.billing.usage(datetime(2026, 7, 1, 1, tzinfo=rome), date(2026, 7, 2))
        (sent,) = server.requests
    assert "start_date=2026-06-30T23:00:00Z" in sent.target
    assert "end_date=2026-07-02T00:00:00Z" in sent.target


# Presets


async def test_presets_are_made_read_changed_and_deleted(session: Session) -> None:
    category = await session.presets.create_category("Studio")
    made = await session.presets.create(
        "Soft", "flat_2_model", {"mood": "calm"}, category_ids=[category.id]
    )
    assert [each.name for each in made.categories] == ["Studio"]
    changed = await session.presets.update(made, description="for linen")
    assert (changed.name, changed.description) == ("Soft", "for linen")
    assert (await session.presets.get(made.preset_code)).instruction_data == {"mood": "calm"}
    deleted = await session.presets.delete_many([made, "nothing"])
    assert (deleted.deleted_count, deleted.failed) == (1, ("nothing",))
    with pytest.raises(NotFoundError):
        await session.presets.get(made.preset_code)


async def test_a_preset_may_be_for_the_drafts_of_a_person(session: Session) -> None:
    preset = await session.presets.create("Red", "identity_creation", {"hair": {"color": "red"}})
    assert (await session.presets.get(preset.preset_code)).type == "identity_creation"


async def test_a_category_is_copied_with_its_presets(session: Session) -> None:
    category = await session.presets.create_category("Studio", description="light")
    await session.presets.create("Soft", "flat_2_model", {}, category_ids=[category.id])
    await session.presets.update_category(category, name="Atelier")
    copy = await session.presets.duplicate_category(category, "Copy")
    assert (copy.category.name, copy.category.description, copy.preset_count) == (
        "Copy",
        "light",
        1,
    )


async def test_what_is_read_from_a_picture_fits_the_drafts_of_a_person(session: Session) -> None:
    file = await session.upload(PICTURE, filename="face.jpg")
    read = await session.presets.extract_from_image(file, "identity_creation")
    assert read.file_id == file.file_id
    job = await session.identities.create([read.instruction_data])
    assert len((await job).ok) == 1


async def test_a_scene_in_words_becomes_an_instruction(session: Session) -> None:
    read = await session.presets.extract_from_text("a beach at noon")
    assert read.instruction_data["background"] == "a beach at noon"


@pytest.mark.parametrize("data", [None, "text", {"when": datetime(2026, 1, 1, tzinfo=UTC)}])
async def test_instruction_data_that_is_no_json_object_is_refused(
    session: Session, data: object
) -> None:
    with pytest.raises(InvalidRequestError, match="instruction_data"):
        await session.presets.create("Soft", "flat_2_model", data)  # type: ignore[arg-type]


async def test_a_change_of_nothing_is_refused(session: Session) -> None:
    with pytest.raises(InvalidRequestError, match="nothing is to be changed"):
        await session.presets.update(Preset(preset_code="abc"))


# Tokens


async def test_a_token_that_was_made_opens_the_door_and_shows_nowhere(
    sandbox: Sandbox, session: Session
) -> None:
    made = await session.tokens.create(timedelta(hours=1))
    assert made.token not in repr(made)
    async with Session(made.token, base_url=sandbox.url) as other:
        (listed,) = [each async for each in other.tokens.list()]
    assert listed.token_id != made.token
    assert listed.expiration_date == made.expiration_date


async def test_expired_tokens_are_listed_on_request(sandbox: Sandbox, session: Session) -> None:
    await session.tokens.create(3600)
    sandbox.expire_tokens()
    assert [each async for each in session.tokens.list()] == []
    assert len([each async for each in session.tokens.list(include_expired=True)]) == 1
