"""A form on the wire: one length, one pass over the file, and the source's own errors."""

from __future__ import annotations

from email import message_from_bytes
from pathlib import Path

import pytest

from piktid_async.errors import ConnectionFailedError, UploadError
from piktid_async.protocol.messages import Form, Request
from piktid_async.sources import describe
from tests.transport.conftest import OpenTransport
from tests.transport.servers import JPG, Exchange, serve


def upload(source: bytes | str, **changes: object) -> Request:
    form = {
        "fields": {"name": "Anna"},
        "name": "image",
        "filename": "face.jpg",
        "content_type": "image/jpeg",
        "file": describe(source, None).body,
    }
    return Request(method="POST", path="/identity/upload", form=Form(**{**form, **changes}))  # type: ignore[arg-type]


async def accept(exchange: Exchange) -> None:
    await exchange.answer()


async def test_a_form_has_a_length_and_holds_what_it_was_given(
    open_transport: OpenTransport,
) -> None:
    async with serve(accept) as server:
        await open_transport(server.url).send(
            upload(JPG, fields={"name": "Ånna \u2028", "tag": "x"})
        )
    (sent,) = server.requests
    assert sent.header("Transfer-Encoding") is None
    assert sent.header("Content-Length") == str(len(sent.content))
    header = f"Content-Type: {sent.header('Content-Type')}\r\n\r\n".encode()
    name, tag, image = message_from_bytes(header + sent.content).get_payload()  # type: ignore[misc]
    assert name.get_payload(decode=True).decode() == "Ånna \u2028"  # type: ignore[union-attr]
    assert tag.get_payload(decode=True) == b"x"  # type: ignore[union-attr]
    assert image.get_payload(decode=True) == JPG  # type: ignore[union-attr]


async def test_a_file_name_cannot_end_its_header(open_transport: OpenTransport) -> None:
    async with serve(accept) as server:
        name = 'a"; filename="b\r\nX-Evil: 1\r\n\r\n.jpg'
        await open_transport(server.url).send(upload(JPG, filename=name))
    (sent,) = server.requests
    assert b"\r\nX-Evil" not in sent.content
    assert b'filename="a%22; filename=%22b%0D%0AX-Evil: 1%0D%0A%0D%0A.jpg"' in sent.content


async def test_a_large_file_goes_up_whole(open_transport: OpenTransport, tmp_path: Path) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(JPG * 2000)
    async with serve(accept) as server:
        await open_transport(server.url).send(upload(str(path)))
    assert JPG * 2000 in server.requests[0].content


async def test_each_attempt_opens_the_source_anew(open_transport: OpenTransport) -> None:
    request = upload(JPG)
    async with serve(accept) as server:
        transport = open_transport(server.url)
        await transport.send(request)
        await transport.send(request)
    first, second = (each.content for each in server.requests)
    assert JPG in first
    assert JPG in second
    assert len(first) == len(second)


async def test_a_file_that_vanished_is_the_error_and_not_the_broken_connection(
    open_transport: OpenTransport, tmp_path: Path
) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(JPG)
    request = upload(str(path))
    path.unlink()
    async with serve(accept) as server:
        with pytest.raises(UploadError, match="cannot be read") as caught:
            await open_transport(server.url).send(request)
    assert isinstance(caught.value.__context__, FileNotFoundError)


async def test_a_connection_that_breaks_is_a_connection_error(
    open_transport: OpenTransport,
) -> None:
    async def drop(exchange: Exchange) -> None:
        await exchange.some(10)
        exchange.reset()

    async with serve(drop) as server:
        with pytest.raises(ConnectionFailedError):
            await open_transport(server.url).send(upload(JPG * 2000))
