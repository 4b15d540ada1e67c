"""Registering, unwrapping and receiving webhooks; the receiver behind two real servers."""

from __future__ import annotations

import asyncio
import io
import json
import pickle
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import attrs
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from piktid_async import (
    BatchEdit,
    ConfigurationError,
    ImageResult,
    InvalidRequestError,
    NotificationFeed,
    PiktidError,
    ResponseFormatError,
    ServerError,
    Session,
    WebhookSignatureError,
)
from piktid_async.models.webhooks import WebhookRegistration
from piktid_async.protocol import endpoints
from piktid_async.protocol.messages import Response
from piktid_async.webhooks import MAX_BODY, WebhookReceiver, sign, unwrap
from tests.receivers import serve_aiohttp, serve_asgi

WIRE = json.loads((Path(__file__).parent / "wire" / "webhooks_register.json").read_text())
SECRET = "whsec_one"
T = TypeVar("T")


def note(note_id: object = 12345, **more: Any) -> bytes:
    """Return the guide's notification as a body."""
    data = {"id_task": "job_abc123...", "status": "completed", "total_images": 6}
    body = {"id": note_id, "name": "batch_edit", "timestamp": 1702819200.0, "data": data}
    return json.dumps(body | more).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Webhook-Signature": sign(body, secret)}


# unwrap


def test_what_was_signed_is_unwrapped() -> None:
    body = note(data={"id_task": "job_abc123...", "status": "completed", "processed_images": 6})
    found = unwrap(body, signed(body), SECRET)
    assert (found.id, found.name, found.timestamp) == (12345, "batch_edit", 1702819200.0)
    assert found.job_id == "job_abc123..."
    assert found.payload == BatchEdit(status="completed", processed_images=6)


def test_an_image_is_unwrapped() -> None:
    data = {"job_id": "job_1", "image_index": 2, "status": "completed"}
    body = note(name="image_result", data=data)
    found = unwrap(body, signed(body), SECRET)
    assert (found.job_id, found.payload) == (
        "job_1",
        ImageResult(image_index=2, status="completed"),
    )


def test_old_and_new_secret_are_accepted_while_one_is_rotated() -> None:
    for secret in ("old", "new"):
        body = note()
        assert unwrap(body, signed(body, secret), "old", "new").id == 12345
    with pytest.raises(WebhookSignatureError):
        unwrap(note(), signed(note(), "older"), "old", "new")


def test_a_body_is_not_parsed_before_it_is_verified() -> None:
    with pytest.raises(WebhookSignatureError):
        unwrap(b"{", signed(b"}"), SECRET)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"ping"', b"{}", b"\xff", note(None), note("")]
)
def test_a_signed_body_that_is_no_notification_is_an_error_of_its_own(body: bytes) -> None:
    with pytest.raises(ResponseFormatError):
        unwrap(body, signed(body), SECRET)


def test_a_body_past_the_bound_is_not_even_verified() -> None:
    body = b" " * (MAX_BODY + 1)
    with pytest.raises(WebhookSignatureError, match="more than 1048576 bytes"):
        unwrap(body, signed(body), SECRET)


def test_a_body_that_was_parsed_already_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigurationError, match="raw body as bytes, not dict"):
        unwrap(json.loads(note()), {}, SECRET)


@pytest.mark.parametrize(
    ("body", "note_id"),
    [
        (b'{"name": "ping"}', ""),
        (b'{"event": "ping", "data": null}', ""),
        (b'{"type": "ping", "id": null}', ""),
        (b'{"name": "ping", "id": 3}', 3),
        (note(3, name="ping"), 3),
    ],
)
def test_a_ping_is_a_notification_whatever_it_lacks(body: bytes, note_id: object) -> None:
    found = unwrap(body, signed(body), SECRET)
    assert (found.id, found.name) == (note_id, "ping")


async def test_what_was_unwrapped_without_a_session_cannot_be_acknowledged() -> None:
    with pytest.raises(ConfigurationError, match="did not come from a session"):
        await unwrap(note(), signed(note()), SECRET).ack()


def test_the_error_crosses_processes_and_shows_no_signature() -> None:
    with pytest.raises(WebhookSignatureError) as caught:
        unwrap(note(), signed(note(), "other"), SECRET)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert sign(note(), "other")[7:] not in repr(caught.value)


# register


def test_registering_sends_and_reads_what_the_page_shows() -> None:
    call = endpoints.register_webhook(WIRE["request"]["json"]["url"])
    sent = {"method": call.request.method, "path": call.request.path, "json": call.request.json}
    assert sent == WIRE["request"]
    assert not call.request.replayable
    answer = WIRE["response"]["json"]
    found = call.parse(Response(status=200, body=json.dumps(answer).encode()))
    plain = attrs.asdict(found)
    for key in ("created_at", "updated_at", "last_response_at"):
        plain[key] = plain[key].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert plain == answer


def test_an_answer_with_little_or_odd_in_it_does_not_lose_the_secret() -> None:
    call = endpoints.register_webhook("https://example.com/")
    body = b'{"secret": "s", "is_active": null, "created_at": 5, "last_response_status": "x"}'
    found = call.parse(Response(status=200, body=body))
    assert found == WebhookRegistration(id="", url="https://example.com/", secret="s")
    with pytest.raises(ResponseFormatError, match=r"\$\.secret"):
        call.parse(Response(status=200, body=b'{"id": 1}'))


def test_a_registration_shows_neither_secret_nor_query() -> None:
    found = WebhookRegistration(id=1, url="https://example.com/hook?key=k3y", secret="s3cr3t")
    assert "s3cr3t" not in repr(found)
    assert "k3y" not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com/hook", "ftp://example.com", "https://", "https://[::1", None),
        *("https://a b", "http://example.com/", "http://10.0.0.1/", "http://localhost.a.com/"),
    ],
)
async def test_a_url_that_is_not_https_is_refused_before_anything_is_sent(url: Any) -> None:
    async with Session("token", base_url="http://127.0.0.1:9") as session:
        with pytest.raises(InvalidRequestError, match="url: must be"):
            await session.webhooks.register(url)


async def test_registering_is_not_repeated_since_each_call_makes_a_new_secret() -> None:
    came = []

    async def refuse(request: web.Request) -> web.Response:
        came.append(await request.json())
        return web.Response(status=500)

    app = web.Application()
    app.router.add_put("/webhooks", refuse)
    async with (
        TestServer(app) as server,
        Session("token", base_url=str(server.make_url(""))) as session,
    ):
        with pytest.raises(ServerError):
            await session.webhooks.register("https://example.com/hook")
    assert came == [{"url": "https://example.com/hook"}]


# the receiver


@attrs.define
class Receiving:
    """A receiver behind a server, a feed of its session, and a client for it."""

    session: Session
    receiver: WebhookReceiver
    feed: NotificationFeed
    url: str
    http: aiohttp.ClientSession

    async def post(self, body: Any, headers: dict[str, str]) -> int:
        async with self.http.post(self.url, data=body, headers=headers) as response:
            assert await response.read() == b""
            return response.status

    async def taken(self) -> list[object]:
        """Return the ids that have reached the feed since."""
        end = note("end")
        assert await self.post(end, signed(end)) == 204
        found = []
        while (each := await anext(self.feed)).id != "end":
            found.append(each.id)
        return found


@pytest.fixture(params=[serve_aiohttp, serve_asgi], ids=["aiohttp", "asgi"])
async def receiving(request: pytest.FixtureRequest) -> AsyncIterator[Receiving]:
    """A session that nobody would answer, so that only webhooks can tell it anything."""
    async with Session("token", base_url="http://127.0.0.1:9", stream=False) as session:
        receiver = WebhookReceiver(session, SECRET)
        async with (
            session.notifications() as feed,
            request.param(receiver) as url,
            aiohttp.ClientSession() as http,
        ):
            yield Receiving(session, receiver, feed, url, http)


async def test_a_signed_notification_is_taken_in(receiving: Receiving) -> None:
    assert await receiving.post(note(), signed(note())) == 204
    assert await receiving.taken() == [12345]


async def test_a_replay_is_answered_alike_and_counts_once(receiving: Receiving) -> None:
    for body in (note(1), note(2), note(1), note(2), note(1, timestamp=5.0)):
        assert await receiving.post(body, signed(body)) == 204
    assert await receiving.taken() == [1, 2]


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Webhook-Signature": "sha256="}, signed(note(1)), signed(note(), "other")],
    ids=["missing", "malformed", "of another body", "of another secret"],
)
async def test_without_a_right_signature_nothing_is_taken_in(
    headers: dict[str, str], receiving: Receiving
) -> None:
    assert await receiving.post(note(), headers) == 401
    assert await receiving.taken() == []


async def test_secrets_are_rotated_while_it_runs(receiving: Receiving) -> None:
    secrets = receiving.receiver.secrets
    old, new = signed(note(1)), signed(note(2), "new")
    assert await receiving.post(note(2), new) == 401
    secrets.add("new")
    assert await receiving.post(note(2), new) == 204
    assert await receiving.post(note(1), old) == 204
    secrets.remove(SECRET)
    assert await receiving.post(note(1), old) == 401
    assert SECRET not in secrets
    assert list(secrets) == ["new"]
    assert "new" not in repr(secrets).split()
    secrets.discard("new")
    assert await receiving.post(note(2), new) == 401  # without any, everything is refused


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_only_post_is_answered(method: str, receiving: Receiving) -> None:
    async with receiving.http.request(
        method, receiving.url, data=note(), headers=signed(note())
    ) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
    assert await receiving.taken() == []


@pytest.mark.parametrize("body", [b"garbage", b"[]", b'{"name": "batch_edit"}'])
async def test_signed_garbage_is_refused_and_the_next_one_taken_in(
    body: bytes, receiving: Receiving
) -> None:
    assert await receiving.post(body, signed(body)) == 400
    assert await receiving.post(note(), signed(note())) == 204
    assert await receiving.taken() == [12345]


async def test_a_ping_without_an_id_is_answered_and_goes_no_further(receiving: Receiving) -> None:
    for _ in range(2):
        assert await receiving.post(b'{"name": "ping"}', signed(b'{"name": "ping"}')) == 204
    assert await receiving.taken() == []


async def test_a_body_up_to_the_bound_is_read(receiving: Receiving) -> None:
    body = note() + b" " * (MAX_BODY - len(note()))
    assert await receiving.post(io.BytesIO(body), signed(body)) == 204
    assert await receiving.post(io.BytesIO(body + b" "), signed(body + b" ")) == 413


async def test_an_announced_size_past_the_bound_is_refused_before_the_body_comes(
    receiving: Receiving,
) -> None:
    announced = f"Content-Length: {MAX_BODY + 1}\r\n\r\n".encode()
    assert await half_sent(receiving.url, announced) == 413


async def test_a_chunked_body_past_the_bound_is_refused_before_it_ends(
    receiving: Receiving,
) -> None:
    block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = b"Transfer-Encoding: chunked\r\n\r\n" + block * (MAX_BODY // 0x10000) + b"1\r\n.\r\n"
    assert await half_sent(receiving.url, sent) == 413


async def test_a_chunked_body_within_the_bound_is_taken_in(receiving: Receiving) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in note():
            yield bytes([byte])

    assert await receiving.post(chunks(), signed(note())) == 204
    assert await receiving.taken() == [12345]


async def test_a_client_that_leaves_in_the_middle_of_the_body_disturbs_nobody(
    receiving: Receiving, caplog: pytest.LogCaptureFixture
) -> None:
    _, writer = await begin(receiving.url, b"Content-Length: 500\r\n\r\n{")
    await writer.drain()
    assert await receiving.post(note(1), signed(note(1))) == 204  # it has been heard by now
    writer.close()
    await writer.wait_closed()
    assert await receiving.post(note(2), signed(note(2))) == 204
    assert await receiving.taken() == [1, 2]
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def begin(url: str, rest: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a POST and what follows, which need not be all of it."""
    host, _, path = url.removeprefix("http://").partition("/")
    address, port = host.split(":")
    reader, writer = await asyncio.open_connection(address, int(port))
    writer.write(f"POST /{path} HTTP/1.1\r\nHost: {host}\r\n".encode() + rest)
    return reader, writer


async def half_sent(url: str, rest: bytes) -> int:
    """Return the status for a request that never ends, once the server has hung up."""
    reader, writer = await begin(url, rest)
    try:
        async with asyncio.timeout(5):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split()[1])


async def test_an_answer_says_nothing_of_what_was_wrong(receiving: Receiving) -> None:
    for headers in ({}, signed(note(), "other"), signed(b"x")):
        async with receiving.http.post(receiving.url, data=b"x", headers=headers) as response:
            assert response.status in (400, 401)
            assert await response.read() == b""
            assert "signature" not in str(response.headers).lower()


async def test_a_closed_session_asks_to_be_tried_again(receiving: Receiving) -> None:
    await receiving.session.close()
    assert await receiving.post(note(), signed(note())) == 503
    assert await receiving.post(note(), signed(note(), "other")) == 401


async def asgi(receiver: WebhookReceiver, *messages: dict[str, Any], **scope: Any) -> list[Any]:
    """Call the application by hand; return what it sent."""
    incoming = iter(messages)
    sent = []

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await receiver.asgi_app(
        {"type": "http", "method": "POST", "headers": []} | scope, receive, send
    )
    assert next(incoming, None) is None, "not all was read"
    return sent


async def test_a_length_that_lies_is_not_believed() -> None:
    async with Session("token", base_url="http://127.0.0.1:9", stream=False) as session:
        receiver = WebhookReceiver(session, SECRET, max_body=10)
        more = {"type": "http.request", "body": b"123456", "more_body": True}
        sent = await asgi(receiver, more, more, headers=[(b"content-length", b"5")])
        assert sent[0]["status"] == 413
        sent = await asgi(receiver, headers=[(b"content-length", b"11")])
        assert sent[0]["status"] == 413
        sent = await asgi(receiver, {"type": "http.request"}, headers=[(b"content-length", b"-x")])
        assert sent[0]["status"] == 401


async def test_the_application_has_no_use_for_websockets_and_says_so() -> None:
    async with Session("token", base_url="http://127.0.0.1:9", stream=False) as session:
        receiver = WebhookReceiver(session, SECRET)
        sent = await asgi(receiver, {"type": "websocket.connect"}, type="websocket")
        assert sent == [{"type": "websocket.close", "code": 1000}]
        with pytest.raises(ValueError, match="'mail' is not served"):
            await asgi(receiver, type="mail")


def test_a_session_that_was_never_connected_takes_webhooks_in_one_loop_after_another() -> None:
    session = Session("token", base_url="http://127.0.0.1:9", stream=False, ack="never")
    receiver = WebhookReceiver(session, SECRET)
    job = session.job("job_abc123...", kind="garment_recolor")

    async def deliver(body: bytes) -> int:
        message = {"type": "http.request", "body": body}
        headers = [(key.lower().encode(), value.encode()) for key, value in signed(body).items()]
        sent = await asgi(receiver, message, headers=headers)
        return int(sent[0]["status"])

    running = note(1, data={"id_task": "job_abc123...", "status": "processing"})
    assert in_a_loop_of_its_own(deliver(running)) == 204
    assert job.status == "processing"
    assert in_a_loop_of_its_own(deliver(note(2))) == 204
    assert job.status == "completed"
    in_a_loop_of_its_own(session.close())


def in_a_loop_of_its_own(work: Coroutine[Any, Any, T]) -> T:
    """Do as `asyncio.run`, which lets a session's connections close when it cancels the rest."""
    loop = asyncio.new_event_loop()

    async def cancel_the_rest() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(cancel_the_rest())
        loop.close()


async def test_a_session_in_use_in_another_running_loop_is_not_touched() -> None:
    async with Session("token", base_url="http://127.0.0.1:9", stream=False) as session:
        receiver = WebhookReceiver(session, SECRET)
        async with session.notifications():
            message = {"type": "http.request", "body": note()}
            headers = [(b"x-webhook-signature", sign(note(), SECRET).encode())]
            sent = await asyncio.to_thread(asyncio.run, asgi(receiver, message, headers=headers))
        assert sent[0]["status"] == 503


@pytest.mark.parametrize("secret", ["", None])
def test_a_receiver_is_not_built_with_a_secret_that_anybody_knows(secret: Any) -> None:
    with pytest.raises(ConfigurationError, match="non-empty"):
        WebhookReceiver(Session("token"), secret)


def test_every_error_of_webhooks_is_one_of_ours() -> None:
    assert issubclass(WebhookSignatureError, PiktidError)


@pytest.mark.parametrize(
    "headers",
    [
        None,
        7,
        "X-Webhook-Signature: x",
        [1],
        [("a", "b", "c")],
        {"X-Webhook-Signature": 1},
        {1: "a"},
    ],
)
def test_headers_that_are_none_are_refused_with_words(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match="headers"):
        unwrap(b"{}", headers, "secret")
