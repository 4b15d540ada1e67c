"""The network, by aiohttp: the only module that imports its client.

Four sets of connections, so that none can starve another: API calls, the event stream, uploads,
downloads. Only the first two ever carry the token, and they only go to the API's own origin,
without following redirects; uploads and downloads carry nothing of ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NoReturn

import aiohttp
import attrs
import orjson
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from piktid_async.errors import (
    ConnectionFailedError,
    RequestTimeoutError,
    ResponseFormatError,
)
from piktid_async.protocol.messages import Request, Response
from piktid_async.protocol.responses import error_for
from piktid_async.protocol.storage import STORAGE_CALL
from piktid_async.transport._payload import BodyPayload
from piktid_async.transport.base import Put
from piktid_async.transport.tokens import Tokens
from piktid_async.types import Secret
from piktid_async.version import __version__

CONNECT_TIMEOUT = 15.0
MAX_ANSWER = 32 << 20
"""Bytes that are read of one API answer."""
MAX_REDIRECTS = 3


@attrs.frozen(kw_only=True)
class NetworkConfig:
    """Where to, and how many at once."""

    base_url: str
    timeout: float
    """Seconds for one API call, all in."""
    upload_concurrency: int
    download_concurrency: int
    proxy: str | None = attrs.field(default=None, repr=False)


class AiohttpTransport:
    """The connections of one event loop; made lazily, so building it costs nothing."""

    def __init__(self, config: NetworkConfig, tokens: Tokens) -> None:
        self._config = config
        self._tokens = tokens
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._secure = config.base_url.startswith("https:")

    async def send(self, request: Request) -> Response:
        """Send one API call; a token that was refused is renewed once, if it can be."""
        token = await self._tokens.current()
        response = await self._send(request, token)
        if response.status == 401 and (renewed := await self._tokens.renew(stale=token)):
            return await self._send(request, renewed)
        return response

    @asynccontextmanager
    async def stream(self, request: Request, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the event stream."""
        token = await self._tokens.current()
        response = await self._open_stream(request, token, idle)
        if response.status == 401 and (renewed := await self._tokens.renew(stale=token)):
            response.close()
            response = await self._open_stream(request, renewed, idle)
        try:
            await _check_stream(request.call, response)
            yield _Blocks(response, request.call)
        finally:
            # Also wakes a reader that waits; leaving it to session.close() would not.
            response.close()

    async def put(self, put: Put) -> Response:
        """Upload to a signed URL; gives up when no byte moves for `put.stall` seconds."""
        loop = asyncio.get_running_loop()
        patience = asyncio.timeout(put.stall)

        def on_sent(sent: int) -> None:
            patience.reschedule(loop.time() + put.stall)
            put.on_sent(sent)

        payload = BodyPayload(put.body, put.content_type, on_sent)
        with _mapped(STORAGE_CALL, None):
            try:
                async with (
                    patience,
                    self._session("upload").put(
                        self._foreign(put.url),
                        data=payload,
                        headers={"Content-Type": put.content_type},
                        skip_auto_headers=("User-Agent",),
                        allow_redirects=False,
                    ) as response,
                ):
                    return await _whole(response, STORAGE_CALL)
            except (aiohttp.ClientError, OSError):
                if payload.failure is not None and not isinstance(payload.failure, OSError):
                    raise payload.failure from None
                raise

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[_Download]:
        """Download without a token, following a few redirects, none of them to plain http."""
        call = "GET <result URL>"
        target = self._foreign(url)
        for _ in range(MAX_REDIRECTS + 1):
            with _mapped(call, None):
                response = await self._session("download").get(
                    target, skip_auto_headers=("User-Agent",), allow_redirects=False
                )
            try:
                if response.status not in (301, 302, 303, 307, 308):
                    if response.status != 200:
                        raise error_for(call, await _whole(response, call))
                    yield _Download(response, call)
                    return
                target = self._redirected(target, response.headers.get("Location", ""))
            finally:
                response.close()
        raise ResponseFormatError(call, f"more than {MAX_REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def _send(self, request: Request, token: Secret) -> Response:
        probe = _Probe()
        data = None if request.json is None else orjson.dumps(request.json)
        headers = self._headers(token, "application/json")
        if data is not None:
            headers["Content-Type"] = "application/json"
        with _mapped(request.call, probe):
            async with self._session("api").request(
                request.method,
                self._url(request),
                data=data,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=probe,
            ) as response:
                return await _whole(response, request.call)

    async def _open_stream(
        self, request: Request, token: Secret, idle: float
    ) -> aiohttp.ClientResponse:
        # Compression would let a proxy hold events back.
        headers = self._headers(token, "text/event-stream")
        headers |= {"Cache-Control": "no-cache", "Accept-Encoding": "identity"}
        with _mapped(request.call, None):
            # The total is unlimited, so the wait for the headers needs a bound of its own.
            async with asyncio.timeout(self._config.timeout):
                return await self._session("stream").get(
                    self._url(request),
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle
                    ),
                )

    def _headers(self, token: Secret, accept: str) -> dict[str, str]:
        return {
            "Authorization": f"Bearer {token.reveal()}",
            "Accept": accept,
            "User-Agent": f"piktid-async/{__version__}",
        }

    def _url(self, request: Request) -> URL:
        url = URL(self._config.base_url + request.path, encoded=True)
        return url.with_query(dict(request.params)) if request.params else url

    def _foreign(self, url: str) -> URL:
        # Encoded: a signed query goes out byte for byte.
        try:
            target = URL(url, encoded=True)
        except ValueError:
            raise ResponseFormatError("signed URL", "not a URL") from None
        if target.scheme == "http" and self._secure:
            target = URL("https" + url.removeprefix("http"), encoded=True)
        if target.scheme not in ("http", "https") or not target.raw_host:
            raise ResponseFormatError("signed URL", "neither http nor https")
        return target

    def _redirected(self, source: URL, location: str) -> URL:
        return self._foreign(str(source.join(URL(location, encoded=True))))

    def _session(self, purpose: str) -> aiohttp.ClientSession:
        session = self._sessions.get(purpose)
        if session is None:
            session = self._sessions[purpose] = self._open(purpose)
        return session

    def _open(self, purpose: str) -> aiohttp.ClientSession:
        limits = {
            "api": 100,
            "stream": 2,
            "upload": self._config.upload_concurrency,
            "download": self._config.download_concurrency,
        }
        probe = aiohttp.TraceConfig()
        probe.on_request_headers_sent.append(_mark_sent)
        api = purpose == "api"
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limits[purpose], ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            proxy=self._config.proxy,
            auto_decompress=api,
            timeout=aiohttp.ClientTimeout(
                total=self._config.timeout if api else None,
                sock_connect=CONNECT_TIMEOUT,
                sock_read=None if api else self._config.timeout,
            ),
            trace_configs=[probe] if api else None,
        )


class _Blocks:
    """The body of an answer, block by block, with our errors."""

    def __init__(self, response: aiohttp.ClientResponse, call: str) -> None:
        self._blocks = response.content.iter_any()
        self._call = call

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with _mapped(self._call, None):
            return await self._blocks.__anext__()


class _Download:
    """A download whose headers have come."""

    def __init__(self, response: aiohttp.ClientResponse, call: str) -> None:
        self._response = response
        self._call = call

    @property
    def size(self) -> int | None:
        """Bytes that the server announced."""
        return self._response.content_length

    @property
    def content_type(self) -> str:
        """As the server calls it."""
        return self._response.content_type

    def blocks(self) -> AsyncIterator[bytes]:
        """Yield the bytes as they come."""
        return _Blocks(self._response, self._call)


class _Probe:
    """Whether a request has begun to leave."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False


async def _mark_sent(_: object, context: object, __: object) -> None:
    probe = getattr(context, "trace_request_ctx", None)
    if isinstance(probe, _Probe):
        probe.sent = True


async def _check_stream(call: str, response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        raise error_for(call, await _whole(response, call))
    if response.content_type != "text/event-stream":
        raise ResponseFormatError(call, f"an event stream, not {response.content_type}")


async def _whole(response: aiohttp.ClientResponse, call: str) -> Response:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_ANSWER:
            raise ResponseFormatError(call, f"longer than {MAX_ANSWER} bytes")
        parts.append(part)
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Response(status=response.status, headers=headers, body=b"".join(parts))


@contextmanager
def _mapped(call: str, probe: _Probe | None) -> Iterator[None]:
    """Turn aiohttp's errors into ours.

    `from None`, and our own words: aiohttp's errors hold the request's headers and URL.
    """
    try:
        yield
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        _fail(call, error, sent=probe is None or probe.sent)


def _fail(call: str, error: Exception, *, sent: bool) -> NoReturn:
    if isinstance(error, TimeoutError):
        reason = "no answer in time" if sent else "no connection in time"
        raise RequestTimeoutError(call, reason, sent) from None
    raise ConnectionFailedError(call, _reason(error), sent) from None


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            detail = error.os_error.strerror or type(error.os_error).__name__
            return f"no connection to {error.host}:{error.port}: {detail}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ClientOSError() | OSError():
            return f"the connection broke ({error.strerror or type(error).__name__})"
        case _:
            return type(error).__name__
