"""aiohttp's errors, in our words.

Theirs hold the request with its token, and the signed URL in their text, so none of them leaves
this ring: not as a cause, nor as the context of ours.
"""

from __future__ import annotations

import os
import ssl
from contextvars import ContextVar
from http import HTTPStatus

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError

from piktid_async.errors import ConnectionFailedError, PiktidError, RequestTimeoutError
from piktid_async.protocol.messages import Probe

# OpenSSL's X509_V_ERR_…: self-signed, self-signed in the chain, issuer not found, issuer not sent.
_UNKNOWN_ISSUER = frozenset({18, 19, 20, 21})
_STATUSES = frozenset(HTTPStatus)


class BrokenOffError(aiohttp.ClientError):
    """A connection that broke, as an error that aiohttp does not act upon."""


class ProxyRefusedError(aiohttp.ClientError):
    """The proxy on the way to an http server wants other credentials."""

    status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED


PROBE: ContextVar[Probe | None] = ContextVar("piktid_probe", default=None)
"""What the request that is being made tells of itself."""


class Attempt(aiohttp.ClientRequest):
    """A request that notes in its probe that it is leaving; tracing would tell it at a price."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send it; there is a connection now."""
        if (probe := PROBE.get()) is not None:
            probe.sent = True
        return await super().send(conn)


class Answer(aiohttp.ClientResponse):
    """An answer that keeps aiohttp from sending idempotent verbs again: attempts are ours to count.

    It does not show its URL, either, which may be a signed one.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Wait for the headers."""
        try:
            return await super().start(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise BrokenOffError(_reason(error)) from None

    def __repr__(self) -> str:
        return f"<answer {self.status}>"


async def through_proxy(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Tell what broke at the proxy, and what it refused, from what the server did."""
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (BrokenOffError, aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenOffError(f"{_reason(error)} (on the way through the proxy)") from None
    if response.status == ProxyRefusedError.status:
        response.close()
        raise ProxyRefusedError
    return response


class mapped:  # noqa: N801 - used like a function
    """Turn aiohttp's errors into ours."""

    __slots__ = ("_call", "_probe")

    def __init__(self, call: str, probe: Probe | None = None) -> None:
        self._call = call
        self._probe = probe

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, PiktidError):
            return  # mapped already: one of ours is a TimeoutError, too
        if isinstance(error, aiohttp.ClientError | HttpProcessingError | OSError):
            sent = self._probe is None or self._probe.sent
            failure = _failure(self._call, error, sent=sent)
            # Error trackers send the variables of a frame along, and this one's stays.
            del _, error, __
            try:
                raise failure from None
            finally:
                # `from None` only hides it.
                failure.__context__ = None
        elif error is not None and not isinstance(error, Exception):
            # Cancelled: the frames within aiohttp hold the request with its token.
            error.__traceback__ = None


def _failure(call: str, error: Exception, *, sent: bool) -> ConnectionFailedError:
    if isinstance(error, TimeoutError):
        reason = "no answer in time" if sent else "no connection in time"
        return RequestTimeoutError(call, reason, sent)
    refused = isinstance(error, ProxyRefusedError | aiohttp.ClientHttpProxyError)
    failure = ConnectionFailedError(call, _reason(error), sent and not refused)
    failure.retryable = not _lasts(error)
    return failure


def _lasts(error: Exception) -> bool:
    """Whether the next attempt would end just so."""
    match error:
        case ProxyRefusedError() | aiohttp.ClientHttpProxyError():
            return 400 <= error.status < 500 and error.status not in (408, 429)
        case aiohttp.ClientConnectorError():
            return isinstance(error.os_error, ssl.SSLCertVerificationError)
        case _:
            return False


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            where = f"{error.host}:{error.port}"
            if isinstance(error, aiohttp.ClientProxyConnectionError):
                where = f"the proxy {where}"
            return f"no connection to {where}: {_detail(error.os_error)}"
        case ProxyRefusedError() | aiohttp.ClientHttpProxyError():
            return f"the proxy refused the connection: {_phrase(error.status)}"
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


def _detail(error: OSError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return error.strerror or type(error).__name__
    told = f"its certificate is not trusted ({error.verify_message})"
    if error.verify_code in _UNKNOWN_ISSUER:
        told += "; SSL_CERT_FILE names a private authority"
    return told


def _phrase(status: int) -> str:
    # Not the proxy's own words: they may be anything.
    return f"{status} {HTTPStatus(status).phrase}" if status in _STATUSES else str(status)
