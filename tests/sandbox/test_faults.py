"""Each fault that can befall any request, as a program on a bare socket sees it."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
from aiohttp.test_utils import make_mocked_request

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.answers import ApiError
from piktid_async.sandbox.faults import AFTER, BEFORE, OPTIONS, TIMES
from piktid_async.sandbox.middleware import CONTROL_PATH
from piktid_async.sandbox.rendering import PLAIN_JPEG
from piktid_async.sandbox.visitors import Visitors


@attrs.frozen
class Answer:
    """What came over one connection, and how it ended."""

    raw: bytes
    reset: bool

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.raw.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


async def ask(url: str, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    """Send one request over a connection of its own, once, and read all that comes."""
    parts = urlsplit(url)
    head = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body))} | headers
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in head.items())]
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    received, reset = bytearray(), False
    try:
        async with asyncio.timeout(5):
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            await writer.drain()
            while chunk := await reader.read(1 << 16):
                received += chunk
    except ConnectionError:
        reset = True
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return Answer(bytes(received), reset)


async def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Answer:
    content = b"" if body is None else json.dumps(body).encode()
    token = {"Authorization": f"Bearer {sandbox.token}"}
    return await ask(sandbox.url + path, method, content, **token)


async def make_project(sandbox: Sandbox, name: str = "spring") -> Answer:
    return await call(sandbox, "POST", "/project", {"project_name": name})


async def projects(sandbox: Sandbox) -> int:
    answer = await call(sandbox, "GET", "/project")
    assert answer.status == 200
    return len(json.loads(answer.body)["projects"])


def is_reset(answer: Answer) -> bool:
    return answer.reset and answer.raw == b""


def is_json_error(answer: Answer) -> bool:
    return answer.status == 500 and "error" in json.loads(answer.body)


def is_page(status: int) -> Any:
    def check(answer: Answer) -> bool:
        return answer.status == status and answer.body.startswith(b"<html>")

    return check


def is_limited(wait: str | None) -> Any:
    def check(answer: Answer) -> bool:
        return answer.status == 429 and answer.headers.get("retry-after") == wait

    return check


def is_cut(answer: Answer) -> bool:
    length = int(answer.headers["content-length"])
    return answer.status == 201 and not answer.reset and len(answer.body) == length // 2


def is_whole(answer: Answer) -> bool:
    return answer.status == 201 and json.loads(answer.body)["project_name"] == "spring"


SEEN = {
    "connections_refused": is_reset,
    "restarts": is_reset,
    "reset_before": is_reset,
    "stall_before": is_reset,
    "errors": is_json_error,
    "errors_html": is_page(500),
    "rate_limited": is_limited(None),
    "rate_limited_told": is_limited("1"),
    "reset_after": is_reset,
    "stall_after": is_reset,
    "errors_after": is_page(500),
    "garbled_body": is_page(201),
    "truncated_body": is_cut,
    "slow_body": is_whole,
}


@pytest.mark.parametrize("name", SEEN)
async def test_a_fault_befalls_one_request_before_or_after_the_server_has_acted(start, name):
    quick = {"stall_seconds": 0.01, "slow_seconds": 0.05, "down_seconds": 0.0}
    sandbox = (await start(faults=Faults(**{name: 1}, **quick))).sandbox
    answer = await make_project(sandbox)
    assert SEEN[name](answer), answer
    assert sandbox.faults.counts == {name: 1}
    await until_open(sandbox)
    assert await projects(sandbox) == (name in AFTER)


def test_every_fault_that_befalls_any_request_is_seen():
    assert set(SEEN) == {*BEFORE, *AFTER}


async def until_open(sandbox: Sandbox) -> None:
    async with asyncio.timeout(5):
        while True:
            try:
                await call(sandbox, "GET", "/project")
            except ConnectionRefusedError:
                await asyncio.sleep(0)
            else:
                return


async def test_a_port_that_refuses_does_so_for_a_while_and_is_kept(start):
    sandbox = (await start(faults=Faults(connections_refused=1, down_seconds=0.1))).sandbox
    assert is_reset(await make_project(sandbox))
    with pytest.raises(ConnectionRefusedError):
        await make_project(sandbox)
    with pytest.raises(OSError, match="in use"):
        await Sandbox(port=urlsplit(sandbox.url).port or 0).start()
    await until_open(sandbox)
    assert is_whole(await make_project(sandbox))
    assert sandbox.faults.counts == {"connections_refused": 1}


async def test_a_port_that_refuses_when_the_server_stops_is_let_go(start):
    sandbox = (await start(faults=Faults(connections_refused=1, down_seconds=60.0))).sandbox
    assert is_reset(await make_project(sandbox))
    port = urlsplit(sandbox.url).port
    await sandbox.stop()
    async with Sandbox(port=port or 0, render=False) as another:
        assert urlsplit(another.url).port == port


async def test_a_stalled_request_ends_with_the_server(start):
    caller = await start(faults=Faults(stall_before=1))
    waiting = asyncio.create_task(make_project(caller.sandbox))
    while not caller.sandbox.faults.counts["stall_before"]:  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0)
    await caller.sandbox.stop()
    assert (await waiting).raw == b""


async def test_a_fault_befalls_only_the_requests_that_are_asked_for(start):
    caller = await start(faults=Faults(errors=9, on="POST /project"))
    sandbox = caller.sandbox
    assert await projects(sandbox) == 0
    assert (await make_project(sandbox)).status == 500
    sandbox.faults.on = {"errors": "GET /jobs/*", "reset_before": "DELETE *"}
    assert is_whole(await make_project(sandbox))
    assert (await call(sandbox, "GET", "/jobs/job_1/status")).status == 502
    sandbox.faults.reset_before = 1
    assert is_reset(await call(sandbox, "DELETE", "/notifications/1"))
    assert sandbox.faults.counts == {"errors": 2, "reset_before": 1}


async def test_the_storage_is_befallen_like_the_api(start):
    caller = await start(faults=Faults(on={"reset_after": "PUT storage"}, reset_after=1))
    ticket = await caller.ticket()
    kind = {"Content-Type": ticket["content_type"]}
    picture = b"pixels" * 100
    assert is_reset(await ask(ticket["upload_url"], "PUT", picture, **kind))
    assert (await ask(ticket["download_url"])).body == picture
    faults = caller.sandbox.faults
    faults.truncated_body = faults.slow_body = 1
    faults.slow_seconds = 0.02
    half = await ask(ticket["download_url"])
    assert (int(half.headers["content-length"]), half.body) == (600, picture[:300])
    slow = await ask(ticket["download_url"])
    assert slow.body == picture
    assert faults.counts == {"reset_after": 1, "truncated_body": 1, "slow_body": 1}


async def test_an_empty_answer_and_a_zip_are_truncated_too(start):
    caller = await start()
    ticket = await caller.ticket()
    faults = caller.sandbox.faults
    faults.truncated_body = 1
    kind = {"Content-Type": ticket["content_type"]}
    empty = await ask(ticket["upload_url"], "PUT", b"pixels", **kind)
    assert (empty.status, empty.headers["content-length"], empty.body) == (200, "1", b"")
    job_id = await caller.finished()
    _, link = await caller.post("/download", {"job_id": job_id})
    faults.truncated_body = 1
    packed = await ask(link["download_url"])
    assert packed.headers["transfer-encoding"] == "chunked"
    assert packed.body
    assert not packed.body.endswith(b"0\r\n\r\n")


async def test_vtryon_and_its_files_are_befallen(start):
    caller = await start(
        vtryon_seconds=0.0, faults=Faults(errors=1, reset_before=1, on={"reset_before": "GET *"})
    )
    sandbox = caller.sandbox
    url = f"{sandbox.vtryon_url}/v4/models/multipose-image-recolor/"
    key = {"x-api-key": sandbox.vtryon_key}
    assert (await ask(url, "POST", b"{}", **key)).status == 500
    assert is_reset(await ask(url, **key))
    assert sandbox.books.vtryon.requests == {
        "POST /v4/models/multipose-image-recolor/": 1,
        "GET /v4/models/multipose-image-recolor/": 1,
    }


async def test_errors_come_with_their_statuses_in_turn_and_in_bursts(start):
    caller = await start(faults=Faults(errors=4, error_statuses=(503, 502)))
    asked = [(await make_project(caller.sandbox)).status for _ in range(4)]
    assert asked == [503, 502, 503, 502]
    faults = Faults(seed=3, rates={"errors_html": 0.1}, error_burst=4)
    runs = "".join(".x"[faults.take("errors_html")] for _ in range(200)).rstrip("x").split(".")
    assert {len(run) % 4 for run in runs} == {0}
    assert max(len(run) for run in runs) >= 4


async def test_the_url_faults_are_told_as_s3_tells_them(start):
    caller = await start(faults=Faults(upload_url_skewed=1, download_url_skewed=1))
    ticket = await caller.ticket()
    kind = {"Content-Type": ticket["content_type"]}
    for url, method in ((ticket["upload_url"], "PUT"), (ticket["download_url"], "GET")):
        answer = await ask(url, method, **kind)
        assert answer.status == 403
        assert b"<Code>RequestTimeTooSkewed</Code>" in answer.body
    caller.sandbox.faults.download_url_expired = 1
    expired = await ask((await caller.ticket())["download_url"])
    assert expired.status == 403
    assert b"Request has expired" in expired.body
    counts = caller.sandbox.faults.counts
    assert counts == {"upload_url_skewed": 1, "download_url_skewed": 1, "download_url_expired": 1}


async def test_a_clock_that_is_a_little_ahead_is_borne(start):
    caller = await start(faults=Faults(upload_url_skewed=1, clock_skew=60.0))
    assert (await caller.put((await caller.ticket())["upload_url"]))[0] == 200


async def test_a_download_is_slowed_down(start):
    caller = await start()
    file_id = await caller.upload()
    _, asset = await caller.get(f"/assets/{file_id}")
    caller.sandbox.faults.download_errors = 1
    refused = await ask(asset["url"])
    assert refused.status == 503
    assert b"<Code>SlowDown</Code>" in refused.body
    assert (await ask(asset["url"])).body == b"pixels"
    assert caller.sandbox.faults.counts == {"download_errors": 1}


async def test_a_stalled_upload_is_read_to_the_half_and_reset(start):
    caller = await start(faults=Faults(upload_stall=1, stall_seconds=0.05))
    ticket = await caller.ticket()
    kind = {"Content-Type": ticket["content_type"]}
    assert is_reset(await ask(ticket["upload_url"], "PUT", b"x" * 8_000_000, **kind))
    assert (await ask(ticket["download_url"])).status == 404
    assert (await ask(ticket["upload_url"], "PUT", b"pixels", **kind)).status == 200
    assert caller.sandbox.faults.counts == {"upload_stall": 1}


async def test_a_status_that_is_not_found_for_once(start):
    caller = await start(faults=Faults(status_404=1))
    job_id = await caller.finished()
    assert [(await caller.get(f"/jobs/{job_id}/status"))[0] for _ in range(2)] == [404, 200]
    assert caller.sandbox.faults.counts == {"status_404": 1}


async def test_stuck_images_may_go_on_by_themselves(start):
    caller = await start(faults=Faults(images_stuck=1, stuck_seconds=0.02))
    job_id = await caller.finished()
    assert caller.sandbox.books.jobs[job_id].successful == 1
    (item,) = (await caller.results(job_id))["results"]
    assert (await caller.fetch(item["output"]["full_size"]))[1] == PLAIN_JPEG
    assert caller.sandbox.faults.counts == {"images_stuck": 1}


def drawn(name: str, count: int = 300, **options: Any) -> str:
    faults = Faults(**options)
    return "".join(".x"[faults.first_of(TIMES) == name] for _ in range(count))


def test_a_seed_gives_the_same_faults_and_another_one_others():
    rates = {"reset_after": 0.1}
    first = drawn("reset_after", seed=7, rates=rates)
    assert first == drawn("reset_after", seed=7, rates=rates)
    assert first != drawn("reset_after", seed=8, rates=rates)
    assert 10 <= first.count("x") <= 50
    faults = Faults(seed=8, rates=rates)
    faults.take("reset_after")
    faults.seed = 7
    assert first == "".join(".x"[faults.take("reset_after")] for _ in first)


def test_one_fault_more_does_not_move_the_others():
    alone = drawn("slow_body", seed=7, rates={"slow_body": 0.2})
    among = drawn("slow_body", seed=7, rates={"slow_body": 0.2, "reset_before": 0.3}, errors=5)
    assert all(after == "." or before == "x" for before, after in zip(alone, among, strict=True))
    assert 0 < among.count("x") < alone.count("x")


@pytest.mark.parametrize("name", TIMES)
def test_every_fault_by_number_is_used_up_and_by_rate_is_not(name):
    faults = Faults(**{name: 2})
    assert [faults.take(name) for _ in range(3)] == [True, True, False]
    assert getattr(faults, name) == 0
    faults.rates = {name: 1}
    assert all(faults.take(name) for _ in range(5))
    assert faults.counts == {name: 7}


WRONG = [
    ({"errors": -1}, ValueError, r"errors must be 0 or more, not -1: .*errors=3.*0\.05"),
    ({"errors": 0.5}, TypeError, r"errors must be a whole number, not 0\.5: .*rates="),
    ({"errors": True}, TypeError, "errors must be a whole number"),
    ({"rates": {"reset_aftr": 0.1}}, ValueError, "'reset_aftr'.*did you mean 'reset_after'"),
    ({"rates": {"submit_delay": 0.1}}, ValueError, "'submit_delay' with a probability"),
    (
        {"rates": {"errors": 1.5}},
        ValueError,
        r"rates\['errors'\] must be between 0 and 1, not 1\.5",
    ),
    ({"rates": {"errors": float("nan")}}, ValueError, "between 0 and 1"),
    ({"rates": {"errors": "often"}}, TypeError, "must be a number, not 'often'"),
    ({"rates": 0.5}, TypeError, "rates must be a mapping"),
    ({"on": "garment-recolor"}, ValueError, "on must be an endpoint.*POST /garment-recolor"),
    ({"on": 7}, TypeError, "on must be a text"),
    ({"on": {"acks_fail": "*"}}, ValueError, "'acks_fail' that befalls any request"),
    ({"stall_seconds": -1.0}, ValueError, "stall_seconds must be 0 or more"),
    ({"stall_seconds": "1"}, TypeError, "stall_seconds must be a number"),
    ({"retry_after": -1.0}, ValueError, "retry_after must be 0 or more"),
    ({"stream_cut_after_events": -1}, ValueError, "stream_cut_after_events must be 0 or more"),
    ({"stream_cut_after_events": "2"}, TypeError, "stream_cut_after_events must be a whole"),
    ({"stream_refuse": 1}, TypeError, "stream_refuse must be true or false"),
    ({"submit_status": [200]}, ValueError, "submit_status must be statuses from 400 to 599"),
    ({"submit_status": 503}, TypeError, "submit_status must be a list"),
    ({"error_statuses": []}, ValueError, "error_statuses must be at least one status"),
    ({"error_burst": 0}, ValueError, "error_burst must be 1 or more"),
    ({"enormous_bytes": 10**12}, ValueError, "enormous_bytes must be at most 1073741824 bytes"),
    ({"enormous_bytes": 1.5}, TypeError, "enormous_bytes must be a whole number"),
    ({"seed": "seven"}, TypeError, "seed must be a whole number"),
]


@pytest.mark.parametrize(("options", "kind", "words"), WRONG)
def test_a_wrong_value_is_named_with_its_rule_and_its_remedy(options, kind, words):
    with pytest.raises(kind, match=words):
        Faults(**options)
    faults = Faults(acks_fail=2)
    with pytest.raises(kind, match=words):
        faults.change({"acks_fail": 5, **options})
    assert faults.options() == Faults(acks_fail=2).options()


def test_a_status_that_is_none_is_refused_when_it_is_added():
    faults = Faults(submit_status=(503,))
    faults.submit_status.append(429)
    faults.submit_status.extend(iter([500]))
    faults.submit_status.insert(0, 402)
    faults.submit_status += [502]
    faults.submit_status[1] = 504
    assert faults.submit_status == [402, 504, 429, 500, 502]
    for add in (
        lambda each: faults.submit_status.append(each),
        lambda each: faults.submit_status.extend([each]),
        lambda each: faults.submit_status.insert(0, each),
        lambda each: faults.submit_status.__iadd__([each]),
        lambda each: faults.submit_status.__setitem__(0, each),
        lambda each: faults.submit_status.__setitem__(slice(0, 2), [each]),
    ):
        with pytest.raises(TypeError, match=r"Faults\.submit_status must be a list of whole"):
            add("boom")
        with pytest.raises(ValueError, match=r"Faults\.submit_status must be statuses from 400"):
            add(200)
    assert [faults.take_submit_status() for _ in range(6)] == [402, 504, 429, 500, 502, None]


def test_all_can_be_ended_at_once():
    faults = Faults(seed=7, errors=3, rates={"reset_after": 1.0}, submit_status=[503], on="GET *")
    assert faults.take("errors")
    faults.clear()
    assert faults.options() == Faults(seed=7).options()
    assert not faults.take("reset_after")
    assert faults.counts == {"errors": 1}
    faults.submit_status.append(500)
    assert Faults().submit_status == []


async def test_faults_are_read_and_set_over_http_and_befall_that_endpoint_never(start):
    caller = await start(faults=Faults(seed=7, rates={"errors": 1.0}))
    status, told = await caller.get("/_sandbox/faults")
    assert status == 200
    assert told["options"]["rates"] == {"errors": 1.0}
    assert set(told["options"]) == set(OPTIONS)
    assert told["counts"] == {}
    changes = {"rates": {}, "acks_fail": 2, "error_statuses": [599], "errors": 1}
    status, told = await caller.call("PUT", "/_sandbox/faults", json=changes)
    assert (status, told["options"]["acks_fail"], told["options"]["seed"]) == (200, 2, 7)
    assert (await make_project(caller.sandbox)).status == 599
    assert (await caller.get("/_sandbox/faults"))[1]["counts"] == {"errors": 1}


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"acks_fial": 1}, "did you mean 'acks_fail'"), ({"errors": -1}, "errors")],
)
async def test_a_wrong_fault_is_refused_over_http(caller, changes, words):
    status, body = await caller.call("PUT", "/_sandbox/faults", json=changes)
    assert status == 400
    assert words in body["error"]


async def test_faults_are_shown_to_those_with_the_token(caller):
    assert (await caller.call("GET", "/_sandbox/faults", headers={}))[0] == 401


def test_the_readme_names_every_option():
    readme = Path(__file__).parents[2].joinpath("README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## The sandbox\n")[2].partition("\n## ")[0]
    assert set(OPTIONS) <= set(re.findall(r"\b[a-z_0-9]+\b", section))
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} <= set(OPTIONS)


def test_faults_are_set_from_this_machine_only():
    stranger = make_mocked_request("PUT", CONTROL_PATH).clone(remote="192.0.2.1")
    with pytest.raises(ApiError, match="403"):
        Visitors().check(stranger)
