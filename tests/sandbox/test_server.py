from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from piktid_async.sandbox import Faults, Sandbox


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    """Have temporary directories made where the test can look."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def test_it_stops_at_once_with_jobs_running_and_streams_open(start, scratch):
    threads = set(threading.enumerate())
    caller = await start(seconds_per_image=60.0, faults=Faults(submit_delay=60.0))
    streams = [await caller.stream() for _ in range(3)]
    body = await caller.wanted()
    ticket = await caller.ticket()

    async def never_ending():
        yield b"x"
        await asyncio.Event().wait()

    tasks = [
        asyncio.create_task(caller.post("/garment-recolor", body)),
        asyncio.create_task(
            caller.put(ticket["upload_url"], never_ending(), **{"Content-Length": "9"})
        ),
    ]
    for stream in streams:
        assert (await stream.live())["data"]["status"] == "processing"
    mine = {asyncio.current_task(), *tasks}
    assert any(scratch.iterdir())

    began = time.monotonic()
    await caller.sandbox.stop()
    assert time.monotonic() - began < 0.5
    assert asyncio.all_tasks() <= mine

    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, aiohttp.ClientError) for error in ended), ended
    for stream in streams:
        await stream.rest()
    assert not any(scratch.iterdir())
    assert set(threading.enumerate()) <= threads
    with pytest.raises(aiohttp.ClientConnectorError):
        await caller.get("/project")
    await caller.http.close()
    gc.collect()


async def test_a_listener_that_does_not_read_is_not_waited_for(start):
    caller = await start()
    address = urlsplit(caller.sandbox.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=1024)
    writer.write(
        b"GET /notifications/events HTTP/1.1\r\nHost: sandbox\r\n"
        b"Authorization: Bearer sandbox-token\r\n\r\n"
    )
    await reader.readuntil(b"data:{}\n\n")
    size = 50_000_000
    caller.sandbox.emit("batch_edit", {"padding": "x" * size})
    await reader.readuntil(b"data: ")  # the server is writing, and stuck

    began = time.monotonic()
    await caller.sandbox.stop()
    assert time.monotonic() - began < 0.5
    received = 0
    with suppress(ConnectionError):
        while chunk := await reader.read(1_000_000):
            received += len(chunk)
    assert received < size
    writer.close()


async def test_an_upload_whose_client_goes_away_leaves_no_file(start, scratch):
    caller = await start()
    ticket = await caller.ticket()
    address = urlsplit(ticket["upload_url"])
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    (directory,) = scratch.iterdir()
    writer.write(
        f"PUT {address.path}?{address.query} HTTP/1.1\r\nHost: sandbox\r\n"
        "Content-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nhalf".encode()
    )
    async with asyncio.timeout(2):
        while not any(directory.iterdir()):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        writer.transport.abort()
        while any(directory.iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_the_books_can_be_read_after_the_stop(caller):
    job_id = await caller.finished()
    await caller.sandbox.stop()
    assert caller.sandbox.books.jobs[job_id].status == "completed"
    assert caller.sandbox.books.api_requests["POST /garment-recolor"] == 1


async def test_an_end_of_the_server_is_a_clean_end_of_its_streams(caller):
    stream = await caller.stream()
    await stream.synced()
    await caller.sandbox.stop()
    assert await stream.response.content.read() == b""


async def test_it_is_started_once_and_stopped_any_number_of_times():
    sandbox = Sandbox(render=False)
    with pytest.raises(RuntimeError, match="before it is started"):
        _ = sandbox.url
    await sandbox.stop()
    await sandbox.start()
    await sandbox.stop()
    await sandbox.stop()
    with pytest.raises(RuntimeError, match="started once"):
        await sandbox.start()


async def test_a_port_that_is_taken_leaves_nothing_open(caller, scratch):
    port = int(caller.sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await Sandbox(port=port).start()
    assert not any(scratch.iterdir())


def test_it_can_be_built_outside_a_loop_and_leaves_nothing_when_unused(scratch):
    Sandbox()
    gc.collect()
    assert not any(scratch.iterdir())


async def test_two_sandboxes_share_nothing(start):
    one, two = await start(), await start(token="another")
    job_id = await one.finished()
    one.sandbox.faults.stream_refuse = True
    assert two.sandbox.books.jobs_created == 0
    assert two.sandbox.books.api_requests == {}
    assert (await two.get(f"/jobs/{job_id}/status"))[0] == 404
    await two.stream()
    assert two.sandbox.faults.counts == {}


async def test_requests_are_counted_by_route(caller):
    job_id = await caller.finished()
    for _ in range(2):
        await caller.get(f"/jobs/{job_id}/status")
    await caller.get("/nowhere")
    requests = caller.sandbox.books.api_requests
    assert requests["GET /jobs/{job_id}/status"] == 2
    assert requests["POST /garment-recolor"] == 1
    assert requests["GET (unknown)"] == 1


@pytest.mark.parametrize(
    "wrong",
    [{"credits": -1.0}, {"url_life": 0.0}, {"keepalive": 0.0}, {"max_size": 0}],
)
def test_a_setting_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sandbox(**wrong)


def test_a_fault_out_of_range_is_refused_also_while_it_runs():
    faults = Faults()
    with pytest.raises(ValueError, match="acks_fail"):
        faults.acks_fail = -1


async def test_a_hundred_jobs_at_once(start):
    caller = await start()
    stream = await caller.stream()
    body = await caller.wanted(num_variations=2)
    answers = await asyncio.gather(*(caller.post("/garment-recolor", body) for _ in range(100)))
    waiting = {answer["job_id"] for _, answer in answers}
    assert len(waiting) == 100
    while waiting:
        note = await stream.live()
        if note["data"]["status"] == "completed" and note["name"] == "batch_edit":
            waiting.remove(note["data"]["id_task"])
    assert caller.sandbox.books.credits_charged == 100 * 2 * 5.0
    assert caller.sandbox.books.active_jobs == 0
