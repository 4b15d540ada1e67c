"""A server that answers an upload's two calls: `python -m benchmarks.servers.two_steps`.

`--seconds 0.02` after the last byte of each request. Plain asyncio protocols.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Server:
    """What all connections share."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.loop = asyncio.get_running_loop()
        self.ticket = b""
        self.connections = {b"POST": 0, b"PUT": 0}
        self.requests = 0


class Conversation(asyncio.Protocol):
    """One connection: heads are split off, bodies are counted and dropped."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._head = b""
        self._left = 0
        self._answer = b""
        self._counted = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._begin(head)
            self._left -= len(body)
        if self._left:
            return
        self._server.requests += 1
        if self._server.seconds:
            self._server.loop.call_later(self._server.seconds, self._write, self._answer)
        else:
            self._write(self._answer)

    def _begin(self, head: bytes) -> None:
        method = head.partition(b" ")[0]
        if not self._counted:
            self._counted = True
            self._server.connections[method] += 1
        _, found, after = head.lower().partition(b"content-length:")
        self._left = int(after.partition(b"\r")[0]) if found else 0
        self._answer = self._server.ticket if method == b"POST" else _ANSWER % (0, b"")

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(seconds: float) -> None:
    server = Server(seconds)
    listening = await server.loop.create_server(
        lambda: Conversation(server), "127.0.0.1", 0, backlog=1024
    )
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    ticket = {
        "upload_url": f"{url}/put/x?signature=1",
        "file_id": "f",
        "filename": "x.png",
        "content_type": "image/png",
    }
    body = json.dumps(ticket).encode()
    server.ticket = _ANSWER % (len(body), body)
    print(json.dumps({"url": url, "ticket": ticket}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    puts, posts = server.connections[b"PUT"], server.connections[b"POST"]
    seen = {"connections": puts, "api_connections": posts, "requests": server.requests}
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0)
    # select() waits for microseconds; epoll, as asyncio uses it, rounds up to the next millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(serve(parser.parse_args().seconds))
