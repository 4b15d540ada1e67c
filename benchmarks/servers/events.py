"""A server of events and acknowledgements: `python -m benchmarks.servers.events`.

`GET /notifications/events` is answered with the end of the backfill, and then with a storm, which
begins with `POST /storm`. `--jobs 10000 --events 100000`: each event is of the next job in turn;
the last of each job is its end. `--chunk 65536` are the bytes of one HTTP chunk; 0 gives each event
one of its own. `--rate 2000` spaces events out, so many a second. `--probes`: every tenth event is
of the job `probe`, with the time at which it was written. A DELETE is answered with 204, and
counted. Plain asyncio protocols.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time

_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_SYNCED = b"event: backfill_complete\ndata: {}\n\n"
_DONE = b"HTTP/1.1 204 No Content\r\n\r\n"
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
STEP = 0.002
"""Seconds between the writes of a stream that is spaced out."""


def job_name(number: int) -> str:
    """Return the id of a job."""
    return f"{number:08d}-4a5b-4c6d-8e7f-0123456789ab"


def event(number: int, job: str, status: str, processed: int, total: int, told: float) -> bytes:
    """Return an event as it is sent."""
    data = {
        "id_task": job,
        "status": status,
        "processed_images": processed,
        "total_images": total,
    }
    note = {"id": number, "name": "batch_edit", "timestamp": told, "data": data}
    return b"data: " + json.dumps(note, separators=(",", ":")).encode() + b"\n\n"


def storm(jobs: int, events: int) -> list[bytes]:
    """Return the events of a storm; two in a hundred blocks are comments."""
    made = []
    each = events // jobs
    for number in range(each * jobs):
        count = number // jobs + 1
        status = "completed" if count == each else "processing"
        made.append(event(number + 1, job_name(number % jobs), status, count, each, 1763000000.5))
        if number % 50 == 0:
            made.append(b": keepalive\n\n")
    return made


def chunks(made: list[bytes], size: int) -> list[bytes]:
    """Return the body, as HTTP chunks."""
    whole = b"".join(made)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)] if size else made
    return [b"%x\r\n%b\r\n" % (len(part), part) for part in parts]


class Server:
    """What all connections share."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.chosen = chosen
        self.acknowledged = 0
        self.stream: asyncio.WriteTransport | None = None
        self.room = asyncio.Event()
        self.telling: asyncio.Task[None] | None = None
        self.parts = [] if chosen.rate else chunks(storm(chosen.jobs, chosen.events), chosen.chunk)

    async def tell(self) -> None:
        """Write the storm, at once or spaced out."""
        if self.chosen.rate:
            await self._spaced_out()
            return
        stream = self.stream
        assert stream is not None
        # In large writes, whatever the HTTP chunks are: the client is to be what is measured.
        several = 1 if self.chosen.chunk else 400
        for at in range(0, len(self.parts), several):
            await self.room.wait()
            stream.write(b"".join(self.parts[at : at + several]))

    async def _spaced_out(self) -> None:
        chosen = self.chosen
        began, number = time.perf_counter(), 0
        while number < chosen.events:
            await asyncio.sleep(STEP)
            due = min(chosen.events, int((time.perf_counter() - began) * chosen.rate))
            made = []
            for count in range(number + 1, due + 1):
                job = (
                    "probe" if chosen.probes and count % 10 == 0 else job_name(count % chosen.jobs)
                )
                told = time.perf_counter()
                made.append(event(count, job, "processing", count, chosen.events, told))
            number = max(number, due)
            assert self.stream is not None
            if made:
                self.stream.write(b"".join(chunks(made, 0)))


class Conversation(asyncio.Protocol):
    """One connection; no request has a body."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """Write no more."""
        if self._server.stream is self._transport:
            self._server.room.clear()

    def pause_writing(self) -> None:
        """Wait for the client."""
        if self._server.stream is self._transport:
            self._server.room.clear()

    def resume_writing(self) -> None:
        """Go on."""
        if self._server.stream is self._transport:
            self._server.room.set()

    def data_received(self, data: bytes) -> None:
        """Answer each request whose head is complete."""
        transport, server = self._transport, self._server
        assert transport is not None
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for head in heads:
            if head.startswith(b"DELETE "):
                server.acknowledged += 1
                transport.write(_DONE)
            elif head.startswith(b"GET /notifications/events"):
                server.stream = transport
                server.room.set()
                transport.write(_STREAM + b"%x\r\n%b\r\n" % (len(_SYNCED), _SYNCED))
            elif head.startswith(b"POST /storm"):
                server.telling = asyncio.get_running_loop().create_task(server.tell())
                transport.write(_DONE)
            else:
                answer = b'{"acknowledged": %d}' % server.acknowledged
                transport.write(_JSON % (len(answer), answer))


async def serve(chosen: argparse.Namespace) -> None:
    """Serve until standard input ends, then tell what was acknowledged."""
    loop = asyncio.get_running_loop()
    server = Server(chosen)
    listening = await loop.create_server(lambda: Conversation(server), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    if server.telling is not None:
        server.telling.cancel()
    listening.close()
    print(json.dumps({"acknowledged": server.acknowledged}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--chunk", type=int, default=65_536)
    parser.add_argument("--rate", type=int, default=0)
    parser.add_argument("--probes", action="store_true")
    asyncio.run(serve(parser.parse_args()))
