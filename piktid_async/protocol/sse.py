"""Server-sent events, from bytes to values.

Theory of operation
-------------------
Bytes go in as they come; events come out as soon as their blank line has. A line ends at CRLF,
LF or CR, so a CR ends its line at once and an LF that follows it, even in the next chunk, is
swallowed. Lines are cut before they are decoded, so a chunk border inside a character does no
harm, and bytes that are no UTF-8 become U+FFFD. An unterminated block at the end of the stream
never leaves the decoder, and neither does its id.

Nearly every event is one line of data and nothing else. Between two blocks, `read` cuts a chunk at
the borders of such events: no line is looked at, no object is made. All else goes line by line.
`feed` gives the same events in the standard's form.

Bounds: a line that is not finished within `max_line` bytes, or an event whose data passes
`max_event` bytes, is left out up to its blank line. Feeding then raises `EventTooLargeError`,
which carries the events of the same chunk that were in bounds, and the decoder can be fed on.
Work is linear in the bytes fed: an unfinished line is appended to, never searched again.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from __future__ import annotations

import re

import attrs

from piktid_async.errors import EventTooLargeError

BOM = b"\xef\xbb\xbf"
MAX_LINE = 1 << 20
MAX_EVENT = 4 << 20

_LINE_END = re.compile(rb"\r\n|\n|\r")
_END = b"\n\n"
_DATA = b"data: "
# As a number, which is looked for many times faster than a byte string of one.
_LF = ord("\n")


@attrs.frozen(slots=True)
class ServerSentEvent:
    """One event."""

    event: str
    """Its type; `message` where the stream names none."""
    data: str
    last_event_id: str = ""


class Decoder:
    """Decode one connection's bytes; the next connection gets a decoder of its own."""

    __slots__ = (
        "_at_start",
        "_data",
        "_event",
        "_id",
        "_line",
        "_max_event",
        "_max_line",
        "_max_plain",
        "_size",
        "_skip_lf",
        "_skipping",
        "last_event_id",
        "retry",
    )

    def __init__(
        self, last_event_id: str = "", *, max_line: int = MAX_LINE, max_event: int = MAX_EVENT
    ) -> None:
        if max_line < 1 or max_event < 1:
            raise ValueError("max_line and max_event are bytes: 1 or more")
        self.last_event_id: str = last_event_id
        """What the standard would send as Last-Event-ID."""
        self.retry: int | None = None
        """Milliseconds that the server asks to wait before a reconnect."""
        self._max_line = max_line
        self._max_event = max_event
        self._max_plain = min(max_line, max_event)
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._event = b""
        self._id = last_event_id
        self._at_start = True
        self._skip_lf = False
        self._skipping = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Return the events that the chunk completes.

        Raises `EventTooLargeError` when an event passed a bound; see its `.events`.
        """
        try:
            return [_in_full(event) for event in self.read(chunk)]
        except EventTooLargeError as error:
            error.events = tuple(_in_full(event) for event in error.events)
            raise

    def read(self, chunk: bytes) -> list[bytes | ServerSentEvent]:
        """Return the events that the chunk completes; those without a name and an id as bare data.

        Raises as `feed` does.
        """
        events: list[bytes | ServerSentEvent] = []
        if self.last_event_id or self._id or b"\r" in chunk or len(chunk) > self._max_plain:
            too_large = self._by_lines(chunk, events)
        else:
            begun = 0 if self._between_blocks else chunk.find(_END) + len(_END)
            if begun == len(_END) - 1:  # the block goes on
                too_large = self._by_lines(chunk, events)
            else:
                too_large = self._by_lines(chunk[:begun], events)
                too_large |= self._by_blocks(chunk[begun:], events)
        if too_large:
            reason = f"an event is longer than {self._max_line} bytes a line or {self._max_event}"
            raise EventTooLargeError("event stream", reason, tuple(events))
        return events

    @property
    def _between_blocks(self) -> bool:
        """Whether nothing of a block has come yet."""
        begun = self._line or self._data or self._event
        return not (begun or self._skipping or self._skip_lf or self._at_start)

    def _by_blocks(self, chunk: bytes, events: list[bytes | ServerSentEvent]) -> bool:
        """Read whole blocks at a time, from the beginning of one."""
        first, *blocks = (_END + chunk).split(_END + _DATA)
        if not blocks:
            return self._by_lines(chunk, events)
        last = blocks.pop()
        too_large = bool(first) and self._by_lines(first + _END, events)
        for block in blocks:
            if _LF not in block and not self._id:
                events.append(block)
            else:
                too_large |= self._by_lines(_DATA + block + _END, events)
        if last.find(b"\n") == len(last) - len(_END) and last.endswith(_END) and not self._id:
            events.append(last[: -len(_END)])
            return too_large
        return self._by_lines(_DATA + last, events) or too_large

    def _by_lines(self, chunk: bytes, events: list[bytes | ServerSentEvent]) -> bool:
        """Read by the standard; return whether an event has just become too large."""
        too_large = False
        for line in self._split(chunk):
            if line:
                too_large |= self._field(line)
            else:
                event = self._dispatch()
                if event is not None:
                    events.append(event)
        return self._bound_line() or too_large

    def _split(self, chunk: bytes) -> list[bytes]:
        """Return the lines that are complete now; keep the rest."""
        if self._skip_lf and chunk:
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if not chunk:
            return []
        # Without a CR, which is the rule, bytes.split is several times faster than the pattern.
        parts = _LINE_END.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        self._skip_lf = chunk.endswith(b"\r")
        rest = parts.pop()
        if parts and self._line:
            parts[0] = bytes(self._line) + parts[0]
            self._line.clear()
        self._line += rest
        if self._at_start:
            self._strip_bom(parts)
        return parts

    def _strip_bom(self, lines: list[bytes]) -> None:
        """Drop one byte order mark at the very beginning, however it was cut."""
        if lines:
            lines[0] = lines[0].removeprefix(BOM)
            self._at_start = False
        elif len(self._line) >= len(BOM):
            if self._line.startswith(BOM):
                del self._line[: len(BOM)]
            self._at_start = False

    def _field(self, line: bytes) -> bool:
        """Take in one line; return whether its event has just become too large."""
        if self._skipping:
            return False
        if len(line) > self._max_line:
            return self._skip()
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            # The line feed that joins it to the line before counts; the last has none.
            self._size += len(value) + bool(self._data)
            if self._size > self._max_event:
                return self._skip()
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            # bytes.isdigit is ASCII only; int() of an absurd length would be refused.
            self.retry = int(value.lstrip(b"0")[:12] or b"0")
        return False

    def _dispatch(self) -> bytes | ServerSentEvent | None:
        """End the block."""
        data, event = self._data, self._event
        skipped, self._skipping = self._skipping, False
        self._event = b""
        if not skipped:
            self.last_event_id = self._id
        if not data or skipped:
            return None
        self._data, self._size = [], 0
        joined = data[0] if len(data) == 1 else b"\n".join(data)
        if not (event or self.last_event_id):
            return joined
        return ServerSentEvent(
            event.decode("utf-8", "replace") if event else "message",
            joined.decode("utf-8", "replace"),
            self.last_event_id,
        )

    def _bound_line(self) -> bool:
        """Bound what is kept of an unfinished line; return whether it has just passed."""
        if len(self._line) <= self._max_line:
            return False
        # One byte stays, so that the line does not look empty when its end comes.
        del self._line[1:]
        return False if self._skipping else self._skip()

    def _skip(self) -> bool:
        self._skipping = True
        self._data, self._size = [], 0
        self._id = self.last_event_id
        return True


def _in_full(event: bytes | ServerSentEvent) -> ServerSentEvent:
    if isinstance(event, ServerSentEvent):
        return event
    return ServerSentEvent("message", event.decode("utf-8", "replace"))
