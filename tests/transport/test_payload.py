from __future__ import annotations

from typing import Any

import attrs
import pytest

from piktid_async.errors import UploadError
from piktid_async.transport._payload import YIELD_EVERY, BodyPayload


@attrs.define
class Body:
    """Gives these blocks and notes how it is used."""

    blocks: list[bytes]
    size: int
    label: str = "scripted"
    closed: int = 0

    def open(self) -> Body:
        return self

    async def read(self) -> bytes:
        return self.blocks.pop(0) if self.blocks else b""

    def close(self) -> None:
        self.closed += 1


@attrs.define
class Writer:
    """Notes what is written, and whether it was asked to wait."""

    written: list[tuple[bytes, bool]] = attrs.field(factory=list)
    failure: Exception | None = None

    async def write(self, block: bytes, *, drain: bool) -> None:
        if self.failure:
            raise self.failure
        self.written.append((block, drain))


async def write(body: Body, writer: Writer, told: list[int] | None = None) -> BodyPayload:
    payload = BodyPayload(body, "image/png", [].append if told is None else told.append)
    await payload.write_with_length(writer, None)  # type: ignore[arg-type]  # as much as it needs
    return payload


async def test_last_block_does_not_wait_for_the_drain() -> None:
    """The server answers at the last byte; a writer that still waits costs the connection."""
    writer, body, told = Writer(), Body([b"abc", b"de", b"f"], 6), []
    payload = await write(body, writer, told)
    assert writer.written == [(b"abc", True), (b"de", True), (b"f", False)]
    assert told == [0, 3, 5, 6]
    assert body.closed == 1
    assert (payload.size, payload.sent, payload.failure) == (6, 6, None)


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        ([], "ended after 0 of 6 bytes"),
        ([b"abc", b"de"], "ended after 5 of 6 bytes"),
        ([b"abc", b"defg"], "gave more than its 6 bytes"),
        ([b"abc", b"def", b"g"], "gave more than its 6 bytes"),
    ],
)
async def test_wrong_size_keeps_the_last_byte_back(blocks: list[bytes], words: str) -> None:
    """So the storage never has a whole body to accept."""
    writer, body = Writer(), Body(blocks, 6)
    with pytest.raises(UploadError, match=words):
        await write(body, writer)
    assert sum(len(block) for block, _ in writer.written) < 6
    assert body.closed == 1


async def test_broken_connection_closes_the_source_and_is_not_blamed_on_it() -> None:
    body = Body([b"abc", b"def"], 6)
    payload = BodyPayload(body, "image/png", lambda sent: None)
    writer: Any = Writer(failure=ConnectionResetError())
    with pytest.raises(ConnectionResetError):
        await payload.write_with_length(writer, None)
    assert payload.failure is None
    assert body.closed == 1


async def test_body_cannot_be_asked_for_again_by_aiohttp_or_as_text() -> None:
    payload = BodyPayload(Body([], 0), "image/png", lambda sent: None)
    assert payload.consumed
    with pytest.raises(TypeError):
        payload.decode()


async def test_fast_receiver_leaves_the_loop_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await write(Body([bytes(YIELD_EVERY)] * 8, 8 * YIELD_EVERY), Writer())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(turns) >= 7
