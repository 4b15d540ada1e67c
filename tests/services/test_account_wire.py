"""What each call of these services sends is what its page shows, and what the page answers is read.

A real session talks to a server that answers with the sample.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from piktid_async import ConflictError, CreateIdentity, IdentityLimitError, Session
from piktid_async.protocol import endpoints
from tests.transport.servers import JPG, Exchange, serve

WIRE = Path(__file__).parents[1] / "wire"


async def first(rows: AsyncIterator[Any]) -> list[Any]:
    return [row async for row in rows]


def brief(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((WIRE / f"{name}.json").read_text())["request"]["json"]
    return found


CALLS: dict[str, Callable[[Session], Awaitable[Any]]] = {
    "identity_upload": lambda s: s.identities.upload(JPG, "string", "string"),
    "identity_list": lambda s: first(
        s.identities.list(sort_by="name", order="asc", include_locked=False)
    ),
    "identity_get": lambda s: s.identities.get("string"),
    "identity_status": lambda s: s.identities.status("string"),
    "identity_metadata": lambda s: s.identities.update_metadata(
        "string", tag="string", gender="non-binary", age=30
    ),
    "identity_pov": lambda s: s.identities.upload_pov("string", JPG, 0),
    "identity_promote": lambda s: s.identities.promote(0),
    "assets_list": lambda s: first(
        s.assets.list(
            search="red",
            include_tags=["product", "model"],
            exclude_tags=["other"],
            created_after=date(2026, 1, 1),
            ownership="mine",
            sort_by="filename",
            order="asc",
        )
    ),
    "assets_get": lambda s: s.assets.get("string"),
    "assets_delete": lambda s: s.assets.delete_many(["string"]),
    "gallery_jobs_filtered": lambda s: first(
        s.gallery.jobs(
            project="string",
            status="completed",
            feedback=["like", "dislike"],
            sort_by="quality_score",
            order="asc",
            job_type="model_swap",
            max_images=200,
        )
    ),
    "gallery_by_project": lambda s: first(s.gallery.projects(search="spring")),
    "billing_credits": lambda s: s.billing.usage(
        datetime(2026, 1, 1, tzinfo=UTC), "2026-02-01T00:00:00Z"
    ),
    "billing_credits_old": lambda s: s.billing.usage(resolution="month"),
    "billing_group": lambda s: s.billing.group_usage("string", resolution="week", breakdown="user"),
    "preset_create": lambda s: s.presets.create("string", "flat_2_model", {}),
    "preset_get": lambda s: s.presets.get("string"),
    "preset_update": lambda s: s.presets.update(
        "string", name="string", description="string", instruction_data={}
    ),
    "preset_delete": lambda s: s.presets.delete_many(["string"]),
    "preset_from_image": lambda s: s.presets.extract_from_image("string"),
    "preset_from_text": lambda s: s.presets.extract_from_text("string"),
    "preset_category_create": lambda s: s.presets.create_category("string"),
    "preset_category_update": lambda s: s.presets.update_category(
        "string", name="string", description="string", thumbnail_url="string"
    ),
    "preset_category_duplicate": lambda s: s.presets.duplicate_category("string", "string"),
    "token_create": lambda s: s.tokens.create("1d,01:02:03.000004"),
    "token_list": lambda s: first(s.tokens.list(order="asc")),
}
REFUSED: dict[str, tuple[Callable[[Session], Awaitable[Any]], type[Exception]]] = {
    "identity_upload_409": (lambda s: s.identities.upload(JPG, "string"), ConflictError),
    "identity_promote_409": (lambda s: s.identities.promote(0), ConflictError),
    "identity_promote_429": (lambda s: s.identities.promote(0), IdentityLimitError),
}


async def exchanged(name: str, call: Callable[[Session], Awaitable[Any]]) -> Any:
    """Make the call against a server that answers with the sample, and compare what it was sent."""
    sample = json.loads((WIRE / f"{name}.json").read_text())
    answer = sample["response"]

    async def respond(exchange: Exchange) -> None:
        await exchange.answer_json(answer["json"], answer["status"])

    async with serve(respond) as server, Session("token", base_url=server.url) as session:
        try:
            return await call(session)
        finally:
            (sent,) = server.requests
            check(sent, sample["request"])


def check(sent: Exchange, wanted: dict[str, Any]) -> None:
    target = urlsplit(sent.target)
    params = {
        key: [str(each) for each in (value if isinstance(value, list) else [value])]
        for key, value in wanted.get("params", {}).items()
    }
    assert (sent.method, target.path) == (wanted["method"], wanted["path"])
    assert parse_qs(target.query) == params
    assert sent.header("Authorization") == "Bearer token"
    if "form" in wanted:
        check_form(sent, **wanted["form"])
    elif "json" in wanted:
        assert json.loads(sent.content) == wanted["json"]
    else:
        assert sent.content == b""


def check_form(sent: Exchange, *, fields: dict[str, str], file: str) -> None:
    kind = sent.header("Content-Type") or ""
    assert sent.header("Content-Length") == str(len(sent.content))
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + sent.content)
    found = {part.get_param("name", header="content-disposition"): part for part in parts.walk()}
    found.pop(None)
    picture = found.pop(file)
    assert picture.get_payload(decode=True) == JPG
    assert picture.get_content_type() == "image/jpeg"
    assert (picture.get_filename() or "").endswith(".jpg")
    texts = {name: part.get_payload(decode=True) for name, part in found.items()}
    assert texts == {name: text.encode() for name, text in fields.items()}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call_sends_what_its_page_shows_and_reads_the_answer(name: str) -> None:
    found = await exchanged(name, CALLS[name])
    values = found if isinstance(found, list) else [found]
    answer = json.loads((WIRE / f"{name}.json").read_text())["response"]["json"]
    for value in values:
        assert attrs.has(type(value))
        check_kept(value, answer)


def check_kept(value: Any, answer: Any) -> None:
    """Every field that the model has and the sample tells is kept."""
    told = answer
    for key in ("identities", "assets", "jobs", "projects", "tokens"):
        told = told[key][0] if key in told else told
    for field in attrs.fields(type(value)):
        if told.get(field.name) is not None and field.name not in ("images", "categories"):
            kept = getattr(value, field.name)
            if isinstance(kept, str | int | float | dict):
                assert kept == told[field.name], field.name
            else:
                assert kept, field.name


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_is_raised_as_what_it_means(name: str) -> None:
    call, kind = REFUSED[name]
    with pytest.raises(kind) as caught:
        await exchanged(name, call)
    if isinstance(caught.value, ConflictError):
        assert caught.value.identity_code == "abc1234567xy"


@pytest.mark.parametrize("name", ["identity_create", "identity_create_prompt"])
def test_drafts_are_asked_for_as_the_vendors_briefs_do(name: str) -> None:
    sample = json.loads((WIRE / f"{name}.json").read_text())
    wanted = sample["request"]["json"]
    request = CreateIdentity(
        instructions=wanted["instructions"],
        model=wanted["options"]["model"],
        name=wanted.get("name"),
    )
    call = endpoints.submit(request)
    assert (call.request.method, call.request.path) == ("POST", "/identity/create")
    assert call.request.json == wanted
    assert not call.request.replayable
    assert request.total_outputs == wanted["instructions"][0]["num_variations"]


async def test_images_of_the_gallery_keep_the_number_that_promoting_takes() -> None:
    (job,) = await exchanged("gallery_jobs_filtered", CALLS["gallery_jobs_filtered"])
    (image,) = job.images
    assert (image.job_id, image.image_result_id, image.url) == ("string", 0, None)


def test_every_sample_of_these_services_is_used() -> None:
    prefixes = ("identity_", "assets_", "gallery_", "billing_", "preset_", "token_", "auth_")
    samples = {path.stem for path in WIRE.glob("*.json") if path.stem.startswith(prefixes)}
    samples -= {"identity_429_slots", "identity_preprocessing", "gallery_by_job"}  # used elsewhere
    used = {*CALLS, *REFUSED, "identity_create", "identity_create_prompt"}
    assert samples == used | {"auth_login", "auth_refresh"}
