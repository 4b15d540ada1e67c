"""What goes wrong with the event stream and with the notifications, byte for byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from piktid_async.sandbox import Faults


def note(caller: Any, text: str = "") -> int:
    """Make a notification of somebody else's job."""
    note_id: int = caller.sandbox.emit("batch_edit", {"id_task": "job_foreign", "text": text})
    return note_id


def frames(received: bytes) -> list[bytes]:
    return received.split(b"\n\n")[:-1]


def ids(received: bytes) -> list[int]:
    """Return the ids of the events that a reader of JSON can make sense of."""
    found = []
    for frame in frames(received):
        data = frame.rpartition(b"data: ")[2]
        try:
            found.append(json.loads(data)["id"])
        except (ValueError, KeyError):
            continue
    return found


async def received(caller: Any, **faults: Any) -> tuple[bytes, list[int]]:
    """Let two live notifications meet `faults`; return what came, and the ids that were meant."""
    stream = await caller.stream()
    await stream.synced()
    caller.sandbox.faults.change(faults)
    made = [note(caller), note(caller)]
    caller.sandbox.faults.stream_cut_after_events = 2
    return await stream.rest(), made


async def test_a_stream_is_accepted_and_ended_at_once(start):
    caller = await start(faults=Faults(stream_hangs_up=1))
    assert await (await caller.stream()).rest() == b""
    assert await (await caller.stream()).synced() == []
    assert caller.sandbox.faults.counts == {"stream_hangs_up": 1}
    assert caller.sandbox.books.stream_connections == 2


async def test_a_stream_is_ended_in_place_of_a_notification_that_is_replayed(caller):
    came, (first, second) = await received(caller, stream_cut=1)
    assert came == b""
    caller.sandbox.faults.stream_cut_after_events = None
    assert [each["id"] for each in await (await caller.stream()).synced()] == [first, second]
    assert caller.sandbox.faults.counts == {"stream_cut": 1}


async def test_a_stream_is_cut_inside_a_character(caller):
    came, (first, _) = await received(caller, stream_cut_in_character=1)
    assert came.endswith(b"\xc3")
    assert came[:-1].decode().startswith(f'data: {{"id":{first},')
    assert caller.sandbox.faults.counts == {"stream_cut_in_character": 1}


async def test_a_stream_falls_silent_and_stays_open(start):
    caller = await start(keepalive=0.01)
    stream = await caller.stream()
    await stream.synced()
    assert (await stream.block()) == ":keepalive\n\n"
    caller.sandbox.faults.stream_silent = 1
    first = note(caller)
    while not caller.sandbox.faults.counts["stream_silent"]:  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0)
    other = await caller.stream()  # another listener is served meanwhile
    assert [each["id"] for each in await other.synced()] == [first]
    note(caller)
    assert (await other.live())["id"] == first + 1
    silence = stream.response.content.read_nowait()
    assert set(frames(silence)) <= {b":keepalive"}
    assert caller.sandbox.books.open_streams == 2
    stream.response.close()
    while caller.sandbox.books.open_streams == 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert caller.sandbox.faults.counts == {"stream_silent": 1}


async def test_garbage_comes_before_a_notification(caller):
    came, made = await received(caller, stream_garbage=1)
    assert ids(came) == made
    with pytest.raises(UnicodeDecodeError):
        frames(came)[0].decode()


async def test_an_event_that_is_not_json_comes_before_a_notification(caller):
    came, made = await received(caller, stream_bad_json=1)
    assert ids(came) == made
    first = frames(came)[0].removeprefix(b"data: ")
    with pytest.raises(json.JSONDecodeError):
        json.loads(first)


async def test_an_event_of_an_unknown_type_comes_before_a_notification(caller):
    came, made = await received(caller, stream_unknown_event=1)
    assert frames(came)[0].startswith(b"event: maintenance\n")
    assert ids(came) == made


async def test_an_enormous_event_comes_before_a_notification(caller):
    came, made = await received(caller, stream_enormous_event=1, enormous_bytes=100_000)
    assert len(frames(came)[0]) > 100_000
    assert b"\n" not in frames(came)[0]
    assert ids(came) == made
    assert caller.sandbox.faults.counts["stream_enormous_event"] == 1


async def test_a_notification_comes_twice(caller):
    came, (first, second) = await received(caller, stream_duplicate=1)
    assert ids(came) == [first, first, second]


async def test_a_notification_is_overtaken_by_the_next(caller):
    came, (first, second) = await received(caller, stream_reorder=1)
    assert ids(came) == [second, first]
    assert caller.sandbox.faults.counts["stream_reorder"] == 1


async def test_a_notification_that_nothing_follows_is_not_overtaken(start):
    caller = await start(faults=Faults(stream_reorder=1))
    stream = await caller.stream()
    await stream.synced()
    first = note(caller)
    assert (await stream.live())["id"] == first
    assert caller.sandbox.faults.counts == {}


async def test_what_somebody_else_deletes_was_sent_and_is_not_replayed(start):
    caller = await start(faults=Faults(events_deleted=1))
    stream = await caller.stream()
    await stream.synced()
    first = note(caller)
    assert (await stream.live())["id"] == first
    assert (await caller.call("DELETE", f"/notifications/{first}"))[0] == 404
    assert await (await caller.stream()).synced() == []
    books = caller.sandbox.books
    assert (books.notifications_outstanding, books.acknowledged) == ((), ())
    assert books.notifications_gone == {first: "deleted"}
    assert caller.sandbox.faults.counts == {"events_deleted": 1}


async def test_a_listener_that_was_away_too_long_finds_nothing_outstanding(caller):
    first = note(caller)
    caller.sandbox.faults.backlog_expired = 1
    stream = await caller.stream()
    assert await stream.synced() == []
    second = note(caller)
    assert (await stream.live())["id"] == second
    assert caller.sandbox.books.notifications_gone == {first: "expired"}
    assert caller.sandbox.faults.counts == {"backlog_expired": 1}


async def test_the_books_tell_what_was_dropped_and_what_grew_too_old(start):
    caller = await start(retention=0.0, faults=Faults(drop_events=1))
    dropped, old = note(caller), note(caller)
    assert caller.sandbox.books.notifications_outstanding == ()
    assert caller.sandbox.books.notifications_gone == {dropped: "dropped", old: "expired"}


async def test_the_backlog_is_spoiled_like_what_is_live(start):
    caller = await start()
    made = [note(caller), note(caller)]
    caller.sandbox.faults.change({"stream_duplicate": 1, "stream_cut_after_events": 2})
    came = await (await caller.stream()).rest()
    assert ids(came) == [made[0], *made]
