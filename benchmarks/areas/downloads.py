"""Downloads to disk, over loopback.

What the SDK saves is synchronised to the disk before it gets its name, each file; what the others
write is not, unless it is said so.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from benchmarks.harness import Bar, Figure, Run
from benchmarks.inputs import CONNECTIONS, each, files, trust

OURS = "piktid-async"
READ = "aiohttp, read() then write"
SYNCED = "aiohttp, read() then write, synchronised"
LOOP = "requests, as in the guides"
THREADS = "requests, 16 threads"
AIOFILES = "aiohttp, 64 KB to aiofiles"
DISCARD = "aiohttp, to nowhere"
FLOOR = "sockets, 16 threads, synchronised"

Save: TypeAlias = Callable[[Any, Path], Awaitable[None]]

SIZE = 2_000_000
COUNT = 200


@contextmanager
def _measuring(run: Run, *, tls: bool, count: int = COUNT) -> Iterator[tuple[str, list[str], Path]]:
    """Give the API's URL, the links, and the folder to save in."""
    source, target = run.folder / "source", run.folder / "target"
    source.mkdir()
    target.mkdir()
    names = [path.name for path in files(source, run.pick(full=count, tiny=4), SIZE)]
    os.sync()  # else who synchronises waits for these, too
    arguments = ["--tls"] if tls else []
    with run.server("nginx", *arguments, "--files", str(source)) as server:
        trust(server)
        links = [f"{server['url']}/files/{name}" for name in names]
        rows = [
            {
                "image_index": number,
                "group_index": 0,
                "status": "completed",
                "output": {"full_size": link},
            }
            for number, link in enumerate(links)
        ]
        results = {"job_id": "bench", "job_type": "garment_recolor", "status": "completed"}
        (source / "results.json").write_text(json.dumps({**results, "results": rows}))
        yield server["url"], links, target
        run.note("connections", server.end()["connections"])
    if saved := [path for path in target.iterdir() if path.stat().st_size != SIZE]:
        raise AssertionError(f"{len(saved)} files are not whole")


async def ours(run: Run, tls: bool) -> float:
    with _measuring(run, tls=tls) as (url, links, target):
        from piktid_async import Session

        async with Session(
            token="token", base_url=url, download_concurrency=CONNECTIONS
        ) as session:
            result = await session.job("bench", kind="garment_recolor").fetch_results()
            assert len(result.outputs) == len(links)
            # What is imported on first use is measured elsewhere.
            await result.outputs[0].save(target / "0.png")
            with run.timed() as took:
                await asyncio.gather(
                    *(
                        output.save(target / f"{number}.png")
                        for number, output in enumerate(result.outputs)
                    )
                )
    return len(links) / took.seconds


async def bare_aiohttp(run: Run, tls: bool, save: Save) -> float:
    with _measuring(run, tls=tls) as (_, links, target):
        import aiohttp

        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(numbered: tuple[int, str]) -> None:
                number, link = numbered
                async with session.get(link) as answer:
                    await save(answer, target / f"{number}.png")

            with run.timed() as took:
                await each(enumerate(links), one)
    return len(links) / took.seconds


async def _read_then_write(answer: Any, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, await answer.read())


async def _read_then_synchronise(answer: Any, path: Path) -> None:
    def write(data: bytes) -> None:
        part = path.with_suffix(".part")
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    await asyncio.to_thread(write, await answer.read())


async def _by_aiofiles(answer: Any, path: Path) -> None:
    import aiofiles

    async with aiofiles.open(path, "xb") as file:
        async for block in answer.content.iter_chunked(65536):
            await file.write(block)


async def _to_nowhere(answer: Any, _: Path) -> None:
    async for _block in answer.content.iter_any():
        pass


def guides_loop(run: Run, tls: bool) -> float:
    with _measuring(run, tls=tls, count=COUNT // 2) as (_, links, target):
        import requests

        with run.timed() as took:
            for number, link in enumerate(links):
                (target / f"{number}.png").write_bytes(requests.get(link).content)
    return len(links) / took.seconds


def threads(run: Run, tls: bool) -> float:
    with _measuring(run, tls=tls, count=COUNT // 2) as (_, links, target):
        import requests

        def some(first: int) -> None:
            with requests.Session() as session:
                for number in range(first, len(links), CONNECTIONS):
                    content = session.get(links[number]).content
                    (target / f"{number}.png").write_bytes(content)

        with run.timed() as took, ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(some, range(CONNECTIONS)))
    return len(links) / took.seconds


def sockets(run: Run, tls: bool) -> float:
    """Do no more than any program must: no library, no event loop, one buffer for each thread."""
    with _measuring(run, tls=tls) as (url, links, target):
        host, port = urlsplit(url).hostname or "", urlsplit(url).port
        context = ssl.create_default_context() if tls else None

        def some(first: int) -> None:
            buffer = memoryview(bytearray(1 << 20))
            with socket.create_connection((host, port)) as plain:
                conn = context.wrap_socket(plain, server_hostname=host) if context else plain
                for number in range(first, len(links), CONNECTIONS):
                    _fetch(conn, urlsplit(links[number]).path, target / f"{number}.png", buffer)

        with run.timed() as took, ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(some, range(CONNECTIONS)))
    return len(links) / took.seconds


def _fetch(conn: socket.socket, path: str, target: Path, buffer: memoryview) -> None:
    conn.sendall(f"GET {path} HTTP/1.1\r\nHost: storage\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += conn.recv(4096)
    body = head.partition(b"\r\n\r\n")[2]
    with target.open("xb", buffering=0) as file:
        file.write(body)
        left = SIZE - len(body)
        while left:
            count = conn.recv_into(buffer)
            file.write(buffer[:count])
            left -= count
        os.fsync(file.fileno())


def _figure(key: str, title: str, *, tls: bool) -> Figure:
    cases: dict[str, Callable[[Run], float | Awaitable[float]]] = {
        OURS: partial(ours, tls=tls),
        READ: partial(bare_aiohttp, tls=tls, save=_read_then_write),
        SYNCED: partial(bare_aiohttp, tls=tls, save=_read_then_synchronise),
        AIOFILES: partial(bare_aiohttp, tls=tls, save=_by_aiofiles),
        DISCARD: partial(bare_aiohttp, tls=tls, save=_to_nowhere),
        FLOOR: partial(sockets, tls=tls),
        LOOP: partial(guides_loop, tls=tls),
        THREADS: partial(threads, tls=tls),
    }
    return Figure(
        key=key,
        title=title,
        unit="files/s",
        cases=cases,
        bars=(
            Bar(OURS, of=READ, at_least=1.7),
            Bar(OURS, of=LOOP, at_least=2.5),
            Bar(OURS, column="connections", at_most=CONNECTIONS),
        ),
        about=(
            "From nginx to the disk. What the SDK saves is checked to be a picture, synchronised "
            "to the disk, and only then gets its name; of the others, only those that say so wait "
            "for the disk."
        ),
    )


FIGURES = (
    _figure("plain", "Downloads of 2 MB to disk, 16 connections", tls=False),
    _figure("tls", "Downloads of 2 MB to disk over TLS, 16 connections", tls=True),
)
