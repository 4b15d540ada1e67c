from __future__ import annotations

import asyncio

import pytest

from piktid_async.sandbox import Faults


def foreign(task: str = "theirs", **more):
    return {"id_task": task, "status": "processing", **more}


async def test_the_stream_looks_as_documented_byte_by_byte(start):
    caller = await start(keepalive=0.02)
    first = caller.sandbox.emit("batch_edit", {"id_task": "a"})
    stream = await caller.stream()
    assert stream.response.content_type == "text/event-stream"
    backfill = await stream.block()
    assert backfill.startswith(f'event: backfill\ndata: {{"id":{first},"name":"batch_edit",')
    assert await stream.block() == "event: backfill_complete\ndata:{}\n\n"
    assert await stream.block() == ":keepalive\n\n"
    second = caller.sandbox.emit("image_result", {"id_task": "a"})
    while (live := await stream.block()) == ":keepalive\n\n":
        pass
    assert live.startswith(f'data: {{"id":{second},"name":"image_result","timestamp":')
    assert live.endswith(',"data":{"id_task":"a"}}\n\n')


async def test_silence_is_filled_with_keepalives_and_traffic_is_not(start):
    caller = await start(keepalive=0.02)
    stream = await caller.stream()
    await stream.synced()
    before = asyncio.get_running_loop().time()
    for _ in range(3):
        assert await stream.block() == ":keepalive\n\n"
    assert asyncio.get_running_loop().time() - before >= 0.06


async def test_backfill_is_what_was_not_deleted_oldest_first(caller):
    ids = [caller.sandbox.emit("batch_edit", foreign()) for _ in range(3)]
    status, _ = await caller.call("DELETE", f"/notifications/{ids[1]}")
    assert status == 200
    stream = await caller.stream()
    assert [note["id"] for note in await stream.synced()] == [ids[0], ids[2]]


async def test_every_stream_sees_every_event_also_one_that_another_deletes(caller):
    streams = [await caller.stream() for _ in range(2)]
    for stream in streams:
        await stream.synced()
    note_id = caller.sandbox.emit("batch_edit", foreign())
    assert (await streams[0].live())["id"] == note_id
    assert (await caller.call("DELETE", f"/notifications/{note_id}"))[0] == 200
    assert (await streams[1].live())["id"] == note_id
    assert caller.sandbox.books.stream_connections == 2
    assert caller.sandbox.books.open_streams == 2


async def test_nothing_falls_between_backfill_and_live(start):
    caller = await start()
    seen = [caller.sandbox.emit("batch_edit", foreign()) for _ in range(500)]
    stream = await caller.stream()
    later = [caller.sandbox.emit("batch_edit", foreign()) for _ in range(500)]
    got = [note["id"] for note in await stream.synced()]
    while len(got) < 1000:
        got.append((await stream.live())["id"])
    assert got == seen + later


async def test_what_is_older_than_the_retention_is_gone(start):
    caller = await start(retention=0.05)
    old = caller.sandbox.emit("batch_edit", foreign())
    await asyncio.sleep(0.06)
    assert caller.sandbox.books.notifications_outstanding == ()
    assert await (await caller.stream()).synced() == []
    new = caller.sandbox.emit("batch_edit", foreign())
    assert [note["id"] for note in await (await caller.stream()).synced()] == [new]
    assert (await caller.call("DELETE", f"/notifications/{old}"))[0] == 404


async def test_a_deleted_notification_is_gone_and_booked(caller):
    note_id = caller.sandbox.emit("batch_edit", foreign())
    assert caller.sandbox.books.notifications_outstanding == (note_id,)
    status, body = await caller.call("DELETE", f"/notifications/{note_id}")
    assert (status, body["success"]) == (200, True)
    assert caller.sandbox.books.acknowledged == (note_id,)
    assert caller.sandbox.books.notifications_outstanding == ()
    for gone in (note_id, 999, "x", "²"):
        assert (await caller.call("DELETE", f"/notifications/{gone}"))[0] == 404


async def test_the_token_may_come_in_the_query_of_the_stream_alone(caller):
    query = {"token": caller.sandbox.token}
    url = f"{caller.sandbox.url}/notifications/events"
    async with caller.http.get(url, params=query) as response:
        assert response.status == 200
    async with caller.http.get(url, params={"token": "wrong"}) as response:
        assert response.status == 401
    assert (await caller.call("GET", "/project", params=query, headers={}))[0] == 401


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"id_task": "b"}, [1, 3]),
        ({"id_task": "a,c"}, [0, 2]),
        ({"name_list": "image_result"}, [2, 3]),
        ({"name_list": "image_result,ping"}, [2, 3]),
        ({"id_image": "7"}, [3]),
        ({"id_task": "b", "name_list": "batch_edit"}, [1]),
        ({"id_task": "nobody"}, []),
    ],
)
async def test_filters_hold_for_backfill_and_live(caller, query, wanted):
    events = [
        ("batch_edit", {"id_task": "a"}),
        ("batch_edit", {"id_task": "b"}),
        ("image_result", {"id_task": "c", "image_index": 1}),
        ("image_result", {"id_task": "b", "image_index": 7}),
    ]
    first = [caller.sandbox.emit(name, data) for name, data in events]
    stream = await caller.stream(**query)
    assert [note["id"] for note in await stream.synced()] == [first[index] for index in wanted]
    again = [caller.sandbox.emit(name, data) for name, data in events]
    for index in wanted:
        assert (await stream.live())["id"] == again[index]


async def test_polling_answers_an_array(caller):
    one = caller.sandbox.emit("batch_edit", {"id_task": "a"})
    two = caller.sandbox.emit("image_result", {"id_task": "b"})

    async def polled(body):
        status, notes = await caller.post("/notifications", body)
        assert status == 200
        return [note["id"] for note in notes]

    assert await polled({"name_list": "batch_edit"}) == [one]
    assert await polled({"name_list": ["batch_edit", "image_result"]}) == [one, two]
    assert await polled({"name_list": ["batch_edit", "image_result"], "id_task": ["b"]}) == [two]
    status, body = await caller.post("/notifications", {"id_task": ["a"]})
    assert status == 400
    assert body["detail"][0]["field"] == "name_list"


async def test_cut_streams_hangs_up_on_all(caller):
    streams = [await caller.stream() for _ in range(3)]
    for stream in streams:
        await stream.synced()
    await caller.sandbox.cut_streams()
    assert caller.sandbox.books.open_streams == 0
    for stream in streams:
        assert await stream.rest() == b""
    await caller.stream()
    assert caller.sandbox.books.stream_connections == 4


async def test_stopped_streams_are_refused_until_they_are_allowed(caller):
    stream = await caller.stream()
    await stream.synced()
    await caller.sandbox.stop_streams()
    assert await stream.rest() == b""
    assert (await caller.get("/notifications/events"))[0] == 503
    assert caller.sandbox.books.stream_connections == 1
    caller.sandbox.allow_streams()
    await caller.stream()
    assert caller.sandbox.faults.counts == {"stream_refuse": 1}


async def test_a_listener_that_leaves_is_forgotten(caller):
    stream = await caller.stream()
    await stream.synced()
    stream.response.close()
    async with asyncio.timeout(2):
        while caller.sandbox.books.open_streams:  # noqa: ASYNC110 - known a few steps later
            await asyncio.sleep(0)


@pytest.mark.parametrize("limit", [1, 2])
async def test_fault_stream_cut_after_events_counts_backfill_and_live(start, limit):
    caller = await start(faults=Faults(stream_cut_after_events=limit))
    for _ in range(limit - 1):
        caller.sandbox.emit("batch_edit", foreign())
    stream = await caller.stream()
    assert len(await stream.synced()) == limit - 1
    caller.sandbox.emit("batch_edit", foreign())
    caller.sandbox.emit("batch_edit", foreign())
    assert (await stream.rest()).count(b"data: ") == 1
    assert caller.sandbox.faults.counts == {"stream_cut_after_events": 1}


async def test_fault_stream_cut_within_the_backfill(start):
    caller = await start(faults=Faults(stream_cut_after_events=1))
    for _ in range(3):
        caller.sandbox.emit("batch_edit", foreign())
    stream = await caller.stream()
    received = await stream.rest()
    assert received.count(b"event: backfill\n") == 1
    assert b"backfill_complete" not in received


async def test_fault_stream_cut_after_no_event_hangs_up_at_once(start):
    caller = await start(faults=Faults(stream_cut_after_events=0))
    stream = await caller.stream()
    assert await stream.rest() == b""


async def test_fault_stream_cut_mid_event_sends_half_of_it(start):
    caller = await start(faults=Faults(stream_cut_mid_event=1))
    stream = await caller.stream()
    await stream.synced()
    caller.sandbox.emit("batch_edit", foreign())
    caller.sandbox.emit("batch_edit", foreign())
    whole, half = (await stream.rest()).split(b"\n\n")
    assert half
    assert abs(len(half) - len(whole) / 2) <= 2
    assert caller.sandbox.faults.counts == {"stream_cut_mid_event": 1}


async def test_fault_drop_events_neither_stores_nor_sends(start):
    caller = await start(faults=Faults(drop_events=2))
    stream = await caller.stream()
    await stream.synced()
    ids = [caller.sandbox.emit("batch_edit", foreign()) for _ in range(3)]
    assert (await stream.live())["id"] == ids[2]
    assert caller.sandbox.books.notifications_outstanding == (ids[2],)
    assert caller.sandbox.faults.counts == {"drop_events": 2}


async def test_fault_acks_fail_has_no_effect_on_the_notification(start):
    caller = await start(faults=Faults(acks_fail=1))
    note_id = caller.sandbox.emit("batch_edit", foreign())
    assert (await caller.call("DELETE", f"/notifications/{note_id}"))[0] == 500
    assert caller.sandbox.books.notifications_outstanding == (note_id,)
    assert (await caller.call("DELETE", f"/notifications/{note_id}"))[0] == 200
    assert caller.sandbox.faults.counts == {"acks_fail": 1}
