from __future__ import annotations

import asyncio
import traceback
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.http_exceptions import BadStatusLine
from yarl import URL

from piktid_async.errors import ConnectionFailedError, RequestTimeoutError, ResponseFormatError
from piktid_async.transport._mapping import (
    Answer,
    BrokenOffError,
    Probe,
    ProxyRefusedError,
    mapped,
    through_proxy,
)

SECRET = "c0ffee5ec7e7"
URL_TEXT = f"https://storage.example/a?X-Sig={SECRET}"
WRITING = f"Can not write request body for {URL_TEXT}"
KEY = ConnectionKey("storage.example", 443, True, True, None, None, None)
INFO = aiohttp.RequestInfo(
    URL(URL_TEXT), "PUT", Mock(__repr__=lambda _: f"Bearer {SECRET}"), URL(URL_TEXT)
)

CASES: list[tuple[Exception, str]] = [
    (aiohttp.ClientOSError(104, WRITING), "the connection broke (Connection reset by peer)"),
    (aiohttp.ClientOSError(None, WRITING), "the connection broke (ClientOSError)"),
    (ConnectionResetError(), "the connection broke (ConnectionResetError)"),
    (
        aiohttp.ClientConnectorError(KEY, OSError(111, "Connection refused")),
        "no connection to storage.example:443: Connection refused",
    ),
    (
        aiohttp.ClientConnectorError(KEY, OSError()),
        "no connection to storage.example:443: OSError",
    ),
    (
        aiohttp.ClientProxyConnectionError(KEY, OSError(111, "Connection refused")),
        "no connection to the proxy storage.example:443: Connection refused",
    ),
    (aiohttp.ServerDisconnectedError(URL_TEXT), "the server closed the connection"),
    (aiohttp.ClientPayloadError(URL_TEXT), "the answer broke off"),
    (aiohttp.ClientConnectionError(URL_TEXT), "the connection was closed"),
    (aiohttp.ClientResponseError(INFO, ()), "the answer is no proper HTTP"),
    (BadStatusLine(URL_TEXT), "the answer is no proper HTTP"),
    (aiohttp.InvalidURL(URL_TEXT), "InvalidURL"),
    (aiohttp.ConnectionTimeoutError(URL_TEXT), "no answer in time"),
    (aiohttp.SocketTimeoutError(URL_TEXT), "no answer in time"),
    (TimeoutError(URL_TEXT), "no answer in time"),
]


REFUSALS: list[tuple[Exception, str, bool]] = [
    (ProxyRefusedError(), "407 Proxy Authentication Required", False),
    (aiohttp.ClientHttpProxyError(INFO, (), status=403, message=SECRET), "403 Forbidden", False),
    (aiohttp.ClientHttpProxyError(INFO, (), status=503), "503 Service Unavailable", True),
    (aiohttp.ClientHttpProxyError(INFO, (), status=599, message=SECRET), "599", True),
]


def fail(error: BaseException, probe: Probe | None = None) -> None:
    with mapped("PUT <signed URL>", probe):
        raise error


@pytest.mark.parametrize(("error", "reason"), CASES, ids=lambda each: type(each).__name__)
def test_error_is_told_in_our_words_and_holds_nothing_of_theirs(
    error: Exception, reason: str
) -> None:
    with pytest.raises(ConnectionFailedError) as raised:
        fail(error)
    assert raised.value.summary == f"PUT <signed URL>: {reason}"
    assert raised.value.sent
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert isinstance(raised.value, RequestTimeoutError) == isinstance(error, TimeoutError)
    assert SECRET not in "".join(traceback.format_exception(raised.value))


def test_time_out_before_the_request_left_says_so() -> None:
    probe = Probe()
    with pytest.raises(RequestTimeoutError, match="no connection in time") as raised:
        fail(TimeoutError(), probe)
    assert not raised.value.sent
    probe.sent = True
    with pytest.raises(RequestTimeoutError, match="no answer in time") as raised:
        fail(TimeoutError(), probe)
    assert raised.value.sent


@pytest.mark.parametrize(
    "error",
    [
        RequestTimeoutError("GET /inner", "mapped already"),
        ResponseFormatError("GET /inner", "ours"),
        asyncio.CancelledError(),
        StopAsyncIteration(),
        LookupError("a bug"),
    ],
    ids=repr,
)
def test_what_is_not_theirs_passes_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        fail(error)
    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "comes_out"),
    [
        (aiohttp.ServerDisconnectedError(), BrokenOffError),
        (aiohttp.ClientOSError(104, WRITING), BrokenOffError),
        (aiohttp.ClientPayloadError(URL_TEXT), aiohttp.ClientPayloadError),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
async def test_broken_connection_is_hidden_from_aiohttps_own_repeats(
    error: Exception, comes_out: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(*_: object) -> Any:
        raise error

    monkeypatch.setattr(aiohttp.ClientResponse, "start", start)
    with pytest.raises(comes_out):
        await Answer.__new__(Answer).start(Mock())


@pytest.mark.parametrize(
    ("error", "comes_out"),
    [
        (BrokenOffError("the server closed the connection"), BrokenOffError),
        (aiohttp.ServerDisconnectedError(), BrokenOffError),
        (aiohttp.ClientOSError(104, WRITING), BrokenOffError),
        # These are not repeated by aiohttp; that nothing was sent must stay known.
        (aiohttp.ClientConnectorError(KEY, OSError(111, "x")), aiohttp.ClientConnectorError),
        (aiohttp.ConnectionTimeoutError(), aiohttp.ConnectionTimeoutError),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
async def test_what_breaks_on_the_way_through_a_proxy_says_so(
    error: Exception, comes_out: type[Exception]
) -> None:
    async def handler(_: Any) -> Any:
        raise error

    request: Any = Mock()
    with pytest.raises(comes_out) as raised:
        await through_proxy(request, handler)
    assert (comes_out is BrokenOffError) == ("through the proxy" in str(raised.value))
    assert SECRET not in str(raised.value) or comes_out is not BrokenOffError


@pytest.mark.parametrize(("error", "words", "retryable"), REFUSALS)
def test_what_a_proxy_refuses_never_got_through(
    error: Exception, words: str, retryable: bool
) -> None:
    with pytest.raises(ConnectionFailedError) as raised:
        fail(error)
    told = raised.value
    assert told.reason == f"the proxy refused the connection: {words}"
    assert (told.sent, told.retryable) == (False, retryable)
    assert SECRET not in "".join(traceback.format_exception(told))
