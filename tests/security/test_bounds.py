"""Nothing that is read is read without a bound: answers, events, webhooks, results."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piktid_async import (
    DownloadError,
    PiktidError,
    ResponseFormatError,
    UploadError,
    WebhookSignatureError,
    results,
)
from piktid_async.protocol.feed import read_event, read_webhook
from piktid_async.protocol.messages import Request, Response
from piktid_async.protocol.parsing import MAX_VALUES, parsed
from piktid_async.protocol.responses import error_for, read_json
from piktid_async.protocol.sse import ServerSentEvent
from piktid_async.transport import _aiohttp
from piktid_async.types import DEEPEST
from piktid_async.webhooks import MAX_BODY, WebhookReceiver, sign, unwrap
from tests.security.service import Answer, answering, hostile, sending
from tests.transport.servers import PNG, Exchange

REQUEST = Request(method="GET", path="/x")

# JSON


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + b"1" * (opening != b"[") + closing * depth


READERS: dict[str, Callable[[bytes], object]] = {
    "answer": lambda body: read_json(REQUEST, Response(status=200, body=body)),
    "event": lambda body: read_event(ServerSentEvent("", body.decode())),
    "webhook": read_webhook,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "body",
    [
        nested(DEEPEST + 1),
        nested(DEEPEST + 1, b'{"a":', b"}"),
        nested(1000),
        nested(100_000),
        b"[" * 1_000_000,
        b'{"id": 1, "name": "n", "data": ' + nested(500, b'{"a":', b"}") + b"}",
    ],
)
def test_json_of_absurd_depth_is_a_typed_error(reader: str, body: bytes) -> None:
    with pytest.raises(ResponseFormatError):
        READERS[reader](body)


def test_json_as_deep_as_allowed_is_read_and_can_be_walked() -> None:
    value = parsed("GET /x", nested(DEEPEST))
    assert error_for("GET /x", Response(status=500, body=nested(DEEPEST))).body == value
    assert parsed("GET /x", b'"' + b"[" * 1000 + b'"') == "[" * 1000  # text has no depth
    assert parsed("GET /x", b"[" + b"[]," * 1000 + b"[]]") == [[]] * 1001  # nor has breadth


@pytest.mark.parametrize("unit", [b"[],", b"{},", b"1,", b'"",', b"[[[["])
def test_json_of_absurdly_many_values_is_refused_before_it_is_built(unit: bytes) -> None:
    body = b"[" + unit * (MAX_VALUES + 1) + b"1]"
    tracemalloc.start()
    try:
        with pytest.raises(ResponseFormatError, match=f"more than {MAX_VALUES} values"):
            parsed("GET /x", body)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_error_page_of_absurd_depth_is_no_second_error() -> None:
    error = error_for("GET /x", Response(status=502, body=nested(5000)))
    assert (error.status, error.body) == (502, None)


def test_the_words_of_a_server_are_bounded() -> None:
    body = b'{"error": "' + b"x" * 1_000_000 + b'"}'
    assert len(error_for("GET /x", Response(status=400, body=body)).message) == 500


# Answers


def packed(size: int, members: int = 1) -> bytes:
    """Pack zeros, of which gzip makes a thousandth."""
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 20)
    one = b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    return one * members


def endless(head: bytes = b"") -> Answer:
    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200, [("Content-Type", "application/json")])
        await exchange.send(head)
        while True:
            await exchange.send(b" " * 65536)

    return answer


BOMBS: dict[str, Answer] = {
    "endless": endless(),
    "gzip bomb": sending(packed(256 << 20), Content_Encoding="gzip"),
    "bomb of many members": sending(packed(1 << 20, 256), Content_Encoding="gzip"),
    "deflate bomb": sending(zlib.compress(bytes(256 << 20)), Content_Encoding="deflate"),
    "bomb with an error": sending(packed(256 << 20), 500, Content_Encoding="gzip"),
}


@pytest.mark.parametrize("bomb", BOMBS)
async def test_an_answer_is_read_to_its_bound_and_no_further(
    bomb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_aiohttp, "MAX_ANSWER", 4 << 20)
    async with hostile({"/": BOMBS[bomb]}, timeout=30.0) as running:
        tracemalloc.start()
        try:
            with pytest.raises(ResponseFormatError, match=r"GET /x: .* longer than 4194304 bytes"):
                await running.session.request("GET", "/x")
            # The server is in this process, and so are what it sends and aiohttp's buffers.
            assert tracemalloc.get_traced_memory()[1] < 32 << 20
        finally:
            tracemalloc.stop()
        await running.api.until(lambda: running.api.open == 0)


async def test_a_broken_packing_is_a_typed_error() -> None:
    for body in (b"\x1f\x8b junk", b"plain", gzip.compress(b"{}")[:12]):
        async with hostile({"/": sending(body, Content_Encoding="gzip")}) as running:
            with pytest.raises(PiktidError):
                await running.session.request("GET", "/x")


async def test_headers_without_end_are_a_typed_error() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await exchange.send(b"X-More: " + b"x" * 60_000 + b"\r\n")

    async with hostile({"/": answer}) as running:
        with pytest.raises(PiktidError, match="GET /x"):
            await running.session.request("GET", "/x")


async def test_an_endless_answer_of_storage_fails_the_upload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_aiohttp, "MAX_ANSWER", 4 << 20)
    async with hostile({"storage:/": endless()}) as running:
        with pytest.raises(UploadError, match="longer than 4194304 bytes") as raised:
            await running.session.upload(PNG)
        assert not raised.value.retryable
        await running.storage.until(lambda: running.storage.open == 0)


# Results

RESULTS: dict[str, tuple[Answer, str]] = {
    "endless": (endless(PNG), "longer than 1048576 bytes"),
    "a page": (sending(b"<html>Please log in</html>"), "is no picture"),
    "JSON": (answering({"error": "gone"}), "is no picture"),
    "nothing": (sending(b""), "is no picture"),
    "packed": (sending(packed(4 << 20), Content_Encoding="gzip"), "is no picture"),
    "an endless refusal": (endless(), "longer than 1048576 bytes"),
}


@pytest.mark.parametrize("fault", RESULTS)
async def test_a_result_that_is_no_image_or_never_ends_leaves_nothing(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, words = RESULTS[fault]
    monkeypatch.setattr(results, "MAX_IMAGE", 1 << 20)
    async with hostile({"storage:/": answer}) as running:
        with pytest.raises(DownloadError, match=words) as raised:
            await running.job().download(tmp_path)
        assert raised.value.saved == ()
        if "endless" in fault:  # the others have been read to their end
            await running.storage.until(lambda: running.storage.open == 0)
    assert list(tmp_path.iterdir()) == []


async def test_one_odd_row_does_not_keep_the_images_that_are_paid_for(tmp_path: Path) -> None:
    async with hostile() as running:
        good = {"image_index": 0, "status": "completed", "url": running.signed}
        rows: list[Any] = [good, {"image_index": "one"}, None, good | {"image_index": 2}]
        running.answers["/jobs/j/results"] = answering(
            {"job_id": "j", "status": "completed", "results": rows}
        )
        job = running.job()
        result = await job.result()
        assert len(await job.download(tmp_path)) == 2
    assert len(result.unreadable) == 2
    assert "$.results[1].image_index" in result.unreadable[0]
    assert "$.results[2]" in result.unreadable[1]
    with pytest.raises(ResponseFormatError, match=r"\$\.results\[1\]"):
        result.raise_for_failures()


# Webhooks


@pytest.mark.parametrize(
    "body", [nested(5000), b"[" * 100_000, b"\x1f\x8b junk", b"", b"null", b'{"id": 1}']
)
def test_a_signed_webhook_of_any_shape_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(ResponseFormatError):
        unwrap(body, {"X-Webhook-Signature": sign(body, "whsec")}, "whsec")


def test_a_webhook_that_is_too_long_is_not_even_verified() -> None:
    body = b" " * (MAX_BODY + 1)
    with pytest.raises(WebhookSignatureError, match=f"more than {MAX_BODY} bytes"):
        unwrap(body, {"X-Webhook-Signature": sign(body, "whsec")}, "whsec")


@pytest.mark.parametrize("server", ["aiohttp", "asgi"])
async def test_a_packed_webhook_is_bounded_by_what_it_unpacks_to(server: str) -> None:
    """aiohttp.web unpacks bodies by itself; an ASGI server hands them over as they are."""
    from aiohttp import ClientSession, web
    from aiohttp.test_utils import TestServer

    body = packed(64 << 20)
    headers = {"Content-Encoding": "gzip", "X-Webhook-Signature": sign(body, "whsec")}
    async with hostile() as running:
        receiver = WebhookReceiver(running.session, "whsec")
        if server == "asgi":
            assert await asgi_status(receiver, body, headers) == 400  # signed, and no JSON
            return
        app = web.Application()
        app.router.add_post("/hook", receiver.aiohttp_handler)
        async with TestServer(app) as receiving, ClientSession() as poster:
            tracemalloc.start()
            try:
                url = receiving.make_url("/hook")
                async with poster.post(url, data=body, headers=headers) as answer:
                    assert answer.status == 413
                assert tracemalloc.get_traced_memory()[1] < 32 << 20
            finally:
                tracemalloc.stop()


async def asgi_status(receiver: WebhookReceiver, body: bytes, headers: dict[str, str]) -> int:
    sent: list[dict[str, Any]] = []
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    received.put_nowait({"type": "http.request", "body": body, "more_body": False})
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
    }

    async def send(message: Any) -> None:
        sent.append(message)

    await receiver.asgi_app(scope, received.get, send)
    status: int = sent[0]["status"]
    return status
