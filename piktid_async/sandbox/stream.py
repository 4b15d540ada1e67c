"""The event stream of one listener.

First the backlog as `backfill` events, then one `backfill_complete`, then nameless live events,
and a `:keepalive` comment whenever nothing else was sent for a while.
"""

from __future__ import annotations

import asyncio

import attrs
from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.notifications import Filter, Notification, NotificationBoard, Subscription

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}

_SPOILS = (
    "stream_cut",
    "stream_cut_in_character",
    "stream_silent",
    "stream_garbage",
    "stream_bad_json",
    "stream_unknown_event",
    "stream_enormous_event",
    "stream_duplicate",
)
_GARBAGE = b"\xff\xfe\x00\xf0\x28\x8c\x28<html>\r\x80: \xc3\x28\n\n"
_BAD_JSON = b'data: {"id": 7, "name": "batch_edit", "data": {\n\n'
_UNKNOWN = b'event: maintenance\nmood: calm\ndata: {"message": "planned"}\n\n'


class _CutError(Exception):
    """The connection was ended on purpose."""


@attrs.define(eq=False)
class _Open:
    request: web.Request
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)


class Streams:
    """All open event streams of the account."""

    def __init__(self, *, board: NotificationBoard, faults: Faults, keepalive: float) -> None:
        self._board = board
        self._faults = faults
        self._keepalive = keepalive
        self._open: set[_Open] = set()
        self.connections: connections.Connections = connections.Connections()

    @property
    def open(self) -> int:
        """How many streams are open now."""
        return len(self._open)

    async def serve(self, request: web.Request, filter_: Filter) -> web.StreamResponse:
        """Send events until the listener, the server or a fault ends it."""
        response = web.StreamResponse(headers=_HEADERS)
        stream = _Open(request)
        self._open.add(stream)
        self.connections.note(request)
        try:
            await response.prepare(request)
            if self._faults.take("stream_hangs_up"):
                connections.hang_up(request)
                return response
            if self._faults.take("backlog_expired"):
                self._board.expire()
            with self._board.subscribe(filter_) as (backlog, subscription):
                await _Writer(request, response, self._faults).run(
                    backlog, subscription, keepalive=self._keepalive
                )
        except _CutError:
            pass
        finally:
            self._open.discard(stream)
            stream.ended.set()
        return response

    async def cut(self) -> None:
        """Hang up on every listener, and return when all have gone."""
        streams = list(self._open)
        for stream in streams:
            if stream.request.transport is not None:
                stream.request.transport.abort()
        for stream in streams:
            await stream.ended.wait()


class _Writer:
    """Writes events to one connection, and commits the faults asked for."""

    def __init__(self, request: web.Request, response: web.StreamResponse, faults: Faults) -> None:
        self._request = request
        self._response = response
        self._faults = faults
        self._sent = 0

    async def run(
        self, backlog: list[Notification], subscription: Subscription, *, keepalive: float
    ) -> None:
        self._cut_if_due()
        for note in backlog:
            await self._send(b"event: backfill\ndata: ", note)
        # Without the space, which is optional: the programs of the guides look for "data: " and
        # pass this event over; the one for Image Playground would stumble over the empty object.
        await self._response.write(b"event: backfill_complete\ndata:{}\n\n")
        while True:
            try:
                async with asyncio.timeout(keepalive):
                    following = await subscription.next()
            except TimeoutError:
                await self._response.write(b":keepalive\n\n")
                continue
            if following is None:
                return
            overtaken = subscription.waiting and self._faults.take("stream_reorder")
            first = await subscription.next() if overtaken else None
            if first is not None:
                await self._send(b"data: ", first)
            await self._send(b"data: ", following)
            if overtaken and first is None:
                return

    async def _send(self, head: bytes, note: Notification) -> None:
        frame = head + note.json + b"\n\n"
        limit = self._faults.stream_cut_mid_event
        if limit is not None and self._sent >= limit:
            await self._response.write(frame[: len(frame) // 2])
            self._faults.happened("stream_cut_mid_event")
            connections.reset(self._request)
            raise _CutError
        await self._spoil(head, note)
        await self._response.write(frame)
        self._sent += 1
        self._cut_if_due()

    async def _spoil(self, head: bytes, note: Notification) -> None:
        match self._faults.first_of(_SPOILS):
            case "stream_cut":
                connections.hang_up(self._request)
                raise _CutError
            case "stream_cut_in_character":
                await self._response.write(head + note.json[:-1] + b',"cut":"caf\xc3')
                connections.reset(self._request)
                raise _CutError
            case "stream_silent":
                await asyncio.Event().wait()  # ends when the listener leaves
            case "stream_garbage":
                await self._response.write(_GARBAGE)
            case "stream_bad_json":
                await self._response.write(_BAD_JSON)
            case "stream_unknown_event":
                await self._response.write(_UNKNOWN)
            case "stream_enormous_event":
                padding = b"x" * self._faults.enormous_bytes
                await self._response.write(b'data: {"padding":"' + padding + b'"}\n\n')
            case "stream_duplicate":
                await self._response.write(head + note.json + b"\n\n")

    def _cut_if_due(self) -> None:
        limit = self._faults.stream_cut_after_events
        if limit is not None and self._sent >= limit:
            self._faults.happened("stream_cut_after_events")
            connections.hang_up(self._request)
            raise _CutError
