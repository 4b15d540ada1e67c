"""Uploads over loopback, where latency is nothing and bandwidth no bound: processor time, that is.

The first two figures are the PUT alone, which is where the bytes are; the third is both calls of
an upload, by the public functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.harness import Bar, Figure, Run, Server, Took
from benchmarks.inputs import CONNECTIONS, each, files, trust

OURS = "piktid-async"
AIOHTTP = "aiohttp, open file"
LOOP = "requests, as in the guides"
SESSION = "requests, one Session"
THREADS = "requests, 16 threads"
HTTPX = "httpx, bytes"
CURL = "pycurl, 16 threads"

LARGE, SMALL = 2_000_000, 20_000
TYPED = {"Content-Type": "image/png"}
TOKEN = {"Authorization": "Bearer token"}


@contextmanager
def _measuring(
    run: Run, size: int, count: int, tiny: int = 16
) -> Iterator[tuple[Server, list[Path]]]:
    paths = files(run.folder, run.pick(full=count, tiny=tiny), size)
    with run.server("nginx", "--tls") as server:
        trust(server)
        yield server, paths
        run.note("connections", server.end()["connections"])


def _rate(took: Took, paths: Sequence[Path]) -> float:
    return len(paths) / took.seconds


# The PUT alone


async def put(run: Run, size: int, count: int) -> float:
    """Go the way of every upload, from where its URL has come."""
    with _measuring(run, size, count) as (server, paths):
        from piktid_async.sources import describe
        from piktid_async.transport._aiohttp import AiohttpTransport, NetworkConfig
        from piktid_async.transport.base import Put
        from piktid_async.transport.tokens import Tokens
        from piktid_async.types import Secret

        config = NetworkConfig(
            base_url=server["url"],
            timeout=60.0,
            upload_concurrency=CONNECTIONS,
            download_concurrency=CONNECTIONS,
        )
        url, told = server["ticket"]["upload_url"], [0]
        transport = AiohttpTransport(config, Tokens(Secret("token")))

        async def one(path: Path) -> None:
            response = await transport.put(
                Put(
                    url=url,
                    content_type="image/png",
                    body=describe(path, None).body,
                    stall=60.0,
                    on_sent=told.append,
                )
            )
            assert response.status == 200

        with run.timed() as took:
            await each(paths, one)
        await transport.aclose()
        return _rate(took, paths)


async def aiohttp_open_file(run: Run, size: int, count: int) -> float:
    with _measuring(run, size, count) as (server, paths):
        import aiohttp

        url = server["ticket"]["upload_url"]
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(path: Path) -> None:
                with path.open("rb") as file:
                    async with session.put(url, data=file, headers=TYPED) as answer:
                        assert answer.status == 200
                        await answer.read()

            with run.timed() as took:
                await each(paths, one)
        return _rate(took, paths)


async def httpx_bytes(run: Run, size: int, count: int) -> float:
    with _measuring(run, size, count) as (server, paths):
        import httpx

        url = server["ticket"]["upload_url"]
        limits = httpx.Limits(max_connections=CONNECTIONS)
        async with httpx.AsyncClient(limits=limits, verify=server["authority"]) as client:

            async def one(path: Path) -> None:
                content = await asyncio.to_thread(path.read_bytes)
                (await client.put(url, content=content, headers=TYPED)).raise_for_status()

            with run.timed() as took:
                await each(paths, one)
        return _rate(took, paths)


def requests_put(run: Run, size: int, count: int, *, kept: bool = False) -> float:
    """As in the guides: `requests.put(url, data=file.read())`; or with one Session for all."""
    with _measuring(run, size, count) as (server, paths):
        import requests

        url = server["ticket"]["upload_url"]
        with requests.Session() as session, run.timed() as took:
            send = session.put if kept else requests.put
            for path in paths:
                send(url, data=path.read_bytes(), headers=TYPED).raise_for_status()
        return _rate(took, paths)


def requests_threads(run: Run, size: int, count: int) -> float:
    with _measuring(run, size, count) as (server, paths):
        import requests

        url = server["ticket"]["upload_url"]

        def some(mine: Sequence[Path]) -> None:
            with requests.Session() as session:
                for path in mine:
                    session.put(url, data=path.read_bytes(), headers=TYPED).raise_for_status()

        with run.timed() as took:
            _in_threads(some, paths)
        return _rate(took, paths)


def pycurl_threads(run: Run, size: int, count: int) -> float:
    with _measuring(run, size, count) as (server, paths):
        import pycurl

        url = server["ticket"]["upload_url"]

        def some(mine: Sequence[Path]) -> None:
            curl = pycurl.Curl()
            curl.setopt(pycurl.URL, url)
            curl.setopt(pycurl.CAINFO, server["authority"])
            curl.setopt(pycurl.UPLOAD, 1)
            curl.setopt(pycurl.NOSIGNAL, 1)
            curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
            curl.setopt(pycurl.HTTPHEADER, ["Content-Type: image/png", "Expect:"])
            for path in mine:
                with path.open("rb") as file:
                    curl.setopt(pycurl.INFILESIZE, size)
                    curl.setopt(pycurl.READDATA, file)
                    curl.perform()
                assert curl.getinfo(pycurl.RESPONSE_CODE) == 200
            curl.close()

        with run.timed() as took:
            _in_threads(some, paths)
        return _rate(took, paths)


def _in_threads(some: Callable[[Sequence[Path]], None], paths: Sequence[Path]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(some, [paths[first::CONNECTIONS] for first in range(CONNECTIONS)]))


# Both calls


async def upload_many(run: Run) -> float:
    with _measuring(run, SMALL, 2_000) as (server, paths):
        from piktid_async import Session

        async with Session(
            token="token", base_url=server["url"], upload_concurrency=CONNECTIONS
        ) as session:
            await session.upload(paths[0])  # what is imported on first use is measured elsewhere
            with run.timed() as took:
                await session.upload_many(paths)
        return _rate(took, paths)


async def aiohttp_both(run: Run) -> float:
    with _measuring(run, SMALL, 2_000) as (server, paths):
        import aiohttp

        ask = f"{server['url']}/upload"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as api,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as storage,
        ):

            async def one(path: Path) -> None:
                wish = {"filename": path.name}
                async with api.post(ask, json=wish, headers=TOKEN) as answer:
                    ticket = await answer.json()
                typed = {"Content-Type": ticket["content_type"]}
                with path.open("rb") as file:
                    url = ticket["upload_url"]
                    async with storage.put(url, data=file, headers=typed) as answer:
                        assert answer.status == 200
                        await answer.read()

            with run.timed() as took:
                await each(paths, one)
        return _rate(took, paths)


def guides_loop(run: Run, *, kept: bool = False) -> float:
    with _measuring(run, SMALL, 500 if kept else 300) as (server, paths):
        import requests

        with requests.Session() as session, run.timed() as took:
            client = session if kept else requests
            for path in paths:
                ask = f"{server['url']}/upload"
                ticket = client.post(ask, json={"filename": path.name}, headers=TOKEN).json()
                typed = {"Content-Type": ticket["content_type"]}
                url = ticket["upload_url"]
                client.put(url, data=path.read_bytes(), headers=typed).raise_for_status()
        return _rate(took, paths)


def _cases(size: int, count: int, few: int) -> dict[str, Callable[[Run], float | Awaitable[float]]]:
    return {
        OURS: partial(put, size=size, count=count),
        AIOHTTP: partial(aiohttp_open_file, size=size, count=count),
        LOOP: partial(requests_put, size=size, count=few),
        SESSION: partial(requests_put, size=size, count=few, kept=True),
        THREADS: partial(requests_threads, size=size, count=few),
        HTTPX: partial(httpx_bytes, size=size, count=few),
        CURL: partial(pycurl_threads, size=size, count=count),
    }


_ABOUT = (
    "PUT with Content-Length to nginx, which reads the body to its end before it answers; files in "
    "the page cache. No presigning: the URL is known."
)

FIGURES = (
    Figure(
        key="large",
        title="Uploads of 2 MB over TLS, 16 connections",
        unit="files/s",
        cases=_cases(LARGE, 400, 120),
        bars=(
            Bar(OURS, of=AIOHTTP, at_least=1.3),
            Bar(OURS, of=LOOP, at_least=2.0),
            Bar(OURS, column="connections", at_most=CONNECTIONS),
        ),
        about=_ABOUT,
    ),
    Figure(
        key="small",
        title="Uploads of 20 KB over TLS, 16 connections",
        unit="files/s",
        cases=_cases(SMALL, 5_000, 500),
        bars=(
            Bar(OURS, of=AIOHTTP, at_least=1.8),
            Bar(OURS, of=SESSION, at_least=3.0),
            Bar(OURS, column="connections", at_most=CONNECTIONS),
        ),
        about=_ABOUT,
    ),
    Figure(
        key="both",
        title="Both calls of an upload, 20 KB over TLS, 16 at once",
        unit="files/s",
        cases={
            OURS: upload_many,
            AIOHTTP: aiohttp_both,
            LOOP: guides_loop,
            SESSION: partial(guides_loop, kept=True),
        },
        bars=(Bar(OURS, of=LOOP, at_least=2.0),),
        about="`POST /upload`, then the PUT, as `upload_many` does it. nginx answers at once.",
    ),
)
