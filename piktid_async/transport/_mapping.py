"""aiohttp's errors, in our words.

Theirs hold the request with its token, and the signed URL in their text, so none of them leaves
this ring: not as a cause, nor as the context of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from piktid_async.errors import ConnectionFailedError, PiktidError, RequestTimeoutError


class Probe:
    """Whether a request has begun to leave."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = False


async def mark_sent(_: object, context: object, __: object) -> None:
    """Note in the request's probe that its headers are leaving."""
    probe = getattr(context, "trace_request_ctx", None)
    if isinstance(probe, Probe):
        probe.sent = True


class BrokenOffError(aiohttp.ClientError):
    """A connection that broke, as an error that aiohttp does not act upon."""


async def send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending idempotent verbs again by itself: attempts are ours to count."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenOffError(_reason(error)) from None


@contextmanager
def mapped(call: str, probe: Probe | None = None) -> Iterator[None]:
    """Turn aiohttp's errors into ours."""
    try:
        yield
    except PiktidError:
        raise  # mapped already: one of ours is a TimeoutError, too
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        failure = _failure(call, error, sent=probe is None or probe.sent)
        try:
            raise failure from None
        finally:
            # `from None` only hides it.
            failure.__context__ = None


def _failure(call: str, error: Exception, *, sent: bool) -> ConnectionFailedError:
    if isinstance(error, TimeoutError):
        reason = "no answer in time" if sent else "no connection in time"
        return RequestTimeoutError(call, reason, sent)
    return ConnectionFailedError(call, _reason(error), sent)


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            detail = error.os_error.strerror or type(error.os_error).__name__
            return f"no connection to {error.host}:{error.port}: {detail}"
        case BrokenOffError():
            return str(error)
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return "the answer is no proper HTTP"
        case OSError():
            # By its number: aiohttp puts the URL into the text.
            detail = os.strerror(error.errno) if error.errno else type(error).__name__
            return f"the connection broke ({detail})"
        case aiohttp.ClientConnectionError():
            return "the connection was closed"
        case _:
            return type(error).__name__
