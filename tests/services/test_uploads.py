from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
import tempfile
import time
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from piktid_async import (
    AuthenticationError,
    ConnectionFailedError,
    InvalidRequestError,
    PiktidError,
    ResponseFormatError,
    Session,
    SessionClosedError,
    StreamSource,
    UploadedFile,
    UploadError,
    UploadGroupError,
    UploadOutcome,
    UploadProgress,
)
from piktid_async.sandbox import Sandbox
from piktid_async.sources import BLOCK
from tests.services.process import descriptors, open_files, resident, tasks, threads, turns
from tests.services.service import accept, service
from tests.transport.servers import PNG, Exchange

LARGE = b"\x89PNG\r\n\x1a\n" + bytes(3 * BLOCK)


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


class Again:
    """An async iterable that begins anew each time."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return chunks(*self.parts)


def one_shot(data: bytes = LARGE) -> StreamSource:
    return StreamSource(chunks(data[:1000], data[1000:]), len(data), "stream.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten small files."""
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(PNG + bytes([number]))
    return tmp_path


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


async def stuck(exchange: Exchange) -> None:
    await exchange.gone()


# Sources


async def test_every_kind_of_source_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "path.png"
    path.write_bytes(LARGE)
    async with service() as running:
        upload = running.session.upload
        with path.open("rb") as file:
            file.seek(9)
            found = [
                await upload(path),
                await upload(LARGE, filename="bytes.png"),
                await upload(io.BytesIO(LARGE), filename="memory.png"),
                await upload(file, filename="file.png"),
                await upload(StreamSource(Again(LARGE), len(LARGE), "again.png")),
                await upload(one_shot()),
            ]
        assert running.stored == {
            "path.png": LARGE,
            "bytes.png": LARGE,
            "memory.png": LARGE,
            "file.png": LARGE[9:],
            "again.png": LARGE,
            "stream.png": LARGE,
        }
    assert found[0] == UploadedFile(
        file_id="id-of-path.png", filename="path.png", content_type="image/png"
    )


async def test_source_that_cannot_be_read_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    text = (tmp_path / "text.png").open("w+")
    sources: list[Any] = [
        tmp_path,
        tmp_path / "missing.png",
        b"",
        text,
        StreamSource(chunks(b""), 0, "empty.png"),
        StreamSource(chunks(b""), 1.5, "half.png"),  # type: ignore[arg-type]  # that is the point
        None,
    ]
    async with service() as running:
        for source in sources:
            with pytest.raises(UploadError):
                await running.session.upload(source)
        with pytest.raises(UploadGroupError) as raised:
            await running.session.upload_many(sources)
        assert len(raised.value.exceptions) == len(sources)
        assert not running.api.requests
    text.close()


@pytest.mark.parametrize(
    ("parts", "size", "words"),
    [
        ([LARGE[:-1]], len(LARGE), "ended after"),
        ([], 10, "ended after 0 of 10 bytes"),
        ([LARGE, b"x"], len(LARGE), "gave more than its"),
        ([LARGE + b"x"], len(LARGE), "gave more than its"),
        ([b"x" * 20], 10, "gave more than its 10 bytes"),
    ],
)
async def test_stream_of_the_wrong_size_never_becomes_a_file(
    parts: list[bytes], size: int, words: str
) -> None:
    for source in (chunks(*parts), Again(*parts)):
        async with service() as running:
            with pytest.raises(UploadError, match=f"photo.png: {words}"):
                await running.session.upload(StreamSource(source, size, "photo.png"))
            await running.storage.until(lambda running=running: running.storage.open == 0)
            assert len(running.puts) <= 1  # what is found out in time is not even begun
            assert not running.stored


async def test_file_that_shrinks_while_it_goes_up_is_named(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(LARGE)

    def shrink(progress: UploadProgress) -> None:
        if progress.sent:
            os.truncate(path, BLOCK + 5)

    async with service() as running:
        with pytest.raises(UploadError, match=r"front\.png: ended after .* of"):
            await running.session.upload(path, on_progress=shrink)
        assert len(running.puts) == 1
        assert not running.stored


async def test_file_that_grows_while_it_goes_up_is_named(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(PNG)
    async with service(on_ticket=lambda: path.write_bytes(LARGE) and None) as running:
        with pytest.raises(UploadError, match=r"front\.png: grew while it was read"):
            await running.session.upload(path)
        assert not running.stored


async def test_file_that_vanishes_while_it_waits_for_its_url_is_named(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(PNG)
    async with service(on_ticket=path.unlink) as running:
        with pytest.raises(UploadError, match=r"front\.png: cannot be read \(No such file"):
            await running.session.upload(path)
        assert not running.stored


async def test_file_that_vanishes_under_way_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(LARGE)
    async with service() as running:
        await running.session.upload(
            path,
            on_progress=lambda progress: (
                path.unlink(missing_ok=bool(progress.sent) or True) if progress.sent else None
            ),
        )
        assert running.stored == {"front.png": LARGE}


@pytest.mark.parametrize("sources", ["front.png", b"bytes", Path("front.png"), io.BytesIO(PNG)])
async def test_single_source_where_many_are_wanted_is_refused(sources: Any) -> None:
    """A text can be iterated, and so can a file: letter by letter, line by line."""
    async with service() as running:
        with pytest.raises(InvalidRequestError, match=r"sources: .*use upload\(\)"):
            await running.session.upload_many(sources)
        assert not running.api.requests


# Faults of the storage


async def test_expired_url_is_replaced_by_a_fresh_one(sandbox: Sandbox, session: Session) -> None:
    sandbox.faults.upload_url_expired = 2
    assert (await session.upload(PNG)).file_id
    assert sandbox.books.api_requests["POST /upload"] == 3


async def test_url_that_is_always_expired_is_an_error_in_the_storages_words(
    sandbox: Sandbox,
) -> None:
    sandbox.faults.upload_url_expired = 99
    async with Session(token=sandbox.token, base_url=sandbox.url, max_retries=1) as session:
        with pytest.raises(UploadError, match=r"AccessDenied: Request has expired") as raised:
            await session.upload(PNG, filename="front.png")
    assert "front.png" in str(raised.value)
    assert "X-Amz-Signature" not in "".join(traceback.format_exception(raised.value))
    assert sandbox.books.api_requests["POST /upload"] == 2


@pytest.mark.parametrize("fault", ["storage_errors", "upload_reset"])
async def test_readable_source_is_sent_again_after_a_fault_with_the_same_url(
    sandbox: Sandbox, session: Session, fault: str
) -> None:
    setattr(sandbox.faults, fault, 1)
    await session.upload(LARGE)
    assert sandbox.faults.counts[fault] == 1
    assert sandbox.books.api_requests["POST /upload"] == 1


async def test_stalled_upload_is_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(LARGE)

    async def stuck_once(exchange: Exchange) -> None:
        await (stuck if len(running.puts) == 1 else accept)(exchange)

    async with service(stuck_once, timeout=0.2) as running:
        await running.session.upload(path)
        assert len(running.puts) == 2
        assert running.stored == {"front.png": LARGE}


@pytest.mark.parametrize("fault", ["storage_errors", "upload_reset", "upload_url_expired"])
async def test_source_that_cannot_be_read_again_is_not_sent_again(
    sandbox: Sandbox, session: Session, fault: str
) -> None:
    setattr(sandbox.faults, fault, 1)
    with pytest.raises(UploadError, match=r"stream\.png: .*cannot be read again") as raised:
        await session.upload(one_shot())
    assert raised.value.__cause__ is not None
    assert sandbox.books.api_requests["POST /upload"] == 1


async def test_source_that_cannot_be_read_again_is_repeated_while_nothing_was_read() -> None:
    """The storage's port is closed at first."""

    async def flaky(exchange: Exchange, body: Any) -> bool:
        if len(running.api.requests) > 1:
            return False
        await exchange.answer_json({"error": "busy"}, 503)
        return True

    async with service(api=flaky) as running:
        await running.session.upload(one_shot())
        assert running.stored == {"stream.png": LARGE}


async def test_refusal_by_the_storage_is_not_repeated() -> None:
    async def refuse(exchange: Exchange) -> None:
        xml = b"<Error><Code>EntityTooLarge</Code><Message>Too big</Message></Error>"
        await exchange.answer(400, xml)

    async with service(refuse) as running:
        with pytest.raises(UploadError, match="EntityTooLarge: Too big"):
            await running.session.upload(PNG)
        assert len(running.puts) == 1


async def test_failure_to_get_a_url_stays_what_it_is() -> None:
    async def refuse(exchange: Exchange, body: Any) -> bool:
        await exchange.answer_json({"error": "bad token"}, 401)
        return True

    async with service(api=refuse) as running:
        with pytest.raises(AuthenticationError, match="401 on POST /upload"):
            await running.session.upload(PNG)


async def test_ticket_with_a_url_that_is_none_is_an_error_of_one_source() -> None:
    async def odd(exchange: Exchange, body: Any) -> bool:
        if body["filename"] != "0.png":
            return False
        ticket = {"upload_url": "ftp://x/y", "file_id": "f", "filename": "n", "content_type": "c"}
        await exchange.answer_json(ticket)
        return True

    async with service(api=odd) as running:
        sources = [StreamSource(Again(PNG), len(PNG), f"{number}.png") for number in range(3)]
        outcomes = [each async for each in running.session.upload_each(sources)]
    failed = [outcome for outcome in outcomes if outcome.error]
    assert [(each.source, type(each.error)) for each in failed] == [
        (sources[0], ResponseFormatError)
    ]


async def test_progress_goes_up_to_the_size_and_back_to_zero_for_another_attempt() -> None:
    async def reset_once(exchange: Exchange) -> None:
        if len(running.puts) == 1:
            await exchange.some(BLOCK)
            exchange.reset()
        else:
            await exchange.answer()

    told: list[int] = []
    async with service(reset_once) as running:
        await running.session.upload(LARGE, on_progress=lambda each: told.append(each.sent))
    again = told.index(0, 1)
    for attempt in (told[:again], told[again:]):
        assert attempt == sorted(attempt)
    assert told[-1] == len(LARGE)
    assert told.count(0) == 2


# Many


async def test_upload_many_keeps_the_order_of_the_sources(folder: Path) -> None:
    """Although the first to arrive is the last in order."""
    gates = [asyncio.Event() for _ in range(10)]

    async def backwards(exchange: Exchange) -> None:
        number = int(exchange.target[1])
        if number < 9:
            await gates[number + 1].wait()
        await exchange.answer()
        gates[number].set()

    async with service(backwards, upload_concurrency=10) as running:
        files = await running.session.upload_many(paths(folder))
    assert [file.filename for file in files] == [f"{number}.png" for number in range(10)]


async def test_upload_many_tells_what_arrived_when_some_did_not(folder: Path) -> None:
    sources = [*paths(folder)[:3], folder / "missing.png", folder]
    async with service() as running:
        with pytest.raises(UploadGroupError, match="2 of 5 uploads failed") as raised:
            await running.session.upload_many(iter(sources))
    assert list(raised.value.uploaded) == sources[:3]
    assert raised.value.uploaded[sources[0]].file_id == "id-of-0.png"
    assert ["missing.png" in str(error) for error in raised.value.exceptions] == [True, False]


async def test_upload_many_of_nothing_is_nothing() -> None:
    async with service() as running:
        assert await running.session.upload_many([]) == []


async def test_one_failure_stops_nothing(folder: Path) -> None:
    sources: list[Any] = paths(folder)
    sources[2:2] = [folder / "missing.png", b"", None, one_shot(b"")]

    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError(5, "disk on fire")

    sources.append(StreamSource(failing(), 6, "failing.png"))
    async with service() as running:
        outcomes = {each.source: each async for each in running.session.upload_each(sources)}
    assert len(outcomes) == 15
    assert sum(outcome.file is not None for outcome in outcomes.values()) == 10
    for outcome in outcomes.values():
        assert (outcome.file is None) != (outcome.error is None)
        assert outcome.error is None or isinstance(outcome.error, UploadError)
    assert "failing.png: its chunks failed (OSError" in str(outcomes[sources[-1]].error)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_million_sources_start_at_once_and_are_drawn_as_they_are_consumed(kind: str) -> None:
    drawn: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(1_000_000):
            drawn.append(number)
            yield PNG

    async def endless_async() -> AsyncIterator[bytes]:
        for source in endless():
            yield source

    async with service(upload_concurrency=3) as running:
        sources: Any = endless() if kind == "sync" else endless_async()
        consumed = 0
        async with aclosing(running.session.upload_each(sources)) as outcomes:  # type: ignore[type-var]
            async for outcome in outcomes:
                assert outcome.file is not None
                consumed += 1
                assert len(drawn) <= consumed + 2 * 3
                if consumed == 50:
                    # A consumer that stands still stops the drawing.
                    await running.storage.until(lambda: len(running.puts) == 50 + 2 * 3)
                    break
        if kind == "async":
            await sources.aclose()
    assert len(drawn) <= 50 + 2 * 3


async def test_leaving_the_loop_ends_what_is_under_way(folder: Path) -> None:
    """No task, no open file, no connection; not even aclose() is called."""
    before = open_files()
    (folder / "0.png").write_bytes(PNG)
    for path in paths(folder)[1:]:
        path.write_bytes(LARGE * 20)

    async def only_small(exchange: Exchange) -> None:
        await (accept if exchange.target.startswith("/0.png") else stuck)(exchange)

    async with service(only_small) as running:
        async for outcome in running.session.upload_each(paths(folder)):
            assert outcome.file is not None
            await running.storage.until(lambda: len(running.puts) == 8)
            break
        gc.collect()
        await turns(lambda: not tasks("piktid upload"))
        await running.storage.until(lambda: running.storage.open <= 1)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        assert open_files() == before


async def test_cancelled_upload_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(LARGE * 20)
    before = open_files()
    async with service(stuck) as running:
        task = asyncio.create_task(running.session.upload(path))
        await running.storage.until(lambda: len(running.puts) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await running.storage.until(lambda: running.storage.open == 0)
        await turns(lambda: open_files() == before)
        # Its place is free again.
        async with asyncio.timeout(5):
            await asyncio.gather(
                *(running.session._runtime.connect().uploads.acquire() for _ in range(8))
            )


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_error_of_the_iterable_comes_out_after_what_was_drawn_before(
    folder: Path, kind: str
) -> None:
    def broken() -> Iterator[Path]:
        yield from paths(folder)[:3]
        raise LookupError("catalogue is gone")

    async def broken_async() -> AsyncIterator[Path]:
        for path in broken():
            yield path

    outcomes: list[UploadOutcome] = []

    async def consume(session: Session) -> None:
        async for outcome in session.upload_each(broken() if kind == "sync" else broken_async()):
            outcomes.append(outcome)  # noqa: PERF401  (kept when the loop raises)

    async with service() as running:
        with pytest.raises(LookupError, match="catalogue is gone"):
            await consume(running.session)
        assert len(outcomes) == 3
        assert not tasks("piktid upload")
        with pytest.raises(LookupError):
            await running.session.upload_many(broken())


@pytest.mark.parametrize("error", [LookupError("mine"), OSError(32, "mine")])
async def test_error_of_the_progress_callback_comes_out(folder: Path, error: Exception) -> None:
    def on_progress(progress: UploadProgress) -> None:
        raise error

    async with service() as running:
        for work in (
            running.session.upload(PNG, on_progress=on_progress),
            running.session.upload_many(paths(folder), on_progress=on_progress),
        ):
            with pytest.raises(type(error), match="mine"):
                await work
        assert not tasks("piktid upload")


@pytest.mark.parametrize("source", [LARGE * 20, one_shot(LARGE * 20)], ids=["bytes", "stream"])
async def test_closing_the_session_ends_an_upload_at_once(source: Any) -> None:
    async with service(stuck) as running:
        task = asyncio.create_task(running.session.upload(source))
        await running.storage.until(lambda: len(running.puts) == 1)
        async with asyncio.timeout(2):
            await running.session.close()
            with pytest.raises(SessionClosedError):
                await task
        await running.storage.until(lambda: running.storage.open == 0)
        assert len(running.puts) == 1


async def test_closing_the_session_ends_many_uploads_at_once(folder: Path) -> None:
    async def each(session: Session) -> None:
        async for _ in session.upload_each(paths(folder)):
            pass

    async with service(stuck) as running:
        work = [
            asyncio.create_task(running.session.upload_many(paths(folder))),
            asyncio.create_task(each(running.session)),
        ]
        await running.storage.until(lambda: len(running.puts) == 8)
        async with asyncio.timeout(2):
            await running.session.close()
            outcomes = await asyncio.gather(*work, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SessionClosedError] * 2
        await running.storage.until(lambda: running.storage.open == 0)
        with pytest.raises(SessionClosedError):
            await running.session.upload(PNG)


# Bounds


@pytest.mark.parametrize("size", [20_000, 1_000_000])
async def test_hundred_files_take_exactly_as_many_connections_as_allowed(
    sandbox: Sandbox, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(os.urandom(size))
    async with Session(token=sandbox.token, base_url=sandbox.url, upload_concurrency=5) as session:
        files = await session.upload_many([path] * 100)
    assert len({file.file_id for file in files}) == 100
    assert sandbox.books.storage_put_connections == 5
    assert not sandbox.books.authorization_seen_by_storage


async def test_signed_url_never_waits_for_a_free_place(folder: Path) -> None:
    async with service(upload_concurrency=3) as running:
        await asyncio.gather(
            running.session.upload_many(paths(folder) * 5),
            running.session.upload_many(paths(folder) * 5),
            *(running.session.upload(path) for path in paths(folder)),
        )
        assert running.tickets == 110
        assert running.most_outstanding <= 3
        assert running.storage.connections <= 3


SINK = """
import asyncio, sys

async def serve():
    async def take(reader, writer):
        head = await reader.readuntil(b"\\r\\n\\r\\n")
        left = int(head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0])
        while left:
            data = await reader.read(1 << 20)
            if not data:
                return
            left -= len(data)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(serve())
"""


@pytest.fixture
def roomy() -> Iterator[Path]:
    """A folder in memory, where there is one: holes on disk take the page cache half a minute."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


async def test_ten_gigabytes_go_up_without_growing(roomy: Path) -> None:
    """The sink is a process of its own, so that what is measured is the client."""
    path = roomy / "huge.png"
    size = 10 * 1024**3
    with path.open("wb") as file:
        file.truncate(size)
    sink = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SINK,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert sink.stdin is not None
    assert sink.stdout is not None
    port = int(await sink.stdout.readline())

    async def to_the_sink(exchange: Exchange, body: Any) -> bool:
        await exchange.answer_json(
            {
                "upload_url": f"http://127.0.0.1:{port}/{body['filename']}",
                "file_id": "f",
                "filename": body["filename"],
                "content_type": "image/png",
            }
        )
        return True

    most = {"memory": 0, "descriptors": 0, "threads": 0}
    told: list[int] = []

    def measure(progress: UploadProgress) -> None:
        told.append(progress.sent)
        if len(told) % 40 == 0:
            most["memory"] = max(most["memory"], resident())
            most["descriptors"] = max(most["descriptors"], descriptors())
            most["threads"] = max(most["threads"], threads())

    try:
        async with service(api=to_the_sink) as running:
            await running.session.upload(PNG)  # whatever is loaded late is loaded now
            gc.collect()
            before = resident(), descriptors(), threads()
            busy = time.process_time()
            async with asyncio.timeout(100):
                await running.session.upload(path, on_progress=measure)
            busy = time.process_time() - busy
    finally:
        sink.stdin.close()
        await sink.wait()
    assert told[-1] == size
    assert busy < 30.0  # not by the clock: the machine may have other things to do
    assert most["memory"] - before[0] < 50 * 1024**2
    assert most["descriptors"] - before[1] <= 4
    # The threads that read what the page cache does not hold.
    assert most["threads"] - before[2] <= 32


async def test_upload_gives_the_loop_a_turn_every_few_blocks(tmp_path: Path) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(LARGE * 20)
    sent = sent_at_last_turn = longest = 0

    async def beat() -> None:
        nonlocal sent_at_last_turn
        while True:
            sent_at_last_turn = sent
            await asyncio.sleep(0)

    def on_progress(progress: UploadProgress) -> None:
        nonlocal sent, longest
        sent = progress.sent
        longest = max(longest, sent - sent_at_last_turn)

    async with service() as running:
        task = asyncio.create_task(beat())
        await running.session.upload(path, on_progress=on_progress)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert running.stored["front.png"] == LARGE * 20
    assert longest <= 1024 * 1024


async def test_errors_of_uploads_show_neither_token_nor_signature() -> None:
    async def reset(exchange: Exchange) -> None:
        await exchange.some(10)
        exchange.reset()

    async with service(reset, max_retries=0) as running:
        with pytest.raises(UploadError) as raised:
            await running.session.upload(LARGE * 10)
    assert isinstance(raised.value.__cause__, ConnectionFailedError)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert "c0ffee" not in shown
    assert "sekrit" not in shown
    assert isinstance(raised.value, PiktidError)
