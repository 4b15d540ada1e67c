"""The shared inbox: one writer at a time, readers that miss nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from piktid_async import ConfigurationError, Session, StreamSettings
from piktid_async.coordination.base import Page
from piktid_async.coordination.postgres import PostgresCoordinator
from piktid_async.coordination.postgres_inbox import KEPT, PAGE, PostgresInbox
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.feed import SYNCED, Synced
from piktid_async.sandbox import Sandbox
from piktid_async.shared_stream import signals
from piktid_async.stream import Batch, Lost, Opened

Make = Callable[..., PostgresCoordinator]


def note(note_id: int | str, **data: Any) -> WireNotification:
    return WireNotification(note_id, "batch_edit", 1.5, "job-1", data)


def ids(page: Page) -> list[object]:
    return [None if isinstance(each, Synced) else each.id for each in page.items]


@pytest.fixture
async def inbox(make_coordinator: Make) -> PostgresInbox:
    return make_coordinator(lease=600.0).inbox()


@pytest.fixture
async def other(make_coordinator: Make) -> PostgresInbox:
    """The same inbox, seen from another process."""
    return make_coordinator(lease=600.0).inbox()


async def test_everybody_reads_all_of_it_in_order(inbox, other) -> None:
    epoch = await inbox.lead()
    odd = note(
        "5", text="a\0b \u2028 \U0001f600", link="https://host/x?sig=1", nested=[{"a": None}]
    )
    assert await inbox.deliver(epoch, [note(7), odd, SYNCED, note(5)])
    assert await inbox.deliver(epoch, [note(5), note("5"), note(6), SYNCED])
    for reader in (inbox, other):
        page = await reader.read()
        assert ids(page) == [7, "5", None, 5, 6, None]  # a number and a text are two ids
        read = page.items[1]
        assert isinstance(read, WireNotification)
        assert (read.name, read.timestamp, read.job_id) == ("batch_edit", 1.5, "job-1")
        assert read.data == odd.data
        assert (await reader.read()).items == []


async def test_it_is_read_page_by_page(inbox, other) -> None:
    epoch = await inbox.lead()
    await inbox.deliver(epoch, [note(number) for number in range(PAGE + 1)])
    first, second = await other.read(), await other.read()
    assert (len(first.items), first.more) == (PAGE, True)
    assert (ids(second), second.more) == ([PAGE], False)


async def test_no_reader_passes_over_what_is_yet_to_be_committed(
    inbox, account: str, database: str
) -> None:
    """A row's number is drawn before its commit: without the lock a later one could show first."""
    epoch = await inbox.lead()
    deliver = "SELECT piktid.deliver(%s, %s, %s, %s)"
    async with await psycopg.AsyncConnection.connect(database) as slow:
        key = inbox._account
        body = '{"id":1,"name":"n","timestamp":0,"job_id":null,"data":{}}'
        await slow.execute(deliver, [key, epoch, ["1"], [body]])  # and not committed yet
        quick = asyncio.create_task(_deliver_elsewhere(database, deliver, key, epoch))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as watcher:
            while (await (await watcher.execute(waiting)).fetchone()) == (0,):
                assert not quick.done()
        assert (await inbox.read()).items == []
        await slow.commit()
        await quick
    assert ids(await inbox.read()) == [1, 2]


async def _deliver_elsewhere(database: str, deliver: str, key: str, epoch: int) -> None:
    body = '{"id":2,"name":"n","timestamp":0,"job_id":null,"data":{}}'
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute(deliver.encode(), [key, epoch, ["2"], [body]])


async def test_one_leads_and_who_was_overtaken_writes_nothing(inbox, other, sql) -> None:
    epoch = await inbox.lead()
    assert epoch is not None
    assert await other.lead() is None
    assert await inbox.lead() is None
    assert await inbox.show(epoch, live=True)
    page = await other.read()
    assert (page.epoch, page.held, page.live) == (epoch, True, True)
    await sql(
        "UPDATE piktid.lease SET until = clock_timestamp() WHERE account = %s", inbox._account
    )
    page = await other.read()
    assert (page.held, page.live) == (False, False)
    # It may go on as long as nobody has taken over.
    assert await inbox.deliver(epoch, [note(1)])
    later = await other.lead()
    assert later == epoch + 1
    assert not await inbox.deliver(epoch, [note(2)])
    assert not await inbox.show(epoch, live=True)
    assert not await inbox.renew(epoch)
    await inbox.resign(epoch)
    page = await inbox.read()
    assert (page.epoch, page.held, page.live, ids(page)) == (later, True, False, [1])
    await other.resign(later)
    assert await inbox.lead() == later + 1


async def test_what_is_older_than_the_service_keeps_is_deleted(inbox, other, sql) -> None:
    epoch = await inbox.lead()
    await inbox.deliver(epoch, [note(1), note(2)])
    old = "UPDATE piktid.inbox SET received = received - %s * interval '1 second' WHERE id = '1'"
    await sql(old + " AND account = %s", KEPT + 1, inbox._account)
    assert await inbox.renew(epoch)
    assert ids(await other.read()) == [2]


async def test_orphans_are_handed_to_one_process_at_a_time(make_coordinator: Make, sql) -> None:
    first, second = make_coordinator(lease=600.0), make_coordinator(lease=600.0)
    inboxes = first.inbox(), second.inbox()
    first.join()
    first.occupied("job-1")
    first.occupied("job-2")
    await first.beat(first.desk())
    while first.commands:
        await first.desk().call("SELECT 1")
        await asyncio.sleep(0)
    assert await inboxes[1].orphans() == []  # somebody follows them
    await first.leave(["job-1", "job-unknown"], 5.0)
    found = [each for inbox in inboxes for each in await inbox.orphans()]
    assert sorted(job_id for job_id, _ in found) == ["job-1", "job-2"]  # once, not twice
    assert all(0 <= age < 60 for _, age in found)


# The stream that is made of it


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, limits=False, keepalive=0.1) as running:
        yield running


async def test_signals_tell_of_the_lead_as_of_a_connection(inbox, other, box: Sandbox) -> None:
    """Read by one who never leads: it opens, is lost, and opens again with another leader."""
    async with Session(box.token, base_url=box.url) as session:
        transport = session._runtime.connect().transport
        epoch = await inbox.lead()
        async with aclosing(signals(other, transport, StreamSettings())) as told:
            await inbox.deliver(epoch, [note(1)])
            assert _items(await anext(told)) == [1]
            await inbox.show(epoch, live=True)
            assert await anext(told) == Opened()
            assert _items(await anext(told)) == [None]  # so far it has read all there is
            await inbox.deliver(epoch, [note(2), SYNCED])
            assert _items(await anext(told)) == [2, None]
            await inbox.show(epoch, live=False)
            assert await anext(told) == Lost(None)
            await inbox.show(epoch, live=True)
            assert await anext(told) == Opened()
            assert box.books.stream_connections == 0
            await inbox.resign(epoch)
            # From here on it leads itself.
            assert await anext(told) == Lost(None)
            assert await anext(told) == Opened()
            assert _items(await anext(told)) == [None]
            assert box.books.open_streams == 1
        assert (await inbox.read()).held is False


def _items(signal: object) -> list[object]:
    assert isinstance(signal, Batch)
    return [None if isinstance(each, Synced) else each.id for each in signal.items]


async def test_tables_of_another_version_are_left_alone(database: str, box: Sandbox, sql) -> None:
    await sql("CREATE DATABASE later")
    try:
        later = urlsplit(database)._replace(path="/later").geturl()
        async with await psycopg.AsyncConnection.connect(later, autocommit=True) as connection:
            await connection.execute("CREATE SCHEMA piktid")
            await connection.execute("CREATE TABLE piktid.coordination AS SELECT 99 AS version")
        coordinator = PostgresCoordinator(later)
        async with Session(box.token, base_url=box.url, coordinator=coordinator) as session:
            place = coordinator.place("/garment-recolor", pooled=True)
            with pytest.raises(ConfigurationError, match="holds version 99"):
                async with session._runtime.connect().turn(place):
                    pass
            with pytest.raises(ConfigurationError, match="holds version 99"):
                async with coordinator.turn(place):
                    pass
    finally:
        await sql("DROP DATABASE later WITH (FORCE)")
