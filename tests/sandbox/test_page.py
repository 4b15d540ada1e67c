"""The sandbox's own page as programs see it: who may read what, and who may change anything."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.test_utils import make_mocked_request

from piktid_async.sandbox import Faults
from piktid_async.sandbox.answers import ApiError
from piktid_async.sandbox.faults import OPTIONS, TIMES
from piktid_async.sandbox.visitors import EVENTS_PATH, KEY_HEADER, Visitors
from piktid_async.sandbox.watching import FAULT_GROUPS

FAULTS = "/_sandbox/faults"


@asynccontextmanager
async def events(caller: Any) -> AsyncIterator[AsyncIterator[tuple[str, Any]]]:
    async with caller.http.get(caller.sandbox.url + EVENTS_PATH) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"

        async def read() -> AsyncIterator[tuple[str, Any]]:
            name = ""
            async for line in response.content:
                head, _, rest = line.decode().rstrip("\n").partition(": ")
                if head == "event":
                    name = rest
                elif head == "data":
                    yield name, json.loads(rest)

        yield read()


async def standing(found: AsyncIterator[tuple[str, Any]], wanted: Any) -> Any:
    """Return the first standing that is as wanted."""
    async for name, told in found:
        if name == "standing" and wanted(told):
            return told
    raise AssertionError("the stream has ended")


async def key_of(caller: Any) -> str:
    async with caller.http.get(caller.sandbox.url) as response:
        found = re.search(r'name="sandbox-key" content="([^"]+)"', await response.text())
    assert found is not None
    return found[1]


async def test_the_page_needs_no_token_and_shows_none(caller):
    async with caller.http.get(caller.sandbox.url) as response:
        assert response.status == 200
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
    assert caller.sandbox.token not in text
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"https?://", text)


async def test_what_happens_is_told_and_is_no_connection_of_the_account(caller):
    async with events(caller) as found:
        first = await anext(found)
        assert first == ("hello", {"groups": _lists(FAULT_GROUPS), "times": list(TIMES)})
        await standing(found, lambda told: not told["jobs"])
        job_id = (await caller.submit())["job_id"]
        done = await standing(
            found, lambda told: told["jobs"] and told["jobs"][0]["status"] == "completed"
        )
    (job,) = done["jobs"]
    assert job["job_id"] == job_id
    assert done["counts"]["streams"] == 0
    assert caller.sandbox.books.stream_connections == 0
    assert len(caller.sandbox.books.notifications_outstanding) == 4
    (output,) = job["outputs"]
    for path, kind in (
        (f"outputs/{job_id}/{output['number']}", "image/jpeg"),
        (f"outputs/{job_id}/{output['number']}?full", "image/jpeg"),
        (f"uploads/{output['sources'][0]['file_id']}", "image/jpeg"),
    ):
        async with caller.http.get(f"{caller.sandbox.url}/_sandbox/page/{path}") as response:
            assert (response.status, response.content_type) == (200, kind)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert await response.read()
    for path in (f"outputs/{job_id}/0", "outputs/job_0/1", "uploads/no", "uploads/..%2f..%2fetc"):
        async with caller.http.get(f"{caller.sandbox.url}/_sandbox/page/{path}") as response:
            assert response.status == 404


async def test_notifications_are_told_without_what_is_signed(caller):
    caller.sandbox.emit("custom", {"link": "http://storage/x.jpg?X-Amz-Signature=abc", "n": [1]})
    async with events(caller) as found:
        async for name, told in found:
            if name == "note":
                assert told["data"] == {"link": "http://storage/x.jpg", "n": [1]}
                break


async def test_an_upload_that_is_no_picture_is_not_sent(caller):
    ticket = await caller.ticket(filename="x.html", content_type="text/html")
    await caller.put(ticket["upload_url"], b"<script>", **{"Content-Type": "text/html"})
    path = f"/_sandbox/page/uploads/{ticket['file_id']}"
    async with caller.http.get(caller.sandbox.url + path) as response:
        assert response.status == 404


async def test_faults_are_changed_with_the_key_of_the_page(caller):
    key, url = await key_of(caller), caller.sandbox.url + FAULTS
    for given, status in ((key, 200), (key[:-1], 401), ("", 401), ("\udcff", 401)):
        headers = {KEY_HEADER: given.encode(errors="surrogateescape").decode("latin-1")}
        async with caller.http.put(url, json={"images_fail": 3}, headers=headers) as response:
            assert response.status == status
    assert caller.sandbox.faults.images_fail == 3


async def test_the_key_opens_nothing_else(caller):
    headers = {KEY_HEADER: await key_of(caller)}
    async with caller.http.get(f"{caller.sandbox.url}/project", headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "192.0.2.1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_other_names_and_other_origins_are_refused(caller, headers):
    for method, path, key in (
        ("PUT", FAULTS, {KEY_HEADER: await key_of(caller)}),
        ("PUT", FAULTS, {"Authorization": f"Bearer {caller.sandbox.token}"}),
        ("GET", EVENTS_PATH, {}),
    ):
        given = {**key, **headers}
        url = caller.sandbox.url + path
        async with caller.http.request(method, url, json={}, headers=given) as response:
            assert response.status == 403
    if "Host" in headers:
        async with caller.http.get(caller.sandbox.url, headers=headers) as response:
            assert response.status == 403


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("127.0.0.1:8080", None),
    ],
)
def test_names_of_this_machine_are_ours(host, origin):
    headers = {"Host": host, **({"Origin": origin} if origin else {})}
    request = make_mocked_request("PUT", FAULTS, headers=headers).clone(remote="::1")
    Visitors().check(request)
    with pytest.raises(ApiError, match="403"):
        Visitors().check(request.clone(remote="192.0.2.7"))


async def test_no_fault_befalls_the_page(start):
    faults = Faults(rates={"reset_before": 1.0, "errors": 1.0, "truncated_body": 1.0})
    caller = await start(faults=faults)
    assert await key_of(caller)
    async with events(caller) as found:
        assert (await anext(found))[0] == "hello"
    assert not faults.counts


async def test_a_page_that_is_open_ends_with_the_sandbox(caller):
    async with events(caller) as found:
        await anext(found)
        await caller.sandbox.stop()
        with pytest.raises((AssertionError, aiohttp.ClientError)):
            await standing(found, lambda _: False)


def test_every_fault_can_be_switched():
    offered = [name for names in FAULT_GROUPS.values() for name in names]
    assert len(offered) == len(set(offered))
    assert set(TIMES) <= set(offered) <= set(OPTIONS)
    flags = {each.name for each in attrs.fields(Faults) if each.default is False}
    assert flags <= set(offered)


def _lists(groups: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {name: list(names) for name, names in groups.items()}
