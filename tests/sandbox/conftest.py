"""A bare HTTP program against a sandbox of its own; nothing of the client is used."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import attrs
import pytest
from yarl import URL

from piktid_async.sandbox import Sandbox

Answer = tuple[int, Any]


class Stream:
    """Reads an event stream block by block: `(event name, data)`, or a bare comment."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def block(self) -> str:
        async with asyncio.timeout(5):
            return (await self.response.content.readuntil(b"\n\n")).decode()

    async def next(self) -> tuple[str, Any]:
        """Return the next event; comments are passed over."""
        while True:
            lines = (await self.block()).strip().split("\n")
            fields = dict(line.split(":", 1) for line in lines if not line.startswith(":"))
            if fields:
                return fields.get("event", "").strip(), json.loads(fields["data"])

    async def live(self) -> Any:
        """Return the next live notification."""
        while True:
            event, data = await self.next()
            if event == "":
                return data

    async def synced(self) -> list[Any]:
        """Return the backfill, once it is complete."""
        backfill = []
        while True:
            event, data = await self.next()
            if event == "backfill_complete":
                assert data == {}
                return backfill
            assert event == "backfill"
            backfill.append(data)

    async def until_ended(self, job_id: str) -> list[Any]:
        """Return the live notifications of a job up to its terminal one."""
        notes = []
        while True:
            note = await self.live()
            if note["data"].get("id_task") != job_id:
                continue
            notes.append(note)
            if note["name"] == "batch_edit" and note["data"]["status"] in ("completed", "failed"):
                return notes

    async def rest(self) -> bytes:
        """Read to the end, however the connection ends; return what came."""
        received = b""
        try:
            async with asyncio.timeout(5):
                async for chunk in self.response.content.iter_any():
                    received += chunk
        except aiohttp.ClientError:
            pass
        return received


@attrs.define
class Caller:
    """A program that talks to one sandbox."""

    sandbox: Sandbox
    http: aiohttp.ClientSession
    _stack: AsyncExitStack

    async def call(self, method: str, path: str, **more: Any) -> Answer:
        more.setdefault("headers", {"Authorization": f"Bearer {self.sandbox.token}"})
        async with self.http.request(method, self.sandbox.url + path, **more) as response:
            return response.status, await response.json()

    async def get(self, path: str, **params: Any) -> Answer:
        return await self.call("GET", path, params=params)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.call("POST", path, json=body)

    async def put(
        self,
        url: str,
        content: Any = b"pixels",
        content_type: str = "image/jpeg",
        **headers: str,
    ) -> tuple[int, str]:
        headers = {"Content-Type": content_type, **headers}
        target = URL(url, encoded=True)
        async with self.http.put(target, data=content, headers=headers) as response:
            return response.status, await response.text()

    async def fetch(self, url: str) -> tuple[int, bytes]:
        async with self.http.get(URL(url, encoded=True)) as response:
            return response.status, await response.read()

    async def ticket(self, **body: Any) -> Any:
        status, ticket = await self.post("/upload", {"filename": "shirt.jpg", **body})
        assert status == 200
        return ticket

    async def upload(self, content: bytes = b"pixels", filename: str = "shirt.jpg") -> str:
        ticket = await self.ticket(filename=filename)
        status, _ = await self.put(ticket["upload_url"], content, ticket["content_type"])
        assert status == 200
        file_id: str = ticket["file_id"]
        return file_id

    async def project(self) -> str:
        _, body = await self.post("/project", {"project_name": "spring"})
        key: str = body["project_id"]
        return key

    async def wanted(self, **changes: Any) -> dict[str, Any]:
        """Return a body that `POST /garment-recolor` accepts, with `changes`."""
        body = {
            "project_id": await self.project(),
            "images": [await self.upload()],
            "reference_text": "forest green",
        }
        return body | changes

    async def submit(self, **changes: Any) -> Any:
        status, body = await self.post("/garment-recolor", await self.wanted(**changes))
        assert status == 202, body
        return body

    async def run(self, path: str, body: Any) -> str:
        """Run any batch job to its end and return its id."""
        stream = await self.stream()
        status, answer = await self.post(path, body)
        assert status == 202, answer
        job_id: str = answer["job_id"]
        await stream.until_ended(job_id)
        stream.response.close()
        return job_id

    async def generate(self, **body: Any) -> tuple[str, list[Any]]:
        """Run one Image Playground generation; return the job's id and its image results."""
        stream = await self.stream()
        await stream.synced()
        status, answer = await self.post("/edit-chat", body)
        assert status == 202, answer
        notes = []
        while len(notes) < body.get("num_variations", 1):
            note = await stream.live()
            if note["name"] == "image_result" and note["data"]["id_task"] == answer["job_id"]:
                notes.append(note["data"])
        stream.response.close()
        job_id: str = answer["job_id"]
        return job_id, notes

    async def results(self, job_id: str) -> Any:
        """Return the results of a job."""
        status, body = await self.get(f"/jobs/{job_id}/results")
        assert status == 200, body
        return body

    async def stream(self, **params: str) -> Stream:
        response = await self.http.get(
            f"{self.sandbox.url}/notifications/events",
            params=params,
            headers={"Authorization": f"Bearer {self.sandbox.token}"},
        )
        self._stack.callback(response.close)
        assert response.status == 200, await response.text()
        return Stream(response)

    async def finished(self, **changes: Any) -> str:
        """Run a job to its end and return its id."""
        stream = await self.stream()
        job = await self.submit(**changes)
        job_id: str = job["job_id"]
        await stream.until_ended(job_id)
        stream.response.close()
        return job_id


Start = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start sandboxes that render nothing and wait for nothing, unless told otherwise."""
    async with AsyncExitStack() as stack:

        async def start_one(**options: Any) -> Caller:
            options = {"render": False, "seconds_per_image": 0.0, "limits": None, **options}
            sandbox = await stack.enter_async_context(Sandbox(**options))
            http = await stack.enter_async_context(aiohttp.ClientSession())
            return Caller(sandbox, http, stack)

        yield start_one


@pytest.fixture
async def caller(start: Start) -> Caller:
    return await start()
