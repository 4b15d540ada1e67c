from __future__ import annotations

import asyncio
import gzip
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from piktid_async.errors import (
    AuthenticationError,
    ConnectionFailedError,
    PermissionDeniedError,
    PiktidError,
    RequestTimeoutError,
    ResponseFormatError,
    ServerError,
    SessionClosedError,
    StatusError,
    UploadError,
)
from piktid_async.protocol.messages import Request
from piktid_async.protocol.responses import read_json
from piktid_async.sources import describe
from piktid_async.transport import _aiohttp
from piktid_async.transport.base import Put
from tests.transport.conftest import TOKEN, OpenTransport
from tests.transport.servers import PNG, Exchange, free_port, serve

GET = Request(method="GET", path="/things", replayable=True)
POST = Request(method="POST", path="/garment-recolor", json={"images": ["a"]})
SIGNATURE = "c0ffee5ec7e7"
SIGNED = (
    "/a%2Fb/%28one%29~two+three%20four/%7e%7E"
    f"?X-Sig={SIGNATURE}&empty=&b=2&a=1&a=%2f%2F&plus=a+b&blank&tilde=~%7E&eq=x%3Dy=z"
)


async def fetch(transport: Any, url: str) -> bytes:
    async with transport.get(url) as incoming:
        return b"".join([block async for block in incoming.blocks()])


def put_of(url: str, data: bytes = PNG, **changes: Any) -> Put:
    wanted = {
        "url": url,
        "content_type": "image/png",
        "body": describe(data, "a.png").body,
        "stall": 5.0,
        "on_sent": lambda sent: None,
    }
    return Put(**(wanted | changes))


async def listen(transport: Any, idle: float, heard: list[bytes] | None = None) -> None:
    """Read the event stream to its end."""
    async with transport.stream(GET, idle) as blocks:
        async for block in blocks:
            if heard is not None:
                heard.append(block)


# What goes out


async def test_token_goes_to_the_api_and_nothing_of_ours_to_the_storage(
    open_transport: OpenTransport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even with a netrc entry for the host and proxies in the environment."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password open-sesame\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def cookie(exchange: Exchange) -> None:
        await exchange.answer(200, PNG, [("Set-Cookie", "session=1; Path=/")])

    async with serve(cookie) as server:
        transport = open_transport(server.url)
        await transport.send(GET)
        await transport.send(GET)
        await transport.put(put_of(server.url + SIGNED))
        assert await fetch(transport, server.url + SIGNED) == PNG

    api, storage = server.requests[:2], server.requests[2:]
    assert [each.header("Authorization") for each in api] == [f"Bearer {TOKEN}"] * 2
    for exchange in server.requests:
        assert exchange.header("Cookie") is None
        assert exchange.header("Proxy-Authorization") is None
    for exchange in storage:
        assert exchange.header("Authorization") is None
        assert "piktid" not in (exchange.header("User-Agent") or "")
        assert TOKEN not in str(exchange.headers)


async def test_signed_url_goes_out_byte_for_byte(open_transport: OpenTransport) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer(200, PNG)

    async with serve(accept) as server:
        transport = open_transport(server.url)
        await transport.put(put_of(server.url + SIGNED))
        await fetch(transport, server.url + SIGNED)
    assert [each.target for each in server.requests] == [SIGNED, SIGNED]


@pytest.mark.parametrize("content_type", ["image/jpeg", "text/x-odd; charset=UTF-8; a=B"])
@pytest.mark.parametrize("size", [1, 20_000, 3_000_000])
async def test_put_sends_the_given_content_type_and_a_length_and_is_never_chunked(
    open_transport: OpenTransport, content_type: str, size: int
) -> None:
    data = bytes(size)

    async def accept(exchange: Exchange) -> None:
        await exchange.answer()

    async with serve(accept) as server:
        put = put_of(server.url + SIGNED, data, content_type=content_type)
        response = await open_transport(server.url).put(put)
    assert response.status == 200
    (exchange,) = server.requests
    assert exchange.content == data
    assert exchange.header("Content-Type") == content_type
    assert exchange.header("Content-Length") == str(size)
    assert exchange.header("Transfer-Encoding") is None
    assert exchange.header("Expect") is None
    assert exchange.header("Content-Encoding") is None


async def test_parameters_and_body_of_an_api_call_arrive_as_given(
    open_transport: OpenTransport,
) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer_json({})

    request = Request(
        method="POST", path="/gallery/a%2Fb", params={"q": "a&b=c d", "page": 2}, json={"ü": 1}
    )
    async with serve(accept) as server:
        await open_transport(server.url + "/v2").send(request)
    (exchange,) = server.requests
    assert exchange.target in (
        "/v2/gallery/a%2Fb?q=a%26b%3Dc+d&page=2",
        "/v2/gallery/a%2Fb?q=a%26b%3Dc%20d&page=2",
    )
    assert exchange.json() == {"ü": 1}
    assert exchange.header("Content-Type") == "application/json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_redirect_of_an_api_call_is_not_followed(
    open_transport: OpenTransport, status: int, request_: Request
) -> None:
    async def elsewhere(exchange: Exchange) -> None:
        await exchange.answer(status, b"", [("Location", other.url + "/thief")])

    async def thief(exchange: Exchange) -> None:
        await exchange.answer()

    async with serve(thief) as other, serve(elsewhere) as server:
        response = await open_transport(server.url).send(request_)
        assert response.status == status
        with pytest.raises(StatusError):
            read_json(request_, response)
        transport = open_transport(server.url)
        with pytest.raises(StatusError):
            async with transport.stream(GET, 5.0):
                pass
        response = await transport.put(put_of(server.url + SIGNED))
        assert response.status == status
    assert not other.requests


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("http://storage.example/a%2Fb?s=%28&e=", "https://storage.example/a%2Fb?s=%28&e="),
        ("HTTP://storage.example/a%2Fb?s=%28&e=", "https://storage.example/a%2Fb?s=%28&e="),
        ("http://storage.example:8080/a~b", "https://storage.example:8080/a~b"),
        ("https://storage.example/a+b", "https://storage.example/a+b"),
    ],
)
def test_http_storage_url_is_lifted_to_https_when_the_api_is_https(
    open_transport: OpenTransport, given: str, sent: str
) -> None:
    assert str(open_transport("https://api.example")._foreign(given).url) == sent


def test_http_storage_url_stays_when_the_api_is_on_loopback(open_transport: OpenTransport) -> None:
    url = "http://127.0.0.1:9000/a%2Fb?s=%28"
    assert str(open_transport("http://127.0.0.1:8000")._foreign(url).url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "http://",
        "http://[::1/a",
        "http://127.0.0.1:99999/a",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/a\r\nX-Evil: 1",
    ],
)
async def test_what_is_no_http_url_is_refused_without_showing_it(
    open_transport: OpenTransport, url: str
) -> None:
    transport = open_transport("http://127.0.0.1:8000")
    with pytest.raises(ResponseFormatError) as raised:
        await transport.put(put_of(url))
    assert_discreet(raised.value, url or SIGNATURE)
    with pytest.raises(ResponseFormatError):
        await fetch(transport, url)


@pytest.mark.parametrize("content_type", ["image/png\r\nX-Evil: 1", "image/png\x00"])
async def test_content_type_that_would_break_the_header_is_refused(
    open_transport: OpenTransport, content_type: str
) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer()

    async with serve(accept) as server:
        put = put_of(server.url + SIGNED, content_type=content_type)
        with pytest.raises(ResponseFormatError):
            await open_transport(server.url).put(put)
    assert not server.requests


# What comes back: downloads


async def test_download_follows_three_redirects_and_keeps_their_bytes(
    open_transport: OpenTransport,
) -> None:
    hops = {"/0": "/1%2F?a=%28", "/1%2F?a=%28": "HOST/2/x?b=", "/2/x?b=": "../3~?c=%2f+"}

    async def hop(exchange: Exchange) -> None:
        if (location := hops.get(exchange.target)) is None:
            return await exchange.answer(200, PNG)
        location = location.replace("HOST", server.url)
        return await exchange.answer(302, b"", [("Location", location)])

    async with serve(hop) as server:
        assert await fetch(open_transport(server.url), server.url + "/0") == PNG
    assert [each.target for each in server.requests] == ["/0", *list(hops)[1:], "/3~?c=%2f+"]


async def test_fourth_redirect_of_a_download_is_refused(open_transport: OpenTransport) -> None:
    async def loop(exchange: Exchange) -> None:
        await exchange.answer(302, b"", [("Location", f"/again?X-Sig={SIGNATURE}")])

    async with serve(loop) as server:
        with pytest.raises(ResponseFormatError, match="more than 3 redirects") as raised:
            await fetch(open_transport(server.url), server.url + "/0")
    assert len(server.requests) == 4
    assert_discreet(raised.value, SIGNATURE)


@pytest.mark.parametrize(
    "location", [None, "", "ftp://127.0.0.1/a", "http://[::1/a", "file:///etc/passwd", "//"]
)
async def test_redirect_to_nowhere_is_an_error_of_ours(
    open_transport: OpenTransport, location: str | None
) -> None:
    async def hop(exchange: Exchange) -> None:
        await exchange.answer(302, b"", [] if location is None else [("Location", location)])

    async with serve(hop) as server:
        with pytest.raises(ResponseFormatError):
            await fetch(open_transport(server.url), server.url + "/0")


def test_redirect_never_leads_from_https_to_http(open_transport: OpenTransport) -> None:
    for base_url in ("https://api.example", "http://127.0.0.1:8000"):
        transport = open_transport(base_url)
        source = transport._foreign("https://storage.example/a")
        target = transport._redirected(source, "http://storage.example/b%2F?s=%28")
        assert str(target.url) == "https://storage.example/b%2F?s=%28"


async def test_download_asks_for_the_bytes_as_they_are(open_transport: OpenTransport) -> None:
    """Nothing is decompressed here, so compression must not be invited."""

    async def willing(exchange: Exchange) -> None:
        if "gzip" in (exchange.header("Accept-Encoding") or ""):
            await exchange.answer(200, gzip.compress(PNG), [("Content-Encoding", "gzip")])
        else:
            await exchange.answer(200, PNG)

    async with serve(willing) as server:
        assert await fetch(open_transport(server.url), server.url + "/0") == PNG


@pytest.mark.parametrize("status", [204, 206, 304, 403, 404, 503])
async def test_download_takes_200_alone(open_transport: OpenTransport, status: int) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer(status, b"" if status in (204, 304) else PNG)

    async with serve(refuse) as server:
        with pytest.raises(StatusError) as raised:
            await fetch(open_transport(server.url), f"{server.url}/a?X-Sig={SIGNATURE}")
    assert raised.value.status == status
    assert_discreet(raised.value, SIGNATURE)


async def test_download_tells_size_and_type_before_the_body(open_transport: OpenTransport) -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Length", "99"), ("Content-Type", "image/PNG; q=1")])
        await exchange.gone()

    async with serve(slow) as server:
        async with open_transport(server.url).get(server.url + "/a") as incoming:
            assert (incoming.size, incoming.content_type) == (99, "image/png")
        await server.until(lambda: server.open == 0)


async def test_leaving_a_download_early_closes_its_connection(
    open_transport: OpenTransport,
) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head(200)
        while True:
            await exchange.send(bytes(65536))

    async with serve(endless) as server:
        async with open_transport(server.url).get(server.url + "/a") as incoming:
            async for _ in incoming.blocks():
                break
        await server.until(lambda: server.open == 0)


# What comes back: errors


@attrs.frozen
class Fault:
    """How a server goes wrong, and what the client must make of it."""

    do: Callable[[Exchange], Any]
    reason: str
    kind: type[PiktidError] = ConnectionFailedError


async def reset(exchange: Exchange) -> None:
    await exchange.body()
    exchange.reset()


async def hang_up(exchange: Exchange) -> None:
    await exchange.body()
    exchange.hang_up()


async def reset_in_the_answer(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("Content-Length", "100")])
    await exchange.send(b"{" * 50)
    exchange.reset()


async def cut_answer(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("Content-Length", "100")])
    await exchange.send(b"{" * 50)
    exchange.hang_up()


async def cut_chunks(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("Transfer-Encoding", "chunked")])
    await exchange.send(b"5\r\nhello\r\n")
    exchange.hang_up()


async def cut_error(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(500, [("Content-Length", "100")])
    await exchange.send(b"{" * 50)
    exchange.hang_up()


async def silence(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.gone()


async def silence_in_the_answer(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("Content-Length", "100")])
    await exchange.send(b"{" * 50)
    await exchange.gone()


async def nonsense(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    exchange.hang_up()


async def bad_gzip(exchange: Exchange) -> None:
    await exchange.answer(200, b"not gzip at all", [("Content-Encoding", "gzip")])


async def long_header(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("X-Long", "a" * 100_000), ("Content-Length", "0")])
    await exchange.gone()


FAULTS = {
    "reset": Fault(reset, "closed|broke"),
    "hang up": Fault(hang_up, "the server closed the connection"),
    "reset in the answer": Fault(reset_in_the_answer, "broke"),
    "cut answer": Fault(cut_answer, "broke"),
    "cut chunks": Fault(cut_chunks, "broke"),
    "cut error": Fault(cut_error, "broke"),
    "silence": Fault(silence, "no answer in time", RequestTimeoutError),
    "silence in the answer": Fault(silence_in_the_answer, "no answer in time", RequestTimeoutError),
    "nonsense": Fault(nonsense, "no proper HTTP"),
    "long header": Fault(long_header, "no proper HTTP"),
}


@pytest.mark.parametrize("name", [*FAULTS, "bad gzip"])
async def test_fault_of_the_api_is_an_error_of_ours_and_says_that_the_request_left(
    open_transport: OpenTransport, name: str
) -> None:
    fault = FAULTS.get(name) or Fault(bad_gzip, "broke")
    request = attrs.evolve(POST, params={"secret": SIGNATURE})
    async with serve(fault.do) as server:
        with pytest.raises(fault.kind, match=fault.reason) as raised:
            await open_transport(server.url, timeout=0.3).send(request)
    assert isinstance(raised.value, ConnectionFailedError)
    assert raised.value.sent
    assert raised.value.call == "POST /garment-recolor"
    assert len(server.requests) == 1
    assert_discreet(raised.value, SIGNATURE)


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_a_download_is_an_error_of_ours(
    open_transport: OpenTransport, name: str
) -> None:
    fault = FAULTS[name]
    async with serve(fault.do) as server:
        with pytest.raises(fault.kind, match=fault.reason) as raised:
            await fetch(
                open_transport(server.url, timeout=0.3), f"{server.url}/a?X-Sig={SIGNATURE}"
            )
        await server.until(lambda: server.open == 0)
    assert len(server.requests) == 1
    assert_discreet(raised.value, SIGNATURE)


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_the_event_stream_is_an_error_of_ours(
    open_transport: OpenTransport, name: str
) -> None:
    """Whichever comes first: most of these answers are no event stream to begin with."""
    fault = FAULTS[name]
    async with serve(fault.do) as server:
        transport = open_transport(server.url, timeout=0.3)
        with pytest.raises((fault.kind, ResponseFormatError)) as raised:
            await listen(transport, 0.3)
        await server.until(lambda: server.open == 0)
    assert len(server.requests) == 1
    assert_discreet(raised.value, SIGNATURE)


@pytest.mark.parametrize("size", [2_000, 3_000_000])
@pytest.mark.parametrize("name", FAULTS)
async def test_fault_of_the_storage_is_an_error_of_ours(
    open_transport: OpenTransport, name: str, size: int
) -> None:
    fault = FAULTS[name]
    async with serve(fault.do) as server:
        put = put_of(server.url + SIGNED, bytes(size), stall=0.3)
        with pytest.raises(fault.kind, match=fault.reason) as raised:
            await open_transport(server.url, timeout=0.3).put(put)
        await server.until(lambda: server.open == 0)
    assert len(server.requests) == 1
    assert_discreet(raised.value, SIGNATURE)


async def test_reset_in_the_middle_of_an_upload_does_not_show_the_signed_url(
    open_transport: OpenTransport,
) -> None:
    async def impatient(exchange: Exchange) -> None:
        await exchange.some(100_000)
        exchange.reset()

    async with serve(impatient) as server:
        for _ in range(5):
            with pytest.raises(ConnectionFailedError) as raised:
                await open_transport(server.url).put(put_of(server.url + SIGNED, bytes(9_000_000)))
            assert_discreet(raised.value, SIGNATURE)
            assert "signed URL" in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "https://nowhere.invalid"])
async def test_connection_that_was_never_made_says_that_nothing_left(
    open_transport: OpenTransport, url: str
) -> None:
    url = url.format(port=free_port())
    transport = open_transport(url)
    for request in (GET, POST):
        with pytest.raises(ConnectionFailedError, match="no connection to") as raised:
            await transport.send(attrs.evolve(request, params={"secret": SIGNATURE}))
        assert not raised.value.sent
        assert_discreet(raised.value, SIGNATURE)
    with pytest.raises(ConnectionFailedError, match="no connection to") as raised:
        await transport.put(put_of(url + SIGNED))
    assert_discreet(raised.value, SIGNATURE)
    with pytest.raises(ConnectionFailedError, match="no connection to") as raised:
        await fetch(transport, url + SIGNED)
    assert_discreet(raised.value, SIGNATURE)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST"])
@pytest.mark.parametrize("fault", [reset, hang_up])
async def test_request_whose_connection_breaks_is_sent_once(
    open_transport: OpenTransport, method: str, fault: Any
) -> None:
    """aiohttp by itself repeats the idempotent verbs; attempts are counted elsewhere."""
    async with serve(fault) as server:
        with pytest.raises(ConnectionFailedError):
            await open_transport(server.url).send(Request(method=method, path="/things"))
    assert len(server.requests) == 1


async def test_answer_without_end_is_cut_off(
    open_transport: OpenTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_aiohttp, "MAX_ANSWER", 1_000_000)

    async def endless(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(200)
        while True:
            await exchange.send(b"[" * 65536)

    async with serve(endless) as server:
        transport = open_transport(server.url)
        with pytest.raises(ResponseFormatError, match="longer than 1000000 bytes"):
            await transport.send(POST)
        with pytest.raises(ResponseFormatError, match="longer than 1000000 bytes"):
            await transport.put(put_of(server.url + SIGNED))
        await server.until(lambda: server.open == 0)


async def test_answer_that_unpacks_without_end_is_cut_off(
    open_transport: OpenTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_aiohttp, "MAX_ANSWER", 1_000_000)
    bomb = gzip.compress(bytes(50_000_000))

    async def explode(exchange: Exchange) -> None:
        await exchange.answer(200, bomb, [("Content-Encoding", "gzip")])

    async with serve(explode) as server:
        with pytest.raises(ResponseFormatError, match="longer than 1000000 bytes"):
            await open_transport(server.url).send(GET)


@pytest.mark.parametrize(
    ("status", "kind"), [(200, ResponseFormatError), (502, ServerError), (403, StatusError)]
)
async def test_html_in_place_of_json_is_an_error_of_ours(
    open_transport: OpenTransport, status: int, kind: type[PiktidError]
) -> None:
    async def proxy(exchange: Exchange) -> None:
        page = b"<html><h1>Bad gateway</h1>" + b"x" * 100_000
        await exchange.answer(status, page, [("Content-Type", "text/html")])

    async with serve(proxy) as server:
        response = await open_transport(server.url).send(GET)
    with pytest.raises(kind) as raised:
        read_json(GET, response)
    assert "GET /things" in str(raised.value)
    assert len(str(raised.value)) < 600


async def test_cancelled_call_closes_its_connection(open_transport: OpenTransport) -> None:
    async with serve(silence) as server:
        transport = open_transport(server.url)
        for work in (
            transport.send(GET),
            transport.put(put_of(server.url + SIGNED, bytes(9_000_000))),
            fetch(transport, server.url + SIGNED),
        ):
            before = len(server.requests)
            task = asyncio.create_task(work)
            await server.until(lambda before=before: len(server.requests) > before)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.until(lambda: server.open == 0)


# Uploading


async def test_storage_that_stops_reading_ends_the_upload(open_transport: OpenTransport) -> None:
    async def stuck(exchange: Exchange) -> None:
        await exchange.some(10)
        await asyncio.Event().wait()

    async with serve(stuck) as server:
        put = put_of(server.url + SIGNED, bytes(30_000_000), stall=0.2)
        with pytest.raises(RequestTimeoutError, match="no answer in time"):
            await open_transport(server.url).put(put)


async def test_slow_upload_goes_on_while_bytes_move(open_transport: OpenTransport) -> None:
    """It takes several times the patience, which is for standing still alone."""
    patience = 0.8

    async def slow(exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        for step in range(4):
            await exchange.some(4_000_000)
            loop.call_later(patience / 2, resumed[step].set)
            await resumed[step].wait()
        await exchange.answer()

    resumed = [asyncio.Event() for _ in range(4)]
    async with serve(slow) as server:
        put = put_of(server.url + SIGNED, bytes(20_000_000), stall=patience)
        response = await open_transport(server.url, timeout=patience).put(put)
    assert response.status == 200


async def test_early_refusal_of_an_upload_is_returned(open_transport: OpenTransport) -> None:
    async def refuse(exchange: Exchange) -> None:
        body = b"<Error><Code>AccessDenied</Code></Error>"
        await exchange.head(403, [("Content-Length", str(len(body)))])
        await exchange.send(body)
        await exchange.gone()

    async with serve(refuse) as server:
        for size in (1_000, 30_000_000):
            put = put_of(server.url + SIGNED, bytes(size))
            response = await open_transport(server.url).put(put)
            assert response.status == 403
            assert b"AccessDenied" in response.body


async def test_success_before_the_whole_body_was_sent_is_no_success(
    open_transport: OpenTransport,
) -> None:
    async def hasty(exchange: Exchange) -> None:
        await exchange.some(10)
        await exchange.head(200, [("Content-Length", "0")])
        await exchange.gone()

    async with serve(hasty) as server:
        put = put_of(server.url + SIGNED, bytes(30_000_000))
        with pytest.raises(ConnectionFailedError, match="before the whole file was sent"):
            await open_transport(server.url).put(put)


@pytest.mark.parametrize("error", [ValueError("mine"), OSError(32, "mine"), TimeoutError("mine")])
async def test_what_the_progress_callback_raises_comes_out_as_it_is(
    open_transport: OpenTransport, error: Exception
) -> None:
    """An OSError of the caller's own (a closed terminal) is not a broken connection."""

    async def accept(exchange: Exchange) -> None:
        await exchange.answer()

    def on_sent(sent: int) -> None:
        if sent:
            raise error

    async with serve(accept) as server:
        with pytest.raises(type(error), match="mine") as raised:
            await open_transport(server.url).put(put_of(server.url + SIGNED, on_sent=on_sent))
    assert raised.value is error
    assert_discreet(raised.value, SIGNATURE)


async def test_source_that_ends_early_breaks_the_upload_off(open_transport: OpenTransport) -> None:
    @attrs.frozen
    class Short:
        label: str = "short.png"
        size: int = 1_000_000

        def open(self) -> Any:
            return describe(bytes(999_999), "short.png").body.open()

    whole: list[int] = []

    async def accept(exchange: Exchange) -> None:
        whole.append(len(await exchange.body()))

    async with serve(accept) as server:
        with pytest.raises(
            UploadError, match=r"short\.png: ended after 999999 of 1000000"
        ) as raised:
            await open_transport(server.url).put(put_of(server.url + SIGNED, body=Short()))
        await server.until(lambda: server.open == 0)
    assert not whole
    assert_discreet(raised.value, SIGNATURE)


async def test_uploads_one_after_another_share_a_connection(open_transport: OpenTransport) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer()

    async with serve(accept) as server:
        transport = open_transport(server.url)
        for size in (1, 20_000, 262_144, 262_145, 1_000_000) * 4:
            await transport.put(put_of(server.url + SIGNED, bytes(size)))
    assert len(server.requests) == 20
    assert server.connections == 1


async def test_uploads_and_downloads_have_so_many_connections_and_no_more(
    open_transport: OpenTransport,
) -> None:
    """Whoever calls: API calls and the event stream are not in their way."""

    async def send(exchange: Exchange) -> None:
        await exchange.answer(200, PNG)

    async with serve(send) as server:
        transport = open_transport(server.url, upload_concurrency=3, download_concurrency=2)
        await asyncio.gather(*(transport.put(put_of(server.url + SIGNED)) for _ in range(20)))
        assert server.connections == 3
        await asyncio.gather(*(fetch(transport, server.url + SIGNED) for _ in range(20)))
        assert server.connections == 3 + 2


# The event stream


async def event_stream(exchange: Exchange) -> None:
    await exchange.head(200, [("Content-Type", "text/event-stream; charset=utf-8")])
    await exchange.send(b":keepalive\n\n")
    await exchange.gone()


async def test_stream_is_asked_for_uncompressed_and_with_the_token(
    open_transport: OpenTransport,
) -> None:
    async with serve(event_stream) as server:
        async with open_transport(server.url).stream(GET, 5.0) as blocks:
            assert await anext(blocks) == b":keepalive\n\n"
        await server.until(lambda: server.open == 0)
    (exchange,) = server.requests
    assert exchange.header("Authorization") == f"Bearer {TOKEN}"
    assert exchange.header("Accept") == "text/event-stream"
    assert exchange.header("Accept-Encoding") == "identity"
    assert TOKEN not in exchange.target


@pytest.mark.parametrize(
    ("status", "content_type", "kind"),
    [
        (200, "text/html", ResponseFormatError),
        (200, "application/json", ResponseFormatError),
        (204, "text/event-stream", StatusError),
        (403, "text/event-stream", PermissionDeniedError),
        (503, "text/html", ServerError),
    ],
)
async def test_stream_wants_200_and_an_event_stream(
    open_transport: OpenTransport, status: int, content_type: str, kind: type[PiktidError]
) -> None:
    async def other(exchange: Exchange) -> None:
        body = b"" if status == 204 else b"data: 1\n\n"
        await exchange.answer(status, body, [("Content-Type", content_type)])

    async with serve(other) as server:
        with pytest.raises(kind):
            async with open_transport(server.url).stream(GET, 5.0):
                pass


async def test_silent_stream_ends_after_the_idle_time_and_not_after_the_timeout_of_calls(
    open_transport: OpenTransport,
) -> None:
    async def ticking(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")])
        for tick in ticks:
            await exchange.send(b":keepalive\n\n")
            asyncio.get_running_loop().call_later(0.1, tick.set)
            await tick.wait()
        await exchange.gone()

    ticks = [asyncio.Event() for _ in range(5)]
    async with serve(ticking) as server:
        transport = open_transport(server.url, timeout=0.2)
        heard: list[bytes] = []
        with pytest.raises(RequestTimeoutError):
            await listen(transport, 0.3, heard)
        await server.until(lambda: server.open == 0)
    assert b"".join(heard) == b":keepalive\n\n" * 5


async def test_handshake_of_the_stream_is_bounded(open_transport: OpenTransport) -> None:
    async with serve(silence) as server:
        transport = open_transport(server.url, timeout=0.2)
        async with asyncio.timeout(5):
            with pytest.raises(RequestTimeoutError):
                await listen(transport, 60.0)
        await server.until(lambda: server.open == 0)


async def test_stream_that_ends_in_order_ends_the_iteration(open_transport: OpenTransport) -> None:
    async def short(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Type", "text/event-stream")])
        await exchange.send(b"data: 1\n\n")
        exchange.hang_up()

    async with serve(short) as server, open_transport(server.url).stream(GET, 5.0) as blocks:
        assert b"".join([block async for block in blocks]) == b"data: 1\n\n"


# The token


async def test_refused_token_is_renewed_once_for_twenty_calls_at_once(
    open_transport: OpenTransport,
) -> None:
    asked: list[int] = []
    together = asyncio.Barrier(20)

    async def source() -> str:
        asked.append(len(asked) + 1)
        await asyncio.sleep(0)
        return f"token-{len(asked)}"

    async def check(exchange: Exchange) -> None:
        await exchange.body()
        if exchange.header("Authorization") == "Bearer token-1":
            await together.wait()
            await exchange.answer_json({"error": "expired"}, 401)
        else:
            await exchange.answer_json({})

    async with serve(check) as server:
        transport = open_transport(server.url, token=source)
        responses = await asyncio.gather(*(transport.send(POST) for _ in range(20)))
    assert {response.status for response in responses} == {200}
    assert asked == [1, 2]
    assert len(server.requests) == 40


async def test_renewed_token_that_is_refused_too_is_an_error_after_one_repeat(
    open_transport: OpenTransport,
) -> None:
    async def source() -> str:
        return "always-bad"

    async def refuse(exchange: Exchange) -> None:
        await exchange.answer_json({"error": "no"}, 401)

    async with serve(refuse) as server:
        transport = open_transport(server.url, token=source)
        with pytest.raises(AuthenticationError):
            read_json(GET, await transport.send(GET))
        assert len(server.requests) == 2
        with pytest.raises(AuthenticationError):
            async with transport.stream(GET, 5.0):
                pass
        assert len(server.requests) == 4


async def test_fixed_token_is_not_tried_twice(open_transport: OpenTransport) -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer_json({"error": "no"}, 401)

    async with serve(refuse) as server:
        assert (await open_transport(server.url).send(GET)).status == 401
    assert len(server.requests) == 1


async def test_stream_renews_a_refused_token(open_transport: OpenTransport) -> None:
    tokens = iter(["old", "new"])

    async def source() -> str:
        return next(tokens)

    async def check(exchange: Exchange) -> None:
        if exchange.header("Authorization") == "Bearer old":
            await exchange.answer_json({"error": "expired"}, 401)
        else:
            await event_stream(exchange)

    async with serve(check) as server:
        async with open_transport(server.url, token=source).stream(GET, 5.0) as blocks:
            assert await anext(blocks) == b":keepalive\n\n"
            await server.until(lambda: server.open == 1)
        await server.until(lambda: server.open == 0)


async def test_token_source_that_fails_leaves_no_stream_open(
    open_transport: OpenTransport,
) -> None:
    asked: list[None] = []

    async def source() -> str:
        asked.append(None)
        if len(asked) > 1:
            raise LookupError("vault is sealed")
        return "old"

    async def refuse(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.head(401, [("Content-Length", "100")])
        await exchange.gone()

    async with serve(refuse) as server:
        transport = open_transport(server.url, token=source)
        with pytest.raises(LookupError):
            async with transport.stream(GET, 5.0):
                pass
        await server.until(lambda: server.open == 0)


# Closing


@pytest.mark.parametrize("answered", [False, True])
async def test_closing_wakes_everyone_who_waits(
    open_transport: OpenTransport, answered: bool
) -> None:
    """Closing aiohttp's session alone leaves those waiting for ever who read a body."""

    async def half(exchange: Exchange) -> None:
        await exchange.body()
        if answered:
            kind = "text/event-stream" if exchange.target == "/things" else "image/png"
            await exchange.head(200, [("Content-Length", "100"), ("Content-Type", kind)])
            await exchange.send(b"half")
        await exchange.gone()

    async with serve(half) as server:
        transport = open_transport(server.url, timeout=60.0)
        tasks = [
            asyncio.create_task(work)
            for work in (
                transport.send(POST),
                transport.put(put_of(server.url + SIGNED, stall=60.0)),
                fetch(transport, server.url + SIGNED),
                listen(transport, 60.0),
            )
        ]
        await server.until(lambda: len(server.requests) == 4)
        async with asyncio.timeout(5):
            await transport.aclose()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await server.until(lambda: server.open == 0)
    assert [type(outcome) for outcome in outcomes] == [ConnectionFailedError] * 4


async def test_closed_transport_opens_nothing_any_more(open_transport: OpenTransport) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer(200, PNG)

    async with serve(accept) as server:
        transport = open_transport(server.url)
        await transport.send(GET)
        await transport.aclose()
        for work in (
            transport.send(GET),
            transport.put(put_of(server.url + SIGNED)),
            fetch(transport, server.url + SIGNED),
        ):
            with pytest.raises(SessionClosedError):
                await work
    assert len(server.requests) == 1


# Discretion


def assert_discreet(error: BaseException, *secrets: str) -> None:
    """No secret in the error, in what it holds on to, or in its traceback."""
    shown = "".join(traceback.format_exception(error))
    seen: BaseException | None
    for seen in _family(error):
        shown += f"{seen}\n{seen!r}\n{seen.args!r}\n{vars(seen)!r}\n"
        shown += f"{getattr(seen, 'request_info', '')}"
        assert type(seen).__module__.split(".")[0] != "aiohttp", f"{seen!r} holds the request"
    for secret in (TOKEN, *secrets):
        assert secret not in shown


def _family(error: BaseException) -> list[BaseException]:
    family: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in family:
            family.append(one)
            waiting += [one.__context__, one.__cause__]
    return family


async def test_log_at_debug_shows_neither_token_nor_signed_url(
    open_transport: OpenTransport, caplog: pytest.LogCaptureFixture
) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer(200, PNG)

    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    async with serve(accept) as server:
        transport = open_transport(server.url)
        await transport.send(GET)
        await transport.put(put_of(server.url + SIGNED))
        await fetch(transport, server.url + SIGNED)
    async with serve(reset) as server:
        transport = open_transport(server.url)
        for work in (
            transport.send(GET),
            transport.put(put_of(server.url + SIGNED, bytes(3_000_000))),
            fetch(transport, server.url + SIGNED),
        ):
            with pytest.raises(ConnectionFailedError):
                await work
    assert TOKEN not in caplog.text
    assert SIGNATURE not in caplog.text


async def test_token_is_in_no_local_variable_of_a_traceback(open_transport: OpenTransport) -> None:
    """Error trackers send the locals of every frame."""
    async with serve(reset) as server:
        with pytest.raises(ConnectionFailedError) as raised:
            await open_transport(server.url).send(POST)
    frames = [frame for frame, _ in traceback.walk_tb(raised.value.__traceback__)]
    ours = [frame for frame in frames if "piktid_async" in frame.f_code.co_filename]
    assert "_send" in [frame.f_code.co_name for frame in ours]
    assert TOKEN not in repr([frame.f_locals for frame in ours])
