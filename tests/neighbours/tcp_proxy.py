"""A TCP proxy between client and server that cuts, stalls, drips, delays and resets on request.

It looks at bytes, and knows HTTP only so far that a fault waits for the request it is meant for:
a request begins with the bytes that the client sends after an answer, or after nothing at all.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

import attrs

Way = Literal["up", "down"]
Action = Literal["reset", "close", "half_close", "stall", "drip"]

ANY = b""


@attrs.define(eq=False)
class Fault:
    """What is done to a connection once a certain request is on it.

    - `reset`: a TCP reset on both sides; `close`: an orderly end of both.
    - `half_close`: an orderly end of this direction alone; the other one goes on.
    - `stall`: nothing more passes in this direction before `go`.
    - `drip`: everything that follows passes byte by byte, each in a segment of its own.
    """

    action: Action
    way: Way = "down"
    request: bytes = ANY
    """How the request begins, such as `DELETE /notifications/`."""
    after: int | bytes = 0
    """Bytes of the request (up) or its answer (down) that still pass; or the bytes themselves."""
    times: int = 1
    go: asyncio.Event = attrs.field(factory=asyncio.Event)
    happened: int = 0

    def place(self, passed: int, data: bytes) -> int | None:
        """Return how much of the data still passes; None if all of it does."""
        if isinstance(self.after, int):
            return max(0, self.after - passed) if passed + len(data) >= self.after else None
        found = data.find(self.after)
        return None if found < 0 else found + len(self.after)


@attrs.define(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    request: bytes = b""
    """The beginning of the latest request."""
    passed: dict[Way, int] = attrs.field(factory=lambda: {"up": 0, "down": 0})
    """Bytes of the latest request, and of its answer."""
    dripping: set[Way] = attrs.field(factory=set)

    def note(self, way: Way, data: bytes) -> None:
        if way == "up" and (self.passed["down"] or not self.request):
            self.request, self.passed = data[:4096], {"up": 0, "down": 0}

    def reset(self) -> None:
        for writer in (self.client, self.server):
            if not writer.is_closing():
                sock: socket.socket = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    def close(self) -> None:
        self.client.close()
        self.server.close()


@attrs.define(eq=False)
class TcpProxy:
    """Listens on loopback and passes bytes on; `faults` may be changed at any time."""

    target: str
    """URL of the server; its path is not looked at."""
    url: str = ""
    faults: list[Fault] = attrs.field(factory=list)
    connections: int = 0
    bytes: dict[Way, int] = attrs.field(factory=lambda: {"up": 0, "down": 0})
    """All that has passed."""
    _live: set[_Connection] = attrs.field(factory=set)
    _tasks: set[asyncio.Task[None]] = attrs.field(factory=set)
    _changed: asyncio.Condition = attrs.field(factory=asyncio.Condition)
    _listening: asyncio.Server | None = None

    @property
    def open(self) -> int:
        """Connections that are up."""
        return len(self._live)

    def add(self, action: Action, way: Way = "down", **options: object) -> Fault:
        """Ask for one more fault."""
        fault = Fault(action, way, **options)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait for something that passing bytes or connections bring about."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(condition)

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        port = urlsplit(self.url).port or 0
        self._listening = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._listening.sockets[0].getsockname()[1]}"

    def refuse(self) -> None:
        """Refuse new connections; those that are up go on."""
        assert self._listening is not None
        self._listening.close()

    def reset_all(self) -> None:
        """Reset every connection that is up."""
        for connection in list(self._live):
            connection.reset()

    async def stop(self) -> None:
        """End everything."""
        self.refuse()
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        place = urlsplit(self.target)
        try:
            from_server, to_server = await asyncio.open_connection(place.hostname, place.port)
        except OSError:
            writer.close()
            return
        connection = _Connection(writer, to_server)
        self._live.add(connection)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump("up", reader, to_server, connection))
                group.create_task(self._pump("down", from_server, writer, connection))
        finally:
            self._live.discard(connection)
            connection.close()
            await self._tell()

    async def _pump(
        self,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connection: _Connection,
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                connection.note(way, data)
                while data:
                    fault, count = self._next(way, data, connection)
                    await self._pass(way, data[:count], writer, connection)
                    data = data[count:]
                    if fault is not None and not await self._do(fault, connection):
                        return
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
        if way == "down":  # the server has gone, so there is nobody to talk to
            connection.close()

    def _next(self, way: Way, data: bytes, connection: _Connection) -> tuple[Fault | None, int]:
        for fault in self.faults:
            if (
                fault.way != way
                or not fault.times
                or not connection.request.startswith(fault.request)
            ):
                continue
            if (count := fault.place(connection.passed[way], data)) is not None:
                fault.times -= 1
                return fault, count
        return None, len(data)

    async def _pass(
        self, way: Way, data: bytes, writer: asyncio.StreamWriter, connection: _Connection
    ) -> None:
        connection.passed[way] += len(data)
        self.bytes[way] += len(data)
        step = 1 if way in connection.dripping else max(1, len(data))
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])  # no delay: asyncio switches Nagle off
            await writer.drain()
            if step == 1:
                await asyncio.sleep(0)  # a turn for the receiver
        await self._tell()

    async def _do(self, fault: Fault, connection: _Connection) -> bool:
        """Commit the fault; whether the direction goes on."""
        fault.happened += 1
        await self._tell()
        match fault.action:
            case "reset":
                connection.reset()
            case "close":
                connection.close()
            case "half_close":
                (connection.server if fault.way == "up" else connection.client).write_eof()
            case "drip":
                connection.dripping.add(fault.way)
                return True
            case "stall":
                await fault.go.wait()
                return True
        return False

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


@asynccontextmanager
async def tcp_proxy(target: str) -> AsyncIterator[TcpProxy]:
    """Run a proxy in front of a server."""
    proxy = TcpProxy(target)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.stop()
