"""A transport that tells of each request; only sessions that somebody listens to have one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from urllib.parse import urlsplit

from piktid_async.errors import StatusError
from piktid_async.logs import Listener
from piktid_async.models.events import RequestAttempt
from piktid_async.protocol.messages import Request, Response
from piktid_async.transport.base import Incoming, Put, Transport

ATTEMPT: ContextVar[int] = ContextVar("piktid_attempt", default=1)
"""How often what is sent now has been tried, this time included."""

WORDS = frozenset(
    """
    assets auth billing bulk bulk-delete bulk-update by-job by-project categories create
    create-packshot credits download duplicate edit-chat events extract-from-image
    extract-from-text flat-2-model gallery garment-images garment-recolor identity jobs login
    metadata model-swap models multipose-image-recolor multipose-tasks notifications person-images
    pov preset project promote-generated refresh regenerate results status stuck-images token
    tryon upload usage v2 v4 versions webhooks
    """.split()  # noqa: SIM905
)
"""Segments of documented paths that name no single thing."""


def route_of(path: str) -> str:
    """Return a path with `{id}` for every segment that is no word of the API."""
    if not path.startswith("/"):
        return path
    return "/".join(
        segment if segment in WORDS or not segment else "{id}" for segment in path.split("/")
    )


@contextmanager
def numbered(attempt: int) -> Iterator[None]:
    """Have what is sent in the block tell this number."""
    token = ATTEMPT.set(attempt)
    try:
        yield
    finally:
        ATTEMPT.reset(token)


def watched(inner: Transport, tell: Listener | None, base_url: str) -> Transport:
    """Return a transport that tells of each request, or the same one if nobody listens."""
    return inner if tell is None else WatchedTransport(inner, tell, base_url)


class WatchedTransport:
    """Send everything by another transport, and tell of it."""

    def __init__(self, inner: Transport, tell: Listener, base_url: str) -> None:
        self.inner = inner
        self._tell = tell
        self._host = _host(base_url)

    async def send(self, request: Request) -> Response:
        """Send an API request."""
        with self._attempt(request.method, request.path, self._host) as attempt:
            response = await self.inner.send(request)
            attempt.status = response.status
            return response

    @asynccontextmanager
    async def stream(self, request: Request, idle: float) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the event stream."""
        async with AsyncExitStack() as open_stream:
            # The attempt ends when the stream is open: what comes after is no matter of requests.
            with self._attempt(request.method, request.path, self._host) as attempt:
                chunks = await open_stream.enter_async_context(self.inner.stream(request, idle))
                attempt.status = 200
            yield chunks

    async def put(self, put: Put) -> Response:
        """Upload to a signed URL."""
        with self._attempt("PUT", "<signed URL>", _host(put.url)) as attempt:
            response = await self.inner.put(put)
            attempt.status = response.status
            return response

    @asynccontextmanager
    async def get(self, url: str) -> AsyncIterator[Incoming]:
        """Download without a token."""
        host, download = _host(url), self.inner.get(url)
        del url  # error trackers send the variables of a frame along
        with self._attempt("GET", "<result URL>", host) as attempt:
            async with download as incoming:
                yield incoming
            attempt.status = 200

    async def aclose(self) -> None:
        """Close every connection."""
        await self.inner.aclose()

    @contextmanager
    def _attempt(self, method: str, path: str, host: str) -> Iterator[_Attempt]:
        attempt = _Attempt()
        began = time.monotonic()
        try:
            yield attempt
        except BaseException as error:
            attempt.failed(error)
            raise
        finally:
            self._tell(
                RequestAttempt(
                    method=method,
                    path=path,
                    route=route_of(path),
                    host=host,
                    attempt=ATTEMPT.get(),
                    status=attempt.status,
                    error=attempt.error,
                    seconds=time.monotonic() - began,
                )
            )


class _Attempt:
    """What becomes of one request."""

    status: int | None = None
    error: str | None = None

    def failed(self, error: BaseException) -> None:
        """Note that no whole answer came, or that it was a refusal."""
        if isinstance(error, StatusError):
            self.status = error.status
        else:
            self.error = type(error).__name__


def _host(url: str) -> str:
    """Return host and port; a link that is none has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        return ""
