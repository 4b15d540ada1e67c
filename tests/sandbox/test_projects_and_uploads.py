from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest
from yarl import URL

from piktid_async.sandbox import Faults


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic c2FuZGJveA=="}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/project"),
        ("GET", "/project"),
        ("POST", "/upload"),
        ("POST", "/garment-recolor"),
        ("GET", "/jobs/x/status"),
        ("GET", "/jobs/x/results"),
        ("GET", "/gallery/by-job"),
        ("POST", "/download"),
        ("GET", "/notifications/events"),
        ("POST", "/notifications"),
        ("DELETE", "/notifications/1"),
        ("GET", "/nowhere"),
    ],
)
async def test_every_call_wants_the_token(caller, headers, method, path):
    status, body = await caller.call(method, path, headers=headers)
    assert status == 401
    assert body["error"]


async def test_an_unknown_path_is_a_json_404(caller):
    assert await caller.get("/nowhere") == (404, {"error": "Not Found"})


async def test_a_project_is_made_once_and_its_taken_name_tells_the_id(caller):
    status, made = await caller.post("/project", {"project_name": "spring"})
    assert (status, made["project_name"]) == (201, "spring")
    status, taken = await caller.post("/project", {"project_name": "spring"})
    assert (status, taken["project_id"]) == (409, made["project_id"])
    assert isinstance(taken["error"], str)


async def test_projects_come_in_pages_with_both_kinds_of_id(caller):
    keys = []
    for number in range(3):
        _, made = await caller.post("/project", {"project_name": f"p{number}"})
        keys.append(made["project_id"])
    status, body = await caller.get("/project", per_page=2, order="asc")
    assert status == 200
    assert [found["project_key"] for found in body["projects"]] == keys[:2]
    assert [found["project_text"] for found in body["projects"]] == ["p0", "p1"]
    assert all(isinstance(found["project_id"], int) for found in body["projects"])
    assert body["pagination"] == {
        "page": 1,
        "per_page": 2,
        "total": 3,
        "pages": 2,
        "has_next": True,
        "has_prev": False,
    }
    _, body = await caller.get("/project", per_page=2, page=2)
    assert [found["project_key"] for found in body["projects"]] == keys[:1]


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"per_page": "101"}, {"per_page": "x"}, {"order": "up"}]
)
async def test_a_bad_page_is_a_problem_of_the_query(caller, query):
    status, body = await caller.get("/project", **query)
    assert (status, body["error"]) == (400, "Invalid request")
    (problem,) = body["detail"]
    assert problem["field"] in query
    assert problem["position"] == "query"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"{", None),
        (b"[]", None),
        (b"{}", "project_name"),
        (b'{"project_name": 1}', "project_name"),
    ],
)
async def test_a_malformed_body_names_the_field(caller, raw, field):
    status, body = await caller.call(
        "POST", "/project", data=raw, headers={"Authorization": f"Bearer {caller.sandbox.token}"}
    )
    assert (status, body["error"]) == (400, "Invalid request")
    assert [problem["field"] for problem in body["detail"]] == [field]


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("front.jpg", "image/jpeg"),
        ("FRONT.JPEG", "image/jpeg"),
        ("a b.png", "image/png"),
        ("x.webp", "image/webp"),
        ("notes", "application/octet-stream"),
    ],
)
async def test_the_content_type_follows_the_extension(caller, filename, content_type):
    ticket = await caller.ticket(filename=filename)
    assert ticket["filename"] == filename
    assert ticket["content_type"] == content_type
    uuid.UUID(ticket["file_id"])
    assert "project_id" not in ticket


async def test_a_nameless_upload_gets_a_random_name(caller):
    status, ticket = await caller.post("/upload")
    assert status == 200
    uuid.UUID(ticket["filename"])


async def test_the_project_of_an_upload_is_echoed(caller):
    key = await caller.project()
    ticket = await caller.ticket(project_name="spring")
    assert (ticket["project_id"], ticket["project_name"]) == (key, "spring")


async def test_what_was_put_can_be_fetched(caller):
    content = bytes(range(256)) * 3000 + bytes(2_000_000) + b"end"

    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 50_000):
            yield content[start : start + 50_000]

    ticket = await caller.ticket(filename="it's (1)~ü+.jpg")
    length = {"Content-Length": str(len(content))}
    assert await caller.put(ticket["upload_url"], blocks(), **length) == (200, "")
    assert await caller.fetch(ticket["download_url"]) == (200, content)


async def test_the_storage_is_another_origin_than_the_api(caller):
    ticket = await caller.ticket()
    assert URL(ticket["upload_url"]).origin() != URL(caller.sandbox.url).origin()
    assert URL(ticket["upload_url"]).host == "127.0.0.1"


async def test_nothing_was_put_yet(caller):
    ticket = await caller.ticket()
    status, body = await caller.fetch(ticket["download_url"])
    assert status == 404
    assert b"<Code>NoSuchKey</Code>" in body


@pytest.mark.parametrize(
    ("written", "rewritten"),
    [("%2F", "/"), ("%28", "("), ("~", "%7E"), ("+", "%20"), ("X-Amz-Signature=", "x=")],
)
async def test_a_signed_url_that_was_re_encoded_is_refused(caller, written, rewritten):
    ticket = await caller.ticket()
    assert written in ticket["upload_url"]
    status, body = await caller.put(ticket["upload_url"].replace(written, rewritten, 1))
    assert status == 403
    assert ("SignatureDoesNotMatch" in body) or (rewritten == "x=" and "AccessDenied" in body)


async def test_a_careless_client_that_normalises_the_url_is_found_out(caller):
    ticket = await caller.ticket()
    headers = {"Content-Type": "image/jpeg"}
    async with caller.http.put(ticket["upload_url"], data=b"x", headers=headers) as response:
        assert response.status == 403
        assert "SignatureDoesNotMatch" in await response.text()
        assert response.content_type == "application/xml"


async def test_another_content_type_does_not_match_the_signature(caller):
    ticket = await caller.ticket()
    status, body = await caller.put(ticket["upload_url"], content_type="image/png")
    assert status == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in body


async def test_a_url_signed_for_get_does_not_take_a_put(caller):
    ticket = await caller.ticket()
    status, _ = await caller.put(ticket["download_url"])
    assert status == 403


async def test_an_expired_url_is_refused(start):
    caller = await start(url_life=0.000_001)
    ticket = await caller.ticket()
    status, body = await caller.put(ticket["upload_url"])
    assert status == 403
    assert "<Code>AccessDenied</Code><Message>Request has expired</Message>" in body


async def test_authorization_is_refused_by_the_storage_and_remembered(caller):
    ticket = await caller.ticket()
    assert caller.sandbox.books.authorization_seen_by_storage is False
    status, body = await caller.put(ticket["upload_url"], Authorization="Bearer leaked")
    assert status == 400
    assert "<Code>InvalidArgument</Code><Message>Only one auth mechanism allowed" in body
    assert "leaked" not in body
    assert caller.sandbox.books.authorization_seen_by_storage is True


async def test_a_chunked_upload_is_not_implemented(caller):
    async def blocks() -> AsyncIterator[bytes]:
        yield b"pixels"

    ticket = await caller.ticket()
    status, body = await caller.put(ticket["upload_url"], blocks())
    assert status == 501
    assert "<Code>NotImplemented</Code>" in body


async def test_an_upload_above_the_limit_is_refused(start):
    caller = await start(max_upload_bytes=5)
    ticket = await caller.ticket()
    status, body = await caller.put(ticket["upload_url"], b"123456")
    assert status == 400
    assert "<Code>EntityTooLarge</Code>" in body
    assert (await caller.put(ticket["upload_url"], b"12345"))[0] == 200


async def test_other_methods_are_not_allowed_by_the_storage(caller):
    ticket = await caller.ticket()
    async with caller.http.post(URL(ticket["upload_url"], encoded=True)) as response:
        assert response.status == 405


async def test_an_upload_cut_short_leaves_nothing(caller):
    ticket = await caller.ticket()

    async def half() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("the source went away")

    with pytest.raises((aiohttp.ClientError, OSError)):
        await caller.put(ticket["upload_url"], half(), **{"Content-Length": "8"})
    assert (await caller.fetch(ticket["download_url"]))[0] == 404


async def test_connections_that_carried_a_put_count_once(caller):
    for _ in range(3):
        await caller.upload()
    assert caller.sandbox.books.storage_put_connections == 1
    async with aiohttp.ClientSession() as other:
        ticket = await caller.ticket()
        url = URL(ticket["upload_url"], encoded=True)
        async with other.put(url, data=b"x", headers={"Content-Type": "image/jpeg"}):
            pass
    assert caller.sandbox.books.storage_put_connections == 2


async def test_fault_upload_url_expired_is_used_up(start):
    caller = await start(faults=Faults(upload_url_expired=1))
    status, body = await caller.put((await caller.ticket())["upload_url"])
    assert status == 403
    assert "Request has expired" in body
    assert (await caller.put((await caller.ticket())["upload_url"]))[0] == 200
    assert caller.sandbox.faults.counts == {"upload_url_expired": 1}


async def test_fault_storage_errors(start):
    caller = await start(faults=Faults(storage_errors=2))
    ticket = await caller.ticket()
    for _ in range(2):
        status, body = await caller.put(ticket["upload_url"])
        assert status == 503
        assert "<Code>SlowDown</Code>" in body
    assert (await caller.put(ticket["upload_url"]))[0] == 200
    assert caller.sandbox.faults.counts == {"storage_errors": 2}


async def test_fault_upload_reset_may_be_set_while_the_server_runs(caller):
    ticket = await caller.ticket()
    caller.sandbox.faults.upload_reset = 2  # aiohttp sends an idempotent request again by itself
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.put(ticket["upload_url"], b"x" * 900_000)
    assert (await caller.fetch(ticket["download_url"]))[0] == 404
    caller.sandbox.faults.upload_reset = 0
    assert (await caller.put(ticket["upload_url"]))[0] == 200
    assert caller.sandbox.faults.counts["upload_reset"] >= 1
