"""The network, by aiohttp: the only module that imports its client.

Five sets of connections, so that none can starve another: API calls, acknowledgements, the event
stream, uploads, downloads. Only the first three ever carry the token, and they only go to the API's
own origin, without following redirects; uploads and downloads carry nothing of ours.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import aiohttp
import attrs
from yarl import URL

from piktid_async.errors import ConnectionFailedError, ResponseFormatError, SessionClosedError
from piktid_async.protocol.messages import Probe, Request, Response
from piktid_async.protocol.responses import error_for
from piktid_async.protocol.storage import STORAGE_CALL
from piktid_async.transport._addresses import PublicResolver, is_loopback, is_public
from piktid_async.transport._deadlines import Deadlines
from piktid_async.transport._form import FormPayload, content_of
from piktid_async.transport._mapping import (
    PROBE,
    Answer,
    Attempt,
    mapped,
    through_proxy,
)
from piktid_async.transport._payload import BodyPayload
from piktid_async.transport.base import Put
from piktid_async.transport.tokens import Tokens, bearer
from piktid_async.types import Secret
from piktid_async.version import __version__

CONNECT_TIMEOUT = 15.0
MAX_ANSWER = 32 << 20
"""Bytes that are read of one API answer."""
MAX_REDIRECTS = 3
ACKS = 32
"""Connections for acknowledgements."""
READ_AHEAD = 512 << 10
"""Bytes of a download that wait to be written; less has the loop stop and start the socket."""
USER_AGENT = f"piktid-async/{__version__}"
NO_LINK = "a link that is not to be followed: no public http(s) URL"

_BREAKS_A_REQUEST = re.compile(r"[\x00-\x20\x7f]")
_BREAKS_A_HEADER = re.compile(r"[\x00-\x1f\x7f]")


@attrs.frozen(kw_only=True)
class NetworkConfig:
    """Where to, and how many at once."""

    base_url: str
    timeout: float
    """Seconds for one API call, all in."""
    upload_concurrency: int
    download_concurrency: int
    proxy: str | None = attrs.field(default=None, repr=False)
    credentials: Callable[[Secret], dict[str, str]] = bearer
    """The headers that carry the token."""


class AiohttpTransport:
    """The connections of one event loop; made lazily, so building it costs nothing."""

    def __init__(self, config: NetworkConfig, tokens: Tokens) -> None:
        self._config = config
        self._tokens = tokens
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._responses: set[aiohttp.ClientResponse] = set()
        self._deadlines = Deadlines()
        self._closed = False
        self._base = URL(config.base_url, encoded=True)
        self._prefix = self._base.raw_path.rstrip("/")
        self._secure = config.base_url.startswith("https:")
        self._public = self._secure and is_public(self._base.raw_host or "")

    async def send(self, request: Request) -> Response:
        """Send one API call; a token that was refused is renewed once, if it can be."""
        token = await self._tokens.current()
        response = await self._send(request, token)
        if response.status == 401:
            if request.probe is not None:
                # Refused: whatever becomes of the token now, the server has not acted.
                request.probe.sent = False
            if renewed := await self._tokens.renew(stale=token):
                return await self._send(request, renewed)
        return response

    @asynccontextmanager
    async def stream(self, request: Request, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the event stream."""
        token = await self._tokens.current()
        for may_renew in (True, False):
            with self._following(await self._open_stream(request, token, idle)) as response:
                refused = response.status == 401 and may_renew
                if refused and (renewed := await self._tokens.renew(stale=token)):
                    token = renewed
                    continue
                await _check_stream(request.call, response, token)
                yield _Blocks(response, request.call)
                return

    async def put(self, put: Put) -> Response:
        """Upload to a signed URL; gives up when no byte moves for `put.stall` seconds."""
        patience = self._deadlines.within(put.stall)

        def on_sent(sent: int) -> None:
            patience.moved()
            put.on_sent(sent)

        if _BREAKS_A_HEADER.search(put.content_type):
            raise ResponseFormatError("upload ticket", "its content type holds control characters")
        target = self._foreign(put.url)
        if target is None:
            raise ResponseFormatError("upload ticket", NO_LINK)
        payload = BodyPayload(put.body, put.content_type, on_sent)
        try:
            with mapped(STORAGE_CALL):
                async with patience:
                    response = await self._session("upload").put(
                        target.url, data=payload, allow_redirects=False
                    )
                    with self._following(response):
                        answer = await _whole(response, STORAGE_CALL)
        except ConnectionFailedError:
            if payload.failure is None:
                raise
        else:
            if answer.status < 300 and payload.sent < put.body.size:
                raise ConnectionFailedError(
                    STORAGE_CALL, "the answer came before the whole file was sent"
                )
            return answer
        # Not inside the handler: what our side raised has nothing to do with the connection.
        raise payload.failure

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[_Download]:
        """Download without a token, following a few redirects, none of them to plain http."""
        call = "GET <result URL>"
        target = self._foreign(url)
        del url  # error trackers send the variables of a frame along
        for _ in range(MAX_REDIRECTS + 1):
            if target is None:
                raise ResponseFormatError(call, NO_LINK)
            with mapped(call):
                response = await self._session("download").get(
                    target.url,
                    # What comes is written as it is.
                    headers={"Accept-Encoding": "identity"},
                    allow_redirects=False,
                )
            with self._following(response):
                if response.status not in (301, 302, 303, 307, 308):
                    if response.status != 200:
                        raise error_for(call, await _whole(response, call))
                    yield _Download(response, call)
                    return
                target = self._redirected(target, response.headers.get("Location", ""))
        raise ResponseFormatError(call, f"more than {MAX_REDIRECTS} redirects")

    async def aclose(self) -> None:
        """Close every connection, for good; whoever reads from one gets an error."""
        self._closed = True
        self._deadlines.close()
        # Closing aiohttp's session would leave the readers waiting for ever.
        for response in list(self._responses):
            response.close()
        sessions, self._sessions = list(self._sessions.values()), {}
        async with AsyncExitStack() as closing:  # all of them, even if one is broken off
            for session in sessions:
                closing.push_async_callback(session.close)

    async def _send(self, request: Request, token: Secret) -> Response:
        probe = request.probe or Probe()
        probe.sent = False
        data, headers = content_of(request)
        PROBE.set(probe)
        try:
            with mapped(request.call, probe):
                async with self._deadlines.within(self._config.timeout):
                    response = await self._session("acks" if request.beside else "api").request(
                        request.method,
                        self._url(request),
                        data=data,
                        # In no variable of ours: error trackers send those along.
                        headers={**self._headers(token, "application/json"), **headers},
                        allow_redirects=False,
                    )
                    with self._following(response):
                        return _without(token, await _whole(response, request.call))
        except ConnectionFailedError:
            if not isinstance(data, FormPayload) or data.failure is None:
                raise
        finally:
            PROBE.set(None)
        # Not inside the handler: what our side raised has nothing to do with the connection.
        raise data.failure

    async def _open_stream(
        self, request: Request, token: Secret, idle: float
    ) -> aiohttp.ClientResponse:
        with mapped(request.call):
            # The total is unlimited, so the wait for the headers needs a bound of its own.
            async with asyncio.timeout(self._config.timeout):
                return await self._session("stream").get(
                    self._url(request),
                    # Compression would let a proxy hold events back.
                    headers=self._headers(token, "text/event-stream")
                    | {"Cache-Control": "no-cache", "Accept-Encoding": "identity"},
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle
                    ),
                )

    def _following(self, response: aiohttp.ClientResponse) -> _Following:
        """Close the response at the end of the block, or when the transport closes."""
        self._responses.add(response)
        if self._closed:
            response.close()
        return _Following(self._responses, response)

    def _headers(self, token: Secret, accept: str) -> dict[str, str]:
        return {"Accept": accept, "User-Agent": USER_AGENT, **self._config.credentials(token)}

    def _url(self, request: Request) -> URL:
        # Not by text: to take a URL apart again is dearer than the rest of this.
        url = self._base.with_path(self._prefix + request.path, encoded=True)
        return url.with_query(dict(request.params)) if request.params else url

    def _foreign(self, url: str) -> _Target | None:
        """Return where a link leads, if it is one that may be followed."""
        target = _parsed(url)
        if target is None or (self._public and not is_public(target.raw_host or "")):
            return None
        # Only what runs on this machine, beside an API on this machine, goes unencrypted.
        near = not self._secure and is_loopback(target.raw_host or "")
        return _Target(target if near else _lifted(target, url))

    def _redirected(self, source: _Target, location: str) -> _Target | None:
        try:
            url = str(source.url.join(URL(location, encoded=True)))
        except ValueError:
            return None
        target = self._foreign(url)
        if target is None or source.url.scheme != "https":
            return target
        return _Target(_lifted(target.url, url))

    def _session(self, purpose: str) -> aiohttp.ClientSession:
        if self._closed:
            raise SessionClosedError
        session = self._sessions.get(purpose)
        if session is None:
            session = self._sessions[purpose] = self._open(purpose)
        return session

    def _open(self, purpose: str) -> aiohttp.ClientSession:
        limits = {
            "api": 100,
            "acks": ACKS,
            "stream": 2,
            "upload": self._config.upload_concurrency,
            "download": self._config.download_concurrency,
        }
        api = purpose in ("api", "acks")
        foreign = purpose in ("upload", "download")
        # A proxy resolves names by itself, and may well be near.
        guarded = foreign and self._public and self._config.proxy is None
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits[purpose],
                ttl_dns_cache=60,
                resolver=PublicResolver() if guarded else None,
            ),
            request_class=Attempt,
            response_class=Answer,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            proxy=self._config.proxy,
            skip_auto_headers=("User-Agent",) if foreign else None,
            auto_decompress=api,
            read_bufsize=READ_AHEAD if purpose == "download" else 2**16,
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=CONNECT_TIMEOUT,
                # The others have deadlines.
                sock_read=self._config.timeout if purpose == "download" else None,
            ),
            middlewares=(through_proxy,) if self._config.proxy is not None else (),
        )


class _Following:
    """A response that is closed at the end of the block."""

    __slots__ = ("_among", "_response")

    def __init__(
        self, among: set[aiohttp.ClientResponse], response: aiohttp.ClientResponse
    ) -> None:
        self._among = among
        self._response = response

    def __enter__(self) -> aiohttp.ClientResponse:
        return self._response

    def __exit__(self, *_: object) -> None:
        self._among.discard(self._response)
        # Nothing is lost: a connection whose answer was read whole has gone back already.
        self._response.close()


class _Target:
    """A link to follow, which is a secret while it lives."""

    __slots__ = ("url",)

    def __init__(self, url: URL) -> None:
        self.url = url

    def __repr__(self) -> str:
        return "<signed URL>"


class _Blocks:
    """The body of an answer, block by block, with our errors."""

    def __init__(self, response: aiohttp.ClientResponse, call: str) -> None:
        self._read = response.content.readany
        self._call = call

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        with mapped(self._call):
            block = await self._read()
        if not block:
            raise StopAsyncIteration
        return block


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


def _parsed(url: str) -> URL | None:
    if not _BREAKS_A_REQUEST.search(url):
        with suppress(ValueError):
            # Encoded: a signed query goes out byte for byte.
            target = URL(url, encoded=True)
            if target.scheme in ("http", "https") and target.raw_host and target.port:
                return target
    return None


def _lifted(target: URL, url: str) -> URL:
    # By text, and not by with_scheme(), which would write the rest anew.
    return target if target.scheme == "https" else URL("https" + url[4:], encoded=True)


async def _check_stream(call: str, response: aiohttp.ClientResponse, token: Secret) -> None:
    if response.status != 200:
        raise error_for(call, _without(token, await _whole(response, call)))
    if response.content_type != "text/event-stream":
        raise ResponseFormatError(call, f"an event stream, not {response.content_type}")


def _without(token: Secret, answer: Response) -> Response:
    """Return a refusal without the token, which some servers quote."""
    if answer.status < 400 or not token.reveal():
        return answer
    return attrs.evolve(answer, body=answer.body.replace(token.reveal().encode(), b"***"))


async def _whole(response: aiohttp.ClientResponse, call: str) -> Response:
    content, parts, size = response.content, [], 0
    with mapped(call):
        while not content.at_eof():
            part = await content.readany()
            size += len(part)
            if size > MAX_ANSWER:
                raise ResponseFormatError(call, f"longer than {MAX_ANSWER} bytes")
            parts.append(part)
    return Response(status=response.status, headers=response.headers, body=b"".join(parts))
