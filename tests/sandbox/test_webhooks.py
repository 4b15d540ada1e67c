"""The sandbox's webhook, as a program sees it that verifies after the guide."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import attrs
import pytest
from aiohttp import web
from yarl import URL

from piktid_async.sandbox import Faults
from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.webhooks import WebhookSender


@attrs.define(eq=False)
class Receiver:
    """A server that keeps what is posted to it and answers as it is told."""

    url: str = ""
    posts: list[tuple[Any, str, bytes]] = attrs.field(factory=list)
    answers: Iterator[int] = attrs.field(factory=lambda: iter(()))
    came: asyncio.Event = attrs.field(factory=asyncio.Event)
    held: asyncio.Event | None = None

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.content_type == "application/json"
        self.posts.append((json.loads(body), request.headers["X-Webhook-Signature"], body))
        self.came.set()
        if self.held is not None:
            await self.held.wait()
        return web.Response(status=next(self.answers, 204), headers={"Location": self.url})

    @property
    def ids(self) -> list[int]:
        return [note["id"] for note, _, _ in self.posts]

    @property
    def names(self) -> list[str]:
        return [note["name"] for note, _, _ in self.posts]


Listen = Callable[[], Awaitable[Receiver]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    async with AsyncExitStack() as stack:

        async def listen_once() -> Receiver:
            receiver = Receiver()
            app = web.Application()
            app.router.add_post("/hook", receiver.handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            return receiver

        yield listen_once


@pytest.fixture
async def receiver(listen: Listen) -> Receiver:
    return await listen()


async def register(caller: Any, url: str) -> Any:
    status, hook = await caller.call("PUT", "/webhooks", json={"url": url})
    assert status == 200
    return hook


def verify_signature(secret: str, body: bytes, signature_header: str) -> bool:
    """The guide's function."""
    expected = "sha256=" + hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature_header)


async def test_registering_answers_what_the_page_shows(caller, receiver):
    hook = await register(caller, receiver.url)
    await caller.sandbox.webhooks_idle()
    again = await register(caller, receiver.url)
    documented = {"id", "url", "secret", "is_active", "created_at", "updated_at"}
    assert hook.keys() == documented | {"last_response_status", "last_response_at"}
    assert (hook["url"], hook["is_active"]) == (receiver.url, True)
    assert hook["last_response_status"] is None
    assert again["last_response_status"] == 204
    assert again["last_response_at"] is not None
    assert again["id"] == hook["id"]  # an account has one
    assert again["secret"] != hook["secret"]


@pytest.mark.parametrize("url", [None, "", "hook", "ftp://127.0.0.1/", "https://", 5])
async def test_a_url_that_is_none_is_refused(caller, url):
    status, body = await caller.call("PUT", "/webhooks", json={"url": url})
    assert (status, body["detail"][0]["field"]) == (400, "url")


async def test_registering_needs_the_token(caller, receiver):
    status, _ = await caller.call("PUT", "/webhooks", json={"url": receiver.url}, headers={})
    assert status == 401


async def test_a_ping_is_sent_at_once_signed_and_kept_out_of_the_list(caller, receiver):
    hook = await register(caller, receiver.url)
    ((note, signature, body),) = receiver.posts  # before the answer that holds the secret
    await caller.sandbox.webhooks_idle()
    assert len(receiver.posts) == 1
    assert note["name"] == "ping"
    assert verify_signature(hook["secret"], body, signature)
    assert caller.sandbox.books.notifications_outstanding == ()
    assert caller.sandbox.books.webhooks_delivered == (note["id"],)


async def test_every_notification_is_posted_signed_and_in_order(caller, receiver):
    hook = await register(caller, receiver.url)
    job_id = await caller.finished(num_variations=2)
    await caller.sandbox.webhooks_idle()
    assert all(
        verify_signature(hook["secret"], body, signature) for _, signature, body in receiver.posts
    )
    assert receiver.names[0] == "ping"
    ids = receiver.ids[1:]
    assert ids == sorted(ids) == list(caller.sandbox.books.notifications_outstanding)
    assert receiver.posts[-1][0]["data"]["id_task"] == job_id
    assert receiver.posts[-1][0]["data"]["status"] == "completed"
    assert caller.sandbox.books.webhooks_delivered == tuple(receiver.ids)


async def test_the_body_is_the_notification_of_the_stream_byte_by_byte(caller, receiver):
    await register(caller, receiver.url)
    stream = await caller.stream()
    await stream.synced()
    caller.sandbox.emit("image_result", {"id_task": "a", "image_index": 0})
    await caller.sandbox.webhooks_idle()
    assert await stream.block() == f"data: {receiver.posts[-1][2].decode()}\n\n"


async def test_a_new_secret_voids_the_old_one_and_a_new_url_takes_over(caller, listen):
    old, new = await listen(), await listen()
    first = await register(caller, old.url)
    await caller.sandbox.webhooks_idle()
    second = await register(caller, new.url)
    caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await caller.sandbox.webhooks_idle()
    assert old.names == ["ping"]
    assert new.names == ["ping", "batch_edit"]
    for _, signature, body in new.posts:
        assert verify_signature(second["secret"], body, signature)
        assert not verify_signature(first["secret"], body, signature)


async def test_what_was_before_the_registration_is_not_posted(caller, receiver):
    caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await register(caller, receiver.url)
    await caller.sandbox.webhooks_idle()
    assert receiver.names == ["ping"]


async def test_what_is_not_taken_is_posted_again_and_what_follows_waits(caller, receiver):
    receiver.answers = iter([401, 500, 302])
    await register(caller, receiver.url)
    note_id = caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await caller.sandbox.webhooks_idle()
    assert receiver.names == ["ping"] * 4 + ["batch_edit"]
    assert caller.sandbox.books.webhooks_delivered == (receiver.ids[0], note_id)
    assert caller.sandbox.books.webhooks_given_up == ()


async def test_what_is_never_taken_is_given_up_and_the_next_one_posted(caller, receiver):
    receiver.answers = iter([500] * 4)
    await register(caller, receiver.url)
    note_id = caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await caller.sandbox.webhooks_idle()
    assert caller.sandbox.books.webhooks_given_up == (receiver.ids[0],)
    assert caller.sandbox.books.webhooks_delivered == (note_id,)


async def test_a_receiver_that_does_not_listen_is_given_up(caller, unused_tcp_port):
    await register(caller, f"http://127.0.0.1:{unused_tcp_port}/hook")
    await caller.sandbox.webhooks_idle()
    assert len(caller.sandbox.books.webhooks_given_up) == 1


async def test_a_receiver_that_does_not_answer_is_timed_out(receiver):
    receiver.held = asyncio.Event()
    board = NotificationBoard(retention=60.0, faults=Faults())
    sender = WebhookSender(board=board, faults=Faults(), timeout=0.05, pauses=(0.01,))
    hook = sender.register(URL(receiver.url))
    await sender.idle()
    assert (len(receiver.posts), len(sender.given_up)) == (2, 1)
    assert hook.last_response_status is None
    receiver.held.set()
    await sender.close()


async def test_nothing_leaves_this_machine(caller):
    hook = await register(caller, "https://example.com/webhooks/piktid")
    caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await caller.sandbox.webhooks_idle()
    assert hook["is_active"] is True
    assert caller.sandbox.books.webhooks_delivered == ()


async def test_a_sandbox_that_stops_waits_for_no_receiver(start, receiver):
    caller = await start()
    receiver.held = asyncio.Event()
    await register(caller, receiver.url)
    await receiver.came.wait()
    await caller.sandbox.stop()
    await caller.sandbox.webhooks_idle()
    assert caller.sandbox.books.webhooks_delivered == ()
    receiver.held.set()


async def test_fault_webhook_duplicate_posts_twice(start, receiver):
    caller = await start(faults=Faults(webhook_duplicate=2))
    await register(caller, receiver.url)
    for _ in range(2):
        caller.sandbox.emit("batch_edit", {"id_task": "a"})
    await caller.sandbox.webhooks_idle()
    assert receiver.names == ["ping", "ping", "batch_edit", "batch_edit", "batch_edit"]
    assert caller.sandbox.faults.counts == {"webhook_duplicate": 2}


async def test_fault_webhook_reorder_lets_the_next_one_go_first(start, receiver):
    caller = await start()
    receiver.held = asyncio.Event()
    await register(caller, receiver.url)
    await receiver.came.wait()
    caller.sandbox.faults.webhook_reorder = 5
    one, two, three = (caller.sandbox.emit("batch_edit", {"id_task": "a"}) for _ in range(3))
    receiver.held.set()
    await caller.sandbox.webhooks_idle()
    assert receiver.ids[1:] == [two, one, three]  # the last one has none to wait for
    assert caller.sandbox.faults.counts == {"webhook_reorder": 1}
