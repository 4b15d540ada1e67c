"""The server goes away in the middle of everything, and comes back with the same state."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG

VTRYON = "/v4/models/multipose-image-recolor/"


async def ended(caller: Any, job_ids: Any) -> list[Any]:
    """Return the last statuses of jobs."""
    stream = await caller.stream()  # each job's end is replayed, or still to come
    waiting, last = set(job_ids), []
    while waiting:
        _, data = await stream.next()
        job_id = data.get("data", {}).get("id_task")
        if job_id not in waiting or data["name"] != "batch_edit":
            continue
        if data["data"]["status"] in ("completed", "failed"):
            waiting.remove(job_id)
            last.append((await caller.get(f"/jobs/{job_id}/status"))[1])
    stream.response.close()
    return last


async def test_fifty_running_jobs_end_after_a_restart_and_are_charged_once(start):
    caller = await start(faults=Faults(images_stuck=1000))
    faults, url = caller.sandbox.faults, caller.sandbox.url
    stream = await caller.stream()
    body = await caller.wanted(num_variations=2)
    answers = await asyncio.gather(*(caller.post("/garment-recolor", body) for _ in range(50)))
    job_ids = [answer["job_id"] for _, answer in answers]
    while faults.counts["images_stuck"] < 50:
        await stream.live()
    books = caller.sandbox.books
    faults.images_stuck = 0
    await caller.sandbox.restart()
    assert books.active_jobs == 50
    assert caller.sandbox.url == url
    await stream.rest()

    statuses = await ended(caller, job_ids)
    assert {(each["status"], each["progress"]) for each in statuses} == {("completed", 100)}
    assert books.jobs_created == 50
    assert books.credits_charged == 50 * 2 * 5.0
    for job_id in job_ids[:3]:
        for item in (await caller.results(job_id))["results"]:
            assert (await caller.fetch(item["output"]["full_size"])) == (200, PLAIN_JPEG)


async def test_a_killed_server_resets_and_refuses_until_it_is_started(caller):
    sandbox = caller.sandbox
    stream = await caller.stream()
    await stream.synced()
    ticket = await caller.ticket()
    await sandbox.kill()
    with pytest.raises(aiohttp.ClientError):
        await stream.response.content.read()
    for url in (sandbox.url, sandbox.vtryon_url, ticket["upload_url"]):
        with pytest.raises(aiohttp.ClientConnectorError):
            await caller.fetch(url)
    await sandbox.kill()
    await sandbox.start()
    with pytest.raises(RuntimeError, match="started once"):
        await sandbox.start()
    assert (await caller.put(ticket["upload_url"]))[0] == 200
    assert sandbox.books.open_streams == 0
    await sandbox.kill()
    await sandbox.stop()
    with pytest.raises(RuntimeError, match="started once"):
        await sandbox.start()


async def test_nothing_is_killed_before_the_start():
    sandbox = Sandbox(render=False)
    await sandbox.kill()
    async with sandbox:
        assert sandbox.books.jobs_created == 0


async def test_the_server_may_restart_as_a_fault_while_jobs_run(start):
    caller = await start(
        seconds_per_image=0.02, faults=Faults(restarts=1, down_seconds=0.05, on="GET /project")
    )
    job_ids = [(await caller.submit(num_variations=3))["job_id"]]
    with pytest.raises(aiohttp.ClientError):
        await caller.get("/project")
    async with asyncio.timeout(5):
        while True:
            try:
                (status,) = await ended(caller, job_ids)
            except aiohttp.ClientError:
                await asyncio.sleep(0)
            else:
                break
    assert status["status"] == "completed"
    assert caller.sandbox.faults.counts["restarts"] == 1


async def test_a_restart_that_is_waited_for_ends_with_the_sandbox(start):
    caller = await start(faults=Faults(restarts=1, down_seconds=60.0))
    with pytest.raises(aiohttp.ClientError):
        await caller.post("/project", {"project_name": "spring"})
    await caller.sandbox.stop()


async def test_its_user_may_be_quicker_than_the_fault(start):
    caller = await start(faults=Faults(restarts=1, down_seconds=0.05))
    with pytest.raises(aiohttp.ClientError):
        await caller.post("/project", {"project_name": "spring"})
    await caller.sandbox.kill()
    await caller.sandbox.start()
    assert (await caller.get("/project"))[0] == 200


async def test_each_kind_of_work_goes_on(start):
    caller = await start(seconds_per_image=0.05, post_process_seconds=0.05, vtryon_seconds=0.06)
    sandbox = caller.sandbox
    finished = await caller.finished()
    await caller.post(f"/jobs/{finished}/regenerate/0", {})
    _, talk = await caller.post("/edit-chat", {"prompt": "a lake", "num_variations": 2})
    await caller.post("/edit-chat", {"prompt": "at night", "conversation_id": talk["job_id"]})
    processed = (await caller.submit(options={"post_process": True}))["job_id"]
    form = aiohttp.FormData({"name": "Ada"})
    form.add_field("image", PLAIN_JPEG, filename="ada.jpg", content_type="image/jpeg")
    _, identity = await caller.call("POST", "/identity/upload", data=form)
    key = {"x-api-key": sandbox.vtryon_key}
    wanted = {
        "pose_image_generation_id": 936,
        "color_changes": [{"target": "blouse", "color": "blue"}],
    }
    async with caller.http.post(sandbox.vtryon_url + VTRYON, json=wanted, headers=key) as made:
        task = (await made.json())["id"]
    await sandbox.restart()

    async with asyncio.timeout(5):
        while not await all_done(caller, finished, talk["job_id"], processed, identity):
            pass
        while sandbox.books.vtryon.tasks[task] != "completed":
            await caller.get("/project")
    assert sandbox.books.jobs[talk["job_id"]].successful == 3
    assert sandbox.books.credits_charged == sum(
        facts.credits_used for facts in sandbox.books.jobs.values()
    )


async def all_done(caller: Any, remade: str, talk: str, processed: str, identity: Any) -> bool:
    _, versions = await caller.get(f"/jobs/{remade}/versions/0")
    _, prepared = await caller.get(f"/identity/{identity['identity_code']}/status")
    _, status = await caller.get(f"/jobs/{processed}/status")
    return (
        [each["status"] for each in versions["versions"]] == ["completed"] * 2
        and caller.sandbox.books.jobs[talk].successful == 3
        and prepared["preprocessing_status"] == "completed"
        and status["post_processing_status"] == "completed"
    )


async def test_the_webhook_gets_what_it_has_missed(start):
    caller = await start()
    delivered: list[int] = []
    shut = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        delivered.append((await request.json())["id"])
        if not shut.is_set():
            await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    await caller.call("PUT", "/webhooks", json={"url": f"http://127.0.0.1:{port}/hook"})
    missed = [caller.sandbox.emit("batch_edit", {"id_task": "job_1"}) for _ in range(3)]
    await caller.sandbox.kill()
    shut.set()
    await caller.sandbox.start()
    await caller.sandbox.webhooks_idle()
    assert list(caller.sandbox.books.webhooks_delivered) == missed
    await runner.cleanup()
