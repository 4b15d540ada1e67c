"""A small HTTP proxy: CONNECT tunnels, and plain requests passed on in absolute form."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import attrs


@attrs.define(eq=False)
class HttpProxy:
    """What it asks for, how it refuses, and what it has seen."""

    user: str | None = None
    """`name:password` that it wants to see."""
    refuse: int | None = None
    """The status that answers requests."""
    refuse_to: str = ""
    """Only those whose target begins so."""
    speechless: bool = False
    """Whether it hangs up without an answer."""
    port: int = 0
    tunnels: list[str] = attrs.field(factory=list)
    """Hosts and ports of the CONNECTs that it took."""
    forwarded: list[str] = attrs.field(factory=list)
    """Absolute URLs that it passed on."""
    heads: list[str] = attrs.field(factory=list)
    """Everything in clear text that it could read."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        if self.speechless:
            return
        headers = dict(line.split(": ", 1) for line in lines)
        if (status := self._refused(target, headers)) is not None:
            writer.write(
                f"HTTP/1.1 {status} Proxy says no\r\nVia: 1.1 test\r\n"
                f"Proxy-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nsorry".encode()
            )
            await writer.drain()
            return
        if method == "CONNECT":
            self.tunnels.append(target)
            host, port = target.split(":")
            ahead = b""
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            self.forwarded.append(f"{method} {target}")
            place = urlsplit(target)
            host, port = str(place.hostname), str(place.port)
            path = target.removeprefix(f"{place.scheme}://{place.netloc}")
            kept = [
                line
                for line in lines
                if not line.startswith(("Proxy-Authorization:", "Connection:"))
            ]
            # One request a connection: the next one may be for another server.
            ahead = "\r\n".join(
                [f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]
            ).encode("latin-1")
        await _join(reader, writer, host, int(port), ahead)

    def _refused(self, target: str, headers: dict[str, str]) -> int | None:
        if self.refuse is not None and target.startswith(self.refuse_to):
            return self.refuse
        if self.user is not None:
            wanted = "Basic " + base64.b64encode(self.user.encode("latin-1")).decode()
            if headers.get("Proxy-Authorization") != wanted:
                return 407
        return None


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int, ahead: bytes
) -> None:
    other_reader, other_writer = await asyncio.open_connection(host, port)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    other_writer.write(ahead)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, other_writer))
            group.create_task(pump(other_reader, writer))
    finally:
        other_writer.close()


@asynccontextmanager
async def http_proxy(
    user: str | None = None, refuse: int | None = None
) -> AsyncIterator[HttpProxy]:
    """Run a proxy."""
    proxy = HttpProxy(user, refuse)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await proxy.converse(reader, writer)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        running = list(tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
