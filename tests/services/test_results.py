from __future__ import annotations

import asyncio
import io
import os
import resource
import signal
import tempfile
import traceback
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from piktid_async import DownloadError, GarmentRecolor, Job, Session
from piktid_async.errors import ConnectionFailedError, OutputFailedError, SessionClosedError
from piktid_async.models.jobs import Output
from piktid_async.results import (
    BLOCK,
    Download,
    DownloadProgress,
    _write,
    fetched,
    save_output,
    save_zip,
)
from piktid_async.sandbox import Sandbox
from tests.services.process import open_files, turns
from tests.transport.servers import JPG, PNG, Exchange, Handler, Server, serve

LARGE = PNG + os.urandom(3 * BLOCK)


@attrs.define(eq=False)
class Service:
    """A storage that the test misuses, and a session whose results lie there."""

    storage: Server
    session: Session

    @property
    def runtime(self) -> Any:
        return self.session._runtime

    def output(self, path: str = "/image", **changes: Any) -> Output:
        url = f"{self.storage.url}{path}?X-Sig=c0ffee"
        return Output(
            **{"job_id": "j", "image_index": 0, "group_index": 1, "status": "completed", "url": url}
            | changes
        )

    async def save(self, path: Path) -> Path:
        return await save_output(self.runtime, self.output(), path)


@asynccontextmanager
async def service(handler: Handler, **options: Any) -> AsyncIterator[Service]:
    async with (
        serve(handler) as storage,
        Session(token="sekrit", base_url=storage.url, **{"max_retries": 1} | options) as session,
    ):
        yield Service(storage, session)


def sending(body: bytes, status: int = 200) -> Handler:
    async def send(exchange: Exchange) -> None:
        await exchange.answer(status, body)

    return send


# Whole files


async def test_output_is_saved_to_exactly_the_path_and_replaces_what_is_there(
    tmp_path: Path,
) -> None:
    target = tmp_path / "new" / "folder" / "image.anything"
    async with service(sending(LARGE)) as running:
        assert await running.save(target) == target
        target.write_bytes(b"old")
        assert await running.save(target) == target
    assert target.read_bytes() == LARGE
    assert os.listdir(target.parent) == ["image.anything"]  # noqa: PTH208  (hidden ones too)


async def test_chunked_answer_of_unknown_size_is_saved_whole(tmp_path: Path) -> None:
    async def chunked(exchange: Exchange) -> None:
        await exchange.head(200, [("Transfer-Encoding", "chunked")])
        for start in range(0, len(LARGE), 100_000):
            part = LARGE[start : start + 100_000]
            await exchange.send(b"%x\r\n%s\r\n" % (len(part), part))
        await exchange.send(b"0\r\n\r\n")

    async with service(chunked) as running:
        await running.save(tmp_path / "image.png")
    assert (tmp_path / "image.png").read_bytes() == LARGE


async def test_fault_is_repeated_and_leaves_one_whole_file(tmp_path: Path) -> None:
    async def twice(exchange: Exchange) -> None:
        await [cut, reset, sending(LARGE)][len(running.storage.requests) - 1](exchange)

    async with service(twice, max_retries=2) as running:
        await running.save(tmp_path / "image.png")
        assert len(running.storage.requests) == 3
    assert (tmp_path / "image.png").read_bytes() == LARGE
    assert left_in(tmp_path) == ["image.png"]


async def test_progress_tells_bytes_and_begins_anew_with_each_attempt(tmp_path: Path) -> None:
    async def once(exchange: Exchange) -> None:
        await (cut if len(running.storage.requests) == 1 else sending(LARGE))(exchange)

    told: list[tuple[int, int | None]] = []
    async with service(once) as running:
        download = Download(
            url=running.output().url or "",
            label="image",
            max_bytes=len(LARGE),
            on_received=lambda *each: told.append(each),
        )
        async with fetched(running.runtime, download, tmp_path) as (part, extension):
            assert part.read_bytes() == LARGE
            assert extension == "png"
    assert told.count((0, len(LARGE))) == 2
    assert told[-1] == (len(LARGE), len(LARGE))
    assert left_in(tmp_path) == []


# Or none


async def cut(exchange: Exchange) -> None:
    await exchange.head(200, [("Content-Length", str(len(LARGE)))])
    await exchange.send(LARGE[:-1])
    exchange.hang_up()


async def reset(exchange: Exchange) -> None:
    await exchange.head(200, [("Content-Length", str(len(LARGE)))])
    await exchange.send(LARGE[: BLOCK + 1000])
    exchange.reset()


async def cut_chunks(exchange: Exchange) -> None:
    await exchange.head(200, [("Transfer-Encoding", "chunked")])
    await exchange.send(b"%x\r\n%s\r\n" % (len(PNG), PNG))
    exchange.hang_up()


async def silent(exchange: Exchange) -> None:
    await exchange.head(200, [("Content-Length", str(len(LARGE)))])
    await exchange.send(LARGE[: BLOCK + 1000])
    await exchange.gone()


async def packed(exchange: Exchange) -> None:
    await exchange.answer(200, b"\x1f\x8b junk", [("Content-Encoding", "gzip")])


FAULTS = {
    "cut": (cut, "broke"),
    "reset": (reset, "broke"),
    "cut chunks": (cut_chunks, "broke"),
    "silent": (silent, "no answer in time"),
    "empty": (sending(b""), "is no picture"),
    "html": (sending(b"<html>Please log in</html>"), "is no picture"),
    "json": (sending(b'{"error": "gone"}'), "is no picture"),
    "packed": (packed, "is no picture"),
    "404": (sending(PNG, 404), "404 on GET <result URL>"),
    "403": (sending(b"<Error><Code>AccessDenied</Code></Error>", 403), "403 on GET"),
    "503": (sending(b"", 503), "503 on GET"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_fault_leaves_no_file_and_what_was_there_as_it_was(tmp_path: Path, name: str) -> None:
    fault, words = FAULTS[name]
    target = tmp_path / "image.png"
    target.write_bytes(b"old")
    async with service(fault, timeout=0.3) as running:
        with pytest.raises(DownloadError, match=words) as raised:
            await running.save(target)
        with pytest.raises(DownloadError):
            await running.save(tmp_path / "new.png")
        # What a repeat may cure is repeated once, each time.
        curable = name in ("cut", "reset", "cut chunks", "silent", "503")
        assert len(running.storage.requests) == (4 if curable else 2)
    assert "output 0_1_v0 of job j" in str(raised.value)
    assert left_in(tmp_path) == ["image.png"]
    assert target.read_bytes() == b"old"
    assert "c0ffee" not in "".join(traceback.format_exception(raised.value))
    assert not [path for path in open_files() if path.startswith(str(tmp_path))]


async def test_more_than_announced_is_not_part_of_the_file(tmp_path: Path) -> None:
    async def generous(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Length", str(len(PNG)))])
        await exchange.send(PNG + b"HTTP/1.1 200 OK\r\n\r\nsurplus")

    async with service(generous) as running:
        await running.save(tmp_path / "image.png")
        await running.save(tmp_path / "again.png")
    assert (tmp_path / "image.png").read_bytes() == PNG
    assert (tmp_path / "again.png").read_bytes() == PNG


async def test_less_than_announced_is_noticed_whatever_the_transport_says(tmp_path: Path) -> None:
    @attrs.frozen
    class Short:
        size: int = len(PNG) + 1
        content_type: str = "image/png"

        async def blocks(self) -> AsyncIterator[bytes]:
            yield PNG

    download = Download(url="", label="image", max_bytes=1 << 30)
    with pytest.raises(ConnectionFailedError, match="the answer broke off"):
        await _write(Short(), download, tmp_path / "part")


@pytest.mark.parametrize("announced", [True, False])
async def test_answer_that_is_too_long_is_cut_off(tmp_path: Path, announced: bool) -> None:
    async def endless(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Length", str(1 << 50))] if announced else [])
        while not announced:
            await exchange.send(LARGE)
        await exchange.gone()

    async def fetch(download: Download) -> None:
        async with fetched(running.runtime, download, tmp_path):
            pass

    async with service(endless) as running:
        url = running.output().url or ""
        with pytest.raises(DownloadError, match="huge: longer than 5000000 bytes"):
            await fetch(Download(url=url, label="huge", max_bytes=5_000_000))
        await running.storage.until(lambda: running.storage.open == 0)
        assert len(running.storage.requests) == 1
    assert left_in(tmp_path) == []


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond that: the disk is as good as full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("size", [0, 1000, BLOCK + 1000, len(LARGE) - 1])
async def test_full_disk_leaves_no_file(tmp_path: Path, size: int) -> None:
    async with service(sending(LARGE)) as running:
        with (
            files_up_to(size),
            pytest.raises(DownloadError, match=r"cannot be written \(File too large\)") as raised,
        ):
            await running.save(tmp_path / "image.png")
        assert len(running.storage.requests) == 1  # trying again does not help
    assert isinstance(raised.value.__cause__, OSError)
    assert left_in(tmp_path) == []


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


async def test_folder_that_cannot_be_written_is_named_before_anything_is_fetched(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    async with service(sending(PNG)) as running:
        with pytest.raises(DownloadError, match=r"cannot be written \((Not a|File exists)"):
            await running.save(tmp_path / "file" / "image.png")
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o555)
            with nobody(), pytest.raises(DownloadError, match=r"written \(Permission denied\)"):
                await running.save(Path(name) / "new" / "image.png")
        assert not running.storage.requests
        with tempfile.TemporaryDirectory() as name:
            Path(name).chmod(0o555)
            with nobody(), pytest.raises(DownloadError, match=r"written \(Permission denied\)"):
                await running.save(Path(name) / "image.png")


async def test_target_that_is_a_folder_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "image.png").mkdir()
    async with service(sending(PNG)) as running:
        with pytest.raises(DownloadError, match=r"cannot be written \(Is a directory\)"):
            await running.save(tmp_path / "image.png")
    assert left_in(tmp_path) == ["image.png"]


@pytest.mark.parametrize("block", range(8))
async def test_cancelling_at_any_block_leaves_no_file(tmp_path: Path, block: int) -> None:
    """Also while a thread writes, and right after the headers."""
    task: asyncio.Task[Path]

    async def slow(exchange: Exchange) -> None:
        await exchange.head(200, [("Content-Length", str(len(LARGE)))])
        for number in range(8):
            if number == block:
                task.cancel()
            await exchange.send(LARGE[number * len(LARGE) // 8 : (number + 1) * len(LARGE) // 8])
        await exchange.gone()

    async with service(slow) as running:
        task = asyncio.create_task(running.save(tmp_path / "image.png"))
        with pytest.raises(asyncio.CancelledError):
            await task
        await running.storage.until(lambda: running.storage.open == 0)
        await all_closed(tmp_path)
    assert left_in(tmp_path) == []


async def test_cancelling_at_any_turn_of_the_loop_leaves_no_file(tmp_path: Path) -> None:
    async with service(sending(LARGE)) as running:
        for turn in range(40):
            folder = tmp_path / str(turn)
            task = asyncio.create_task(running.save(folder / "image.png"))
            for _ in range(turn * 3):
                await asyncio.sleep(0)
            task.cancel()
            ended = await asyncio.gather(task, return_exceptions=True)
            await all_closed(tmp_path)
            whole = isinstance(ended[0], Path)
            if folder.exists():
                assert left_in(folder) == (["image.png"] if whole else [])


async def all_closed(folder: Path) -> None:
    """Return when no file in the folder is open any more: a thread may still be at it."""
    await turns(
        lambda: not [path for path in open_files() if path.startswith(str(folder))], most=20_000
    )


async def test_closing_the_session_ends_a_download_at_once(tmp_path: Path) -> None:
    async with service(silent, timeout=60.0) as running:
        task = asyncio.create_task(running.save(tmp_path / "image.png"))
        await turns(lambda: bool(left_in(tmp_path)), most=100_000)
        async with asyncio.timeout(5):
            await running.session.close()
            with pytest.raises((SessionClosedError, DownloadError)):
                await task
        assert len(running.storage.requests) == 1
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("error", [LookupError("mine"), OSError(32, "mine")])
async def test_error_of_the_progress_callback_comes_out_and_leaves_no_file(
    tmp_path: Path, error: Exception
) -> None:
    def on_received(received: int, total: int | None) -> None:
        if received:
            raise error

    async def fetch(download: Download) -> None:
        async with fetched(running.runtime, download, tmp_path):
            pass

    async with service(sending(LARGE)) as running:
        url = running.output().url or ""
        download = Download(url=url, label="x", max_bytes=1 << 30, on_received=on_received)
        with pytest.raises(type(error), match="mine"):
            await fetch(download)
    assert left_in(tmp_path) == []


async def test_downloads_take_no_more_connections_than_allowed(tmp_path: Path) -> None:
    most = 0

    async def count(exchange: Exchange) -> None:
        nonlocal most
        most = max(most, running.storage.open)
        await exchange.answer(200, LARGE)

    async with service(count, download_concurrency=3) as running:
        await asyncio.gather(*(running.save(tmp_path / f"{each}.png") for each in range(30)))
        assert running.storage.connections == 3
    assert most == 3
    assert len(left_in(tmp_path)) == 30


async def test_redirect_of_a_result_is_followed_without_the_token(tmp_path: Path) -> None:
    async def hop(exchange: Exchange) -> None:
        if exchange.target.startswith("/image"):
            await exchange.answer(302, b"", [("Location", "/elsewhere%2F?sig=%28")])
        else:
            await exchange.answer(200, PNG)

    async with service(hop) as running:
        await running.save(tmp_path / "image.png")
        assert running.storage.requests[1].target == "/elsewhere%2F?sig=%28"
        for exchange in running.storage.requests:
            assert exchange.header("Authorization") is None
    assert (tmp_path / "image.png").read_bytes() == PNG


async def test_zip_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("0_0_v0.png", LARGE)
    for body, whole in ((packed.getvalue(), True), (PNG, False), (b"", False)):
        async with service(sending(body)) as running:
            url, path = f"{running.storage.url}/zip?X-Sig=c0ffee", tmp_path / "results.zip"
            if whole:
                assert await save_zip(running.runtime, url, "ZIP of job j", path) == path
            else:
                with pytest.raises(DownloadError, match="ZIP of job j: the answer is no ZIP file"):
                    await save_zip(running.runtime, url, "ZIP of job j", path)
        assert path.read_bytes() == packed.getvalue()
        assert left_in(tmp_path) == ["results.zip"]


# A job's results


@attrs.define(eq=False)
class Results:
    """An API whose one job is completed, and whose links are good for one reading."""

    server: Server
    images: dict[str, bytes]
    readings: int = 0
    expired: set[int] = attrs.field(factory=set)

    async def handle(self, exchange: Exchange) -> None:
        path, _, query = exchange.target.partition("?")
        if path == "/jobs/j/status":
            await exchange.answer_json({"job_id": "j", "status": "completed", "progress": 100})
        elif path == "/jobs/j/results":
            self.readings += 1
            await exchange.answer_json(
                {"job_id": "j", "status": "completed", "results": self.rows()}
            )
        elif int(query.removeprefix("reading=")) in self.expired:
            await exchange.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        else:
            await exchange.answer(200, self.images[path])

    def rows(self) -> list[Any]:
        def link(path: str) -> str:
            return f"{self.server.url}{path}?reading={self.readings}"

        return [
            {
                "image_index": number,
                "group_index": 0,
                "version": 0,
                "status": "completed",
                "output": {"full_size": link(path), "thumbnail": link(path)},
            }
            for number, path in enumerate(self.images)
        ]


@asynccontextmanager
async def completed_job(images: dict[str, bytes]) -> AsyncIterator[tuple[Results, Job]]:
    results: Results

    async def handle(exchange: Exchange) -> None:
        await results.handle(exchange)

    async with (
        serve(handle) as server,
        Session(token="sekrit", base_url=server.url, stream=False, max_retries=0) as session,
    ):
        results = Results(server, images)
        yield results, session.job("j", kind=GarmentRecolor, total_outputs=len(images))


async def test_files_of_a_job_are_named_by_their_place_and_their_bytes(tmp_path: Path) -> None:
    """Whatever the link or the content type says."""
    async with completed_job({"/a.jpg": PNG, "/b.png": JPG}) as (_, job):
        told: list[DownloadProgress] = []
        saved = await job.download(tmp_path, on_progress=told.append)
        assert saved == [tmp_path / "0_0_v0.png", tmp_path / "1_0_v0.jpg"]
        assert saved[0].read_bytes() == PNG
        assert saved[1].read_bytes() == JPG
        assert {each.received for each in told} >= {0, len(PNG), len(JPG)}
        with_thumbnails = await job.download(tmp_path, thumbnails=True)
    assert with_thumbnails[2:] == [
        tmp_path / "0_0_v0_thumbnail.png",
        tmp_path / "1_0_v0_thumbnail.jpg",
    ]
    assert len(left_in(tmp_path)) == 4


async def test_expired_links_are_read_anew_once_for_all(tmp_path: Path) -> None:
    images = {f"/{number}": PNG for number in range(20)}
    async with completed_job(images) as (results, job):
        await job.result(timeout=5)
        assert results.readings == 1
        results.expired.add(1)
        assert len(await job.download(tmp_path)) == 20
        assert results.readings == 2


async def test_links_that_stay_expired_are_an_error(tmp_path: Path) -> None:
    async with completed_job({"/0": PNG}) as (results, job):
        results.expired |= {1, 2, 3}
        with pytest.raises(DownloadError, match="403 on GET <result URL>"):
            await job.download(tmp_path)
        assert results.readings == 2
    assert left_in(tmp_path) == []


async def test_file_with_the_same_content_is_left_and_with_other_content_is_refused(
    tmp_path: Path,
) -> None:
    images = {"/0": PNG, "/1": PNG, "/2": PNG}
    async with completed_job(images) as (_, job):
        (tmp_path / "0_0_v0.png").write_bytes(PNG)
        (tmp_path / "1_0_v0.png").write_bytes(PNG[:-1] + b"x")
        with pytest.raises(DownloadError, match=r"1_0_v0\.png: the file exists with other") as got:
            await job.download(tmp_path)
        assert got.value.saved == (tmp_path / "0_0_v0.png", tmp_path / "2_0_v0.png")
        assert (tmp_path / "1_0_v0.png").read_bytes() == PNG[:-1] + b"x"
        assert len(left_in(tmp_path)) == 3
        assert len(await job.download(tmp_path, overwrite=True)) == 3
    assert (tmp_path / "1_0_v0.png").read_bytes() == PNG
    assert len(left_in(tmp_path)) == 3


async def test_output_without_a_link_is_an_error_without_a_request(tmp_path: Path) -> None:
    async with service(sending(PNG)) as running:
        failed = running.output(url=None, status="failed", error_message="unreadable image")
        with pytest.raises(DownloadError, match="the service has given no link"):
            await save_output(running.runtime, failed, tmp_path / "image.png")
        with pytest.raises(OutputFailedError, match="unreadable image"):
            await failed.save(tmp_path / "image.png")
        assert not running.storage.requests
    assert left_in(tmp_path) == []


async def test_output_of_a_real_job_saves_itself(
    sandbox: Sandbox, session: Session, tmp_path: Path
) -> None:
    project = await session.projects.ensure("spring")
    image = await session.upload(drawn_garment())
    job = await session.submit(
        GarmentRecolor(project=project, images=[image], reference_text="forest green")
    )
    async for output in job.outputs():
        path = await output.save(tmp_path / "one.jpg")
        assert path.stat().st_size > 100
    saved = await job.download(tmp_path / "all")
    assert [each.stem for each in saved] == ["0_0_v0"]
    assert zipfile.is_zipfile(await job.download_zip(tmp_path / "all.zip"))


def drawn_garment() -> bytes:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (200, 240), "#e8e6e2")
    ImageDraw.Draw(picture).rectangle((50, 50, 150, 200), fill="#c04030")
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()


def left_in(folder: Path) -> list[str]:
    """List everything, hidden part files too."""
    return sorted(path.name for path in folder.iterdir())
