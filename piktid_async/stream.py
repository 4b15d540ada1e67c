"""The one event stream, as signals: opened, a batch of notifications, lost, and again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Sequence
from typing import TypeAlias

import attrs

from piktid_async.errors import (
    ConnectionFailedError,
    EventTooLargeError,
    PiktidError,
)
from piktid_async.logs import Listener, about
from piktid_async.models.events import StreamReconnect
from piktid_async.models.settings import StreamSettings
from piktid_async.protocol import endpoints
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.feed import Arrival
from piktid_async.protocol.reconnect import Connect, GiveUp, Reconnect, WaitUntil
from piktid_async.protocol.sse import Decoder
from piktid_async.transport.base import Transport

_log = logging.getLogger("piktid_async.stream")

KEEPALIVES_MISSED = 3


@attrs.frozen
class Opened:
    """The service has answered with a stream."""


@attrs.frozen
class Batch:
    """What one chunk of bytes held."""

    # Texts hold signed URLs.
    items: Sequence[Arrival] = attrs.field(repr=False)


@attrs.frozen
class Lost:
    """The connection ended, or was never made."""

    error: PiktidError | None


Signal: TypeAlias = Opened | Batch | Lost


async def signals(
    transport: Transport, settings: StreamSettings, tell: Listener | None = None
) -> AsyncGenerator[Signal, None]:
    """Follow the stream for ever; raises what the service refuses it with.

    Wrap it in `contextlib.aclosing`: the connection is closed when the generator is.
    """
    clock = time.monotonic
    backoff = Backoff(base=settings.reconnect_base, cap=settings.reconnect_cap)
    machine = Reconnect(backoff, jitter=random.random)
    while True:
        match machine.next(clock()):
            case GiveUp(error):
                raise error
            case WaitUntil(at):
                await asyncio.sleep(at - clock())
                continue
            case Connect():
                machine.opening()
        lost: PiktidError | None = None
        idle = KEEPALIVES_MISSED * settings.keepalive
        try:
            async with transport.stream(endpoints.events(), idle) as chunks:
                machine.opened(clock())
                yield Opened()
                decoder = Decoder()
                async for chunk in chunks:
                    machine.heard(clock())
                    if items := decoded(decoder, chunk):
                        yield Batch(items)
        except PiktidError as error:
            lost = error
        except Exception as error:
            # A token source may raise anything. Whatever it is, the stream is tried again.
            _log.warning("the event stream failed", exc_info=error)
            lost = ConnectionFailedError(endpoints.events().call, type(error).__name__, False)
        machine.lost(clock(), lost)
        if tell is not None:
            _tell_reconnect(tell, machine, clock(), lost)
        yield Lost(lost)


def _tell_reconnect(
    tell: Listener, machine: Reconnect, now: float, error: PiktidError | None
) -> None:
    match machine.next(now):
        case GiveUp():
            return
        case WaitUntil(at):
            delay = at - now
        case Connect():
            delay = 0.0
    reason = "closed by the server" if error is None else error.summary
    tell(StreamReconnect(attempt=machine.failures, delay=delay, reason=reason))


def decoded(decoder: Decoder, chunk: bytes) -> Sequence[Arrival]:
    """Return the events of a chunk, unread; what is too long for one is logged and left out."""
    try:
        return decoder.read(chunk)
    except EventTooLargeError as error:
        _log.warning("an event was left out: %s", error.reason, extra=about(reason=error.reason))
        return error.events
