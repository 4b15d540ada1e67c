from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from piktid_async.errors import UploadError
from piktid_async.models.images import StreamSource
from piktid_async.sources import BLOCK, Opened, describe
from piktid_async.transport.base import Body
from tests.services.process import open_files

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3000
"""Three blocks, the last one short."""


async def chunks(*parts: Any) -> AsyncIterator[Any]:
    for part in parts:
        yield part


async def read(body: Body) -> bytes:
    """Read one pass as the transport does."""
    reader = body.open()
    try:
        parts = []
        while block := await reader.read():
            assert len(block) <= BLOCK
            parts.append(block)
        return b"".join(parts)
    finally:
        reader.close()


def described(source: Any, filename: str | None = None) -> Opened:
    return describe(source, filename)


def refused(source: Any, filename: str | None = None) -> str:
    with pytest.raises(UploadError) as raised:
        describe(source, filename)
    return str(raised.value)


@contextmanager
def nobody() -> Iterator[None]:
    """Go without root's rights, if the tests have them."""
    uid = os.getuid()
    if uid == 0:
        os.setresuid(65534, 65534, 0)
    try:
        yield
    finally:
        if uid == 0:
            os.setresuid(0, 0, 0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Again:
    """An async iterable that begins anew each time."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return chunks(*self.parts)


# What is taken


async def test_every_kind_of_source_gives_its_bytes_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    with path.open("rb") as file, io.FileIO(str(path)) as raw:
        sources = [
            path,
            str(path),
            PICTURE,
            io.BytesIO(PICTURE),
            file,
            raw,
            StreamSource(Again(PICTURE[:7], b"", PICTURE[7:]), len(PICTURE), "front.jpg"),
        ]
        for source in sources:
            opened = described(source)
            assert opened.repeatable
            assert opened.body.size == len(PICTURE)
            assert await read(opened.body) == PICTURE
            assert await read(opened.body) == PICTURE


async def test_file_object_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(b"header" + PICTURE)
    with path.open("rb") as file:
        file.seek(6)
        opened = described(file)
        assert file.tell() == 6
        assert opened.body.size == len(PICTURE)
        assert await read(opened.body) == PICTURE
        assert await read(opened.body) == PICTURE
        assert not file.closed


async def test_running_generator_is_read_once(tmp_path: Path) -> None:
    opened = described(StreamSource(chunks(b"abc", bytearray(b"de"), memoryview(b"f")), 6))
    assert not opened.repeatable
    assert await read(opened.body) == b"abcdef"
    with pytest.raises(UploadError, match="<stream>: the stream cannot be read a second time"):
        opened.body.open()


async def test_large_chunk_of_a_stream_is_given_in_blocks() -> None:
    opened = described(StreamSource(chunks(PICTURE), len(PICTURE)))
    assert await read(opened.body) == PICTURE


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("front.jpg", "front.jpg"),
        ("/home/me/front.jpg", "front.jpg"),
        ("C:\\photos\\front.jpg", "front.jpg"),
        ("fr\r\nont\x00.jpg", "front.jpg"),
        ("  ", None),
        ("dir/", None),
        ("ü" * 300 + ".jpg", "ü" * 196 + ".jpg"),
    ],
)
def test_filename_is_the_last_part_without_control_characters(given: str, name: str | None) -> None:
    assert described(PICTURE, given).filename == name


def test_bytes_without_a_name_are_named_by_what_they_are() -> None:
    """The service chooses the content type by the extension."""
    name = described(PICTURE).filename
    assert name is not None
    assert name.endswith(".jpg")
    assert described(b"anything").filename is None
    name = described(io.BytesIO(b"\x89PNG\r\n\x1a\n")).filename
    assert name is not None
    assert name.endswith(".png")


def test_name_on_disk_that_is_no_text_can_be_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    path.write_bytes(PICTURE)
    name = described(path).filename
    assert name == "caf?.jpg"
    name.encode()


def test_stream_takes_the_name_given_last() -> None:
    source = StreamSource(chunks(b"a"), 1, "own.jpg")
    assert described(source).filename == "own.jpg"
    assert described(source, "other.jpg").filename == "other.jpg"


# What is refused before anything is sent


def test_empty_source_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    assert "empty.jpg: is empty" in refused(path)
    assert "is empty" in refused(b"")
    assert "empty.jpg: is empty" in refused(b"", "empty.jpg")
    assert "is empty" in refused(io.BytesIO())
    assert "is empty" in refused(StreamSource(chunks(), 0))
    at_its_end = io.BytesIO(b"abc")
    at_its_end.seek(0, os.SEEK_END)
    assert "is empty" in refused(at_its_end)


def test_path_that_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    assert f"{tmp_path}: is no regular file" in refused(tmp_path)
    assert "pipe.jpg: is no regular file" in refused(tmp_path / "pipe.jpg")
    assert "missing.jpg: cannot be read (No such file" in refused(tmp_path / "missing.jpg")
    assert "dangling.jpg: cannot be read (No such file" in refused(tmp_path / "dangling.jpg")
    assert "loop.jpg: cannot be read (" in refused(tmp_path / "loop.jpg")
    assert "cannot be read (" in refused("nul\x00byte.jpg")
    assert "cannot be read (File name too long)" in refused("a" * 5000)


def test_unreadable_file_is_refused_by_name(open_folder: Path) -> None:
    path = open_folder / "secret.jpg"
    path.write_bytes(PICTURE)
    path.chmod(0)
    with nobody():
        assert "secret.jpg: may not be read (permission denied)" in refused(path)


def test_text_file_is_refused_even_if_its_bytes_are_no_text(tmp_path: Path) -> None:
    for content in (PICTURE, b"plain text"):
        path = tmp_path / "front.jpg"
        path.write_bytes(content)
        with path.open(encoding="utf-8") as file:
            assert "front.jpg: was opened as text; open it with mode 'rb'" in refused(file)
    assert "was opened as text" in refused(io.StringIO("abc"))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write("abc")
        file.seek(0)
        assert "mode 'rb'" in refused(file)


def test_file_object_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    with path.open("ab") as file:
        assert "front.jpg: was not opened for reading" in refused(file)
    with path.open("rb") as file:
        pass
    assert "front.jpg: cannot tell its size (I/O operation on closed file" in refused(file)


def test_file_object_without_a_size_is_referred_to_stream_source() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
        assert "cannot tell its size" in refused(pipe)
        assert "StreamSource" in refused(pipe)

    class Odd:
        def read(self, size: int = -1) -> bytes:
            return b""

        def tell(self) -> int:
            return 0

        def seek(self, *where: int) -> None:
            return None

    assert "<Odd>: cannot tell its size" in refused(Odd())


@pytest.mark.parametrize("size", [1.0, "7", None, True, -1])
def test_stream_needs_a_whole_size(size: Any) -> None:
    assert "photo.jpg: " in refused(StreamSource(chunks(b"a"), size, "photo.jpg"))


def test_stream_needs_an_async_iterable() -> None:
    assert "chunks must be an async iterable" in refused(StreamSource([b"a"], 1))  # type: ignore[arg-type]


@pytest.mark.parametrize("source", [None, 7, ["a.jpg"], bytearray(b"a"), {}])
def test_what_is_no_source_is_refused_by_its_type(source: Any) -> None:
    message = refused(source)
    assert type(source).__name__ in message
    assert "takes a path, bytes, a binary file or a StreamSource" in message


# What goes wrong while it is read


async def test_file_that_changes_after_it_was_looked_at_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    body = described(path).body
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(UploadError, match=r"front\.jpg: grew while it was read"):
        await read(body)
    os.truncate(path, 1000)
    assert len(await read(body)) == 1000  # the transport misses the rest
    path.unlink()
    with pytest.raises(UploadError, match=r"front\.jpg: cannot be read \(No such file"):
        body.open()


async def test_file_that_vanishes_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    reader = described(path).body.open()
    parts = [await reader.read()]
    path.unlink()
    while block := await reader.read():
        parts.append(block)
    reader.close()
    assert b"".join(parts) == PICTURE


async def test_file_object_that_is_closed_meanwhile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    with path.open("rb") as file:
        body = described(file).body
        reader = body.open()
    with pytest.raises(UploadError, match=r"front\.jpg: cannot be read \(.*closed file"):
        await reader.read()
    with pytest.raises(UploadError, match=r"front\.jpg: cannot be read again \(.*closed file"):
        body.open()


async def test_file_object_shared_by_two_uploads_is_noticed() -> None:
    """They would share its position, and each would get half of the bytes."""
    file = io.BytesIO(PICTURE)
    one, two = described(file).body.open(), described(file).body.open()
    await one.read()
    with pytest.raises(UploadError, match="was moved while it was read"):
        await two.read()


async def test_whatever_a_file_object_raises_is_that_sources_failure() -> None:
    class Remote(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise LookupError("bucket is gone")
            return super().read(size)

    source = Remote(PICTURE)
    source.name = "remote.jpg"  # type: ignore[attr-defined]
    with pytest.raises(UploadError, match=r"remote\.jpg: cannot be read \(.*bucket is gone"):
        await read(described(source).body)


@pytest.mark.parametrize("error", [OSError(5, "disk on fire"), LookupError("disk on fire")])
async def test_whatever_a_stream_raises_is_that_sources_failure(error: Exception) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise error

    body = described(StreamSource(failing(), 6, "photo.jpg")).body
    with pytest.raises(UploadError, match=r"photo\.jpg: its chunks failed .*on fire") as raised:
        await read(body)
    assert raised.value.__cause__ is error


async def test_stream_of_something_else_is_refused() -> None:
    body = described(StreamSource(chunks(b"abc", "def"), 6, "photo.jpg")).body
    with pytest.raises(UploadError, match=r"photo\.jpg: gave str instead of bytes"):
        await read(body)


async def test_descriptor_of_a_cancelled_read_is_closed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread may be in the read: the descriptor is closed behind it, and not kept."""
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    before = open_files()
    reader = described(path).body.open()
    task = asyncio.create_task(reader.read())  # type: ignore[arg-type]  # it is a coroutine
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    reader.close()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert open_files() == before


async def test_file_is_read_where_the_page_cache_cannot_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on tmpfs, macOS and Windows."""
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)
    path = tmp_path / "front.jpg"
    path.write_bytes(PICTURE)
    assert await read(described(path).body) == PICTURE


async def test_path_that_is_told_in_bytes_is_one(tmp_path: Path) -> None:
    class Told:
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "front.jpg")

    (tmp_path / "front.jpg").write_bytes(PICTURE)
    opened = described(Told())
    assert opened.filename == "front.jpg"
    assert await read(opened.body) == PICTURE
