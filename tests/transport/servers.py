"""Servers on loopback that show the very bytes of a request, and can be rude in answering it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs

Headers = Iterable[tuple[str, str]]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 16
JPG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 16


@attrs.define(eq=False)
class Exchange:
    """One request as it came over the wire, and the means to answer it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader = attrs.field(repr=False)
    writer: asyncio.StreamWriter = attrs.field(repr=False)
    content: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header that was sent once, or None."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    async def body(self) -> bytes:
        """Read the whole announced body."""
        assert self.header("Transfer-Encoding") is None
        length = int(self.header("Content-Length") or 0)
        self.content += await self.reader.readexactly(length - len(self.content))
        return self.content

    async def some(self, count: int) -> None:
        """Read the beginning of the body."""
        self.content += await self.reader.readexactly(count)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, headers: Headers = ()) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{key}: {value}" for key, value in headers)]
        await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def answer(self, status: int = 200, body: bytes = b"", headers: Headers = ()) -> None:
        """Read the request to its end and answer it."""
        await self.body()
        await self.head(status, [("Content-Length", str(len(body))), *headers])
        await self.send(body)

    async def answer_json(self, value: Any, status: int = 200, headers: Headers = ()) -> None:
        await self.answer(
            status, json.dumps(value).encode(), [("Content-Type", "application/json"), *headers]
        )

    def json(self) -> Any:
        return json.loads(self.content)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def hang_up(self) -> None:
        """End the connection in an orderly way."""
        self.writer.close()

    async def gone(self) -> None:
        """Wait until the client has closed or broken the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Handler = Callable[[Exchange], Awaitable[None]]


@attrs.define(eq=False)
class Server:
    """A listening server and what it has seen."""

    url: str = ""
    connections: int = 0
    open: int = 0
    requests: list[Exchange] = attrs.field(factory=list)
    changed: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    def seen(self, method: str) -> list[Exchange]:
        return [each for each in self.requests if each.method == method]

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        """Wait for something that a request or a connection brings about."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(condition)

    async def tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def serve(
    handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Server]:
    """Serve every request by `handler`, which may leave the connection open, or end it."""
    server = Server()
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open += 1
        try:
            while (exchange := await _request(reader, writer)) is not None:
                server.requests.append(exchange)
                await server.tell()
                await handler(exchange)
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has gone
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failures.append(error)
        finally:
            writer.close()
            server.open -= 1
            await server.tell()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(converse(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", port, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listening.close()
        running = list(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await listening.wait_closed()
    assert not failures, failures


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    pairs = [line.split(": ", 1) for line in lines]
    return Exchange(method, target, [(key, value) for key, value in pairs], reader, writer)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
