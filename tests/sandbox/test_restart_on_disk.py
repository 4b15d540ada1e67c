"""A sandbox whose process is killed, and another one that goes on with its folder."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.ledger import StateError
from piktid_async.sandbox.rendering import PLAIN_JPEG

SERVER = """
import asyncio, sys
from piktid_async.sandbox import Sandbox

async def main():
    sandbox = Sandbox(
        state=sys.argv[1], port=int(sys.argv[2]), render=False, limits=None, seconds_per_image=0.05
    )
    async with sandbox:
        print(sandbox.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def server(folder: Path, port: int = 0) -> AsyncIterator[aiohttp.ClientSession]:
    """Run a sandbox in a process of its own, and kill that without a word."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(folder), str(port)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().strip()
        headers = {"Authorization": "Bearer sandbox-token"}
        async with aiohttp.ClientSession(url, headers=headers) as client:
            yield client
    finally:
        process.kill()
        await process.communicate()


async def get(client: aiohttp.ClientSession, path: str, **params: str) -> Any:
    async with client.get(path, params=params) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def post(client: aiohttp.ClientSession, path: str, body: Any) -> Any:
    async with client.post(path, json=body) as response:
        assert response.status in (200, 201, 202), await response.text()
        return await response.json()


async def fetch(url: str) -> bytes:
    async with aiohttp.ClientSession() as bare, bare.get(URL(url, encoded=True)) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def upload(client: aiohttp.ClientSession) -> Any:
    ticket = await post(client, "/upload", {"filename": "shirt.jpg"})
    kind = {"Content-Type": ticket["content_type"]}
    async with aiohttp.ClientSession() as bare:
        target = URL(ticket["upload_url"], encoded=True)
        async with bare.put(target, data=b"pixels", headers=kind) as response:
            assert response.status == 200
    return ticket


async def notes(client: aiohttp.ClientSession) -> Any:
    return await post(client, "/notifications", {"name_list": ["batch_edit", "image_result"]})


async def told(client: aiohttp.ClientSession) -> AsyncGenerator[Any, None]:
    """Read the event stream: what is outstanding, then what happens."""
    async with client.get("/notifications/events") as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


async def test_fifty_jobs_end_after_the_process_was_killed_twice(tmp_path):
    async with server(tmp_path / "state") as client:
        project = (await post(client, "/project", {"project_name": "spring"}))["project_id"]
        ticket = await upload(client)
        token = (await post(client, "/auth/token", {"expiration": 3600}))["token"]
        wanted = {
            "project_id": project,
            "images": [ticket["file_id"]],
            "reference_text": "green",
            "num_variations": 3,
        }
        made = await asyncio.gather(*(post(client, "/garment-recolor", wanted) for _ in range(50)))
        job_ids = {answer["job_id"] for answer in made}
        async with aclosing(told(client)) as events:
            async for note in events:
                if note["name"] == "image_result":
                    break
        first = (await notes(client))[0]["id"]
        async with client.delete(f"/notifications/{first}") as response:
            assert response.status == 200
        port = URL(str(client._base_url)).port or 0

    async with server(tmp_path / "state") as client:
        assert URL(str(client._base_url)).port == port
        before = {note["id"]: note for note in await notes(client)}
        assert first not in before

    async with server(tmp_path / "state") as client:
        client.headers["Authorization"] = f"Bearer {token}"
        waiting = set(job_ids)
        async with aclosing(told(client)) as events:
            async for note in events:
                if note["name"] == "batch_edit" and note["data"]["status"] == "completed":
                    waiting.remove(note["data"]["id_task"])
                if not waiting:
                    break
        after = {note["id"]: note for note in await notes(client)}
        assert before.items() <= after.items()
        ended = [
            note["data"]["id_task"]
            for note in after.values()
            if note["name"] == "batch_edit" and note["data"]["status"] == "completed"
        ]
        assert sorted(ended) == sorted(job_ids)
        usage = await get(client, "/billing/usage/sandbox")
        assert usage["total_credits"] == 50 * 3 * 5.0
        assert usage["members"][0]["job_count"] == 50
        for job_id in job_ids:
            for item in (await get(client, f"/jobs/{job_id}/results"))["results"]:
                assert item["status"] == "completed"
        for note in list(after.values())[:5]:
            if note["name"] == "image_result":  # a link from before the kill
                assert await fetch(note["data"]["output_link"]) == PLAIN_JPEG
        assert await fetch(ticket["download_url"]) == b"pixels"
        assert await post(client, "/garment-recolor", wanted)


async def test_all_that_the_account_holds_is_kept(start, tmp_path):
    first = await start(state=tmp_path, credits=100.0, vtryon_seconds=0.0)
    preset = {"name": "Calm", "type": "model_swap", "instruction_data": {"pose": "standing"}}
    _, category = await first.post("/preset/categories", {"name": "Poses"})
    _, kept = await first.post("/preset", preset | {"category_ids": [category["id"]]})
    known = f"{first.sandbox.email}:{first.sandbox.password}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(known).decode()}"}
    _, pair = await first.call("POST", "/auth/login", headers=basic)
    job_id = await first.finished()
    _, link = await first.post("/download", {"job_id": job_id})
    hook = {"url": "http://127.0.0.1:9/hook"}
    await first.call("PUT", "/webhooks", json=hook)
    form = aiohttp.FormData({"name": "Ada"})
    form.add_field("image", PLAIN_JPEG, filename="ada.jpg", content_type="image/jpeg")
    _, identity = await first.call("POST", "/identity/upload", data=form)
    code = identity["identity_code"]
    while (await first.get(f"/identity/{code}/status"))[1]["preprocessing_status"] != "completed":
        pass
    books = first.sandbox.books
    acknowledged = books.notifications_outstanding[0]
    await first.call("DELETE", f"/notifications/{acknowledged}")
    first.sandbox.faults.drop_events = 1
    dropped = first.sandbox.emit("batch_edit", {})
    outstanding = books.notifications_outstanding
    await first.sandbox.stop()

    second = await start(state=tmp_path, vtryon_seconds=0.0)
    books = second.sandbox.books
    assert second.sandbox.url == first.sandbox.url
    assert books.credits_left == 100.0 - 5.0
    assert books.credits_charged == 5.0
    assert books.notifications_outstanding == outstanding
    assert books.acknowledged == (acknowledged,)
    assert books.notifications_gone == {dropped: "dropped"}
    assert second.sandbox.emit("batch_edit", {}) > dropped
    assert (await second.get(f"/preset/{kept['preset_code']}"))[1]["name"] == "Calm"
    assert (await second.get(f"/identity/{code}"))[1]["name"] == "Ada"
    login = {"Authorization": f"Bearer {pair['token']}"}
    assert (await second.call("GET", "/project", headers=login))[0] == 200
    assert (await second.fetch(link["download_url"]))[0] == 200
    assert (await second.call("PUT", "/webhooks", json=hook))[1]["id"] == 1


async def test_jobs_of_every_kind_are_kept_and_go_on(start, tmp_path):
    kinds = {
        "/garment-recolor": {"reference_text": "green", "post_process": True},
        "/create-packshot": {"instructions": [{"style": "white_cutout"}]},
        "/flat-2-model": {
            "identity_code": "default-pro-00000001",
            "instructions": [{"pose": {"text": "walking"}, "mood": 4}],
        },
        "/model-swap": {"identity_code": "default-pro-00000001"},
        "/edit-chat": {"prompt": "a lake", "num_variations": 2},
        "/identity/create": {"instructions": [{"hair": {"color": "red"}, "num_variations": 2}]},
    }
    first = await start(state=tmp_path, seconds_per_image=60.0, vtryon_seconds=60.0)
    wanted = await first.wanted()
    common = {"project_id": wanted["project_id"], "images": wanted["images"]}
    for path, body in kinds.items():
        own = {} if path in ("/edit-chat", "/identity/create") else common
        status, answer = await first.post(path, own | body)
        assert status == 202, answer
    look = {"pose_image_generation_id": 936, "color_changes": [{"target": "top", "color": "red"}]}
    recolors = f"{first.sandbox.vtryon_url}/v4/models/multipose-image-recolor/"
    key = {"x-api-key": first.sandbox.vtryon_key}
    async with first.http.post(recolors, json=look, headers=key) as response:
        number = (await response.json())["id"]
    before = first.sandbox.books
    await first.sandbox.stop()

    second = await start(state=tmp_path, vtryon_seconds=0.0)
    books = second.sandbox.books
    assert list(books.jobs) == list(before.jobs)
    async with asyncio.timeout(10):
        while books.active_jobs or any(
            each.successful < each.total_images for each in books.jobs.values()
        ):
            await second.get("/project")
        while books.vtryon.tasks[number] != "completed":
            await second.get("/project")
    assert {each.status for each in books.jobs.values()} == {"completed"}
    assert [(each.kind, each.total_images) for each in books.jobs.values()] == [
        (each.kind, each.total_images) for each in before.jobs.values()
    ]
    assert {each.project_name for each in books.jobs.values()} == {"spring", ""}

    await second.sandbox.stop()
    third = await start(state=tmp_path)
    assert third.sandbox.books.jobs == books.jobs
    assert third.sandbox.books.credits_charged == books.credits_charged
    assert third.sandbox.books.vtryon.tasks == {number: "completed"}


async def test_a_folder_serves_one_sandbox_at_a_time(start, tmp_path):
    await start(state=tmp_path)
    with pytest.raises(StateError, match="end the sandbox that runs on it, or choose another"):
        await Sandbox(state=tmp_path).start()


async def test_half_an_upload_is_swept_away(start, tmp_path):
    first = await start(state=tmp_path)
    file_id = await first.upload(b"whole")
    await first.sandbox.stop()
    (tmp_path / "files" / "half").write_bytes(b"ha")
    second = await start(state=tmp_path)
    assert len(list((tmp_path / "files").iterdir())) == 1
    assert (await second.fetch((await second.get(f"/assets/{file_id}"))[1]["url"]))[1] == b"whole"


async def test_an_asset_that_was_deleted_stays_deleted(start, tmp_path):
    first = await start(state=tmp_path)
    file_id = await first.upload()
    await first.post("/assets/bulk-delete", {"asset_ids": [file_id]})
    await first.sandbox.stop()
    assert (await (await start(state=tmp_path)).get(f"/assets/{file_id}"))[0] == 404


class Hostile:
    def __reduce__(self) -> Any:
        return print, ("this text must not be printed",)


@pytest.mark.parametrize("blob", [pickle.dumps(Hostile()), b"no pickle", pickle.dumps(Path())])
async def test_a_folder_that_was_tampered_with_runs_nothing(tmp_path, capsys, blob):
    async with Sandbox(state=tmp_path, render=False):
        pass
    database = sqlite3.connect(tmp_path / "state.sqlite")
    with database:
        database.execute("INSERT INTO objects VALUES ('job', 'job_1', ?)", (blob,))
    database.close()
    with pytest.raises(StateError, match="choose another folder"):
        await Sandbox(state=tmp_path).start()
    assert "printed" not in capsys.readouterr().out


async def test_a_folder_of_another_version_or_no_folder_is_refused(tmp_path):
    database = sqlite3.connect(tmp_path / "state.sqlite")
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(StateError, match="another version"):
        await Sandbox(state=tmp_path).start()
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot be made"):
        await Sandbox(state=tmp_path / "file").start()
