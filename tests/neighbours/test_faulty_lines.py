"""The session over lines that are cut, stall, drip and reset, before a sandbox that is well."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path

import aiohttp
import attrs
import pytest
from yarl import URL

from piktid_async import (
    DownloadError,
    Job,
    RequestTimeoutError,
    SubmissionUnknownError,
    UploadedFile,
    UploadError,
)
from tests.neighbours.conftest import PICTURE, QUICK, OpenLines, refused
from tests.neighbours.tcp_proxy import Action, Way

SUBMIT = b"POST /garment-recolor"
STREAM = b"GET /notifications/events"
RESULTS = b"GET /jobs/"
ACK = b"DELETE /notifications/"

CUTS: list[Action] = ["reset", "close", "half_close"]


async def outputs_of(job: Job) -> Counter[tuple[int, int, int]]:
    return Counter([output.key async for output in job.outputs()])


def patience(action: Action) -> float:
    """How long a call may take: short where only that ends it."""
    return 0.8 if action == "stall" else 10.0


def whole(counter: Counter[tuple[int, int, int]], count: int) -> bool:
    """Whether so many outputs came, and each of them once."""
    return len(counter) == count and set(counter.values()) == {1}


# Uploads


@pytest.mark.parametrize("action", [*CUTS, "stall"])
@pytest.mark.parametrize(
    ("way", "after"),
    [("up", 0), ("up", 300), ("up", 20_000), ("down", 0), ("down", 12), ("down", b"\r\n")],
    ids=str,
)
async def test_an_upload_that_breaks_anywhere_arrives_whole_in_the_end(
    action: Action, way: Way, after: int | bytes, open_lines: OpenLines
) -> None:
    async with open_lines(timeout=patience(action)) as lines:
        fault = lines.storage.add(action, way, request=b"PUT ", after=after)
        file = await lines.session.upload(PICTURE)
        assert fault.happened == 1
        assert await stored(file) == PICTURE


async def test_a_dripping_line_uploads_the_same_bytes(open_lines: OpenLines) -> None:
    async with open_lines() as lines:
        lines.storage.add("drip", "up")
        lines.storage.add("drip", "down")
        file = await lines.session.upload(PICTURE[:5000])
        assert await stored(file) == PICTURE[:5000]


async def test_a_line_that_always_breaks_is_told_and_names_no_url(open_lines: OpenLines) -> None:
    async with open_lines(max_retries=1) as lines:
        fault = lines.storage.add("reset", "up", after=20_000, times=99)
        with pytest.raises(UploadError, match="connection") as raised:
            await lines.session.upload(PICTURE)
        assert fault.happened == 2
        assert lines.storage.bytes == {"up": 40_000, "down": 0}
        assert "X-Amz" not in str(raised.value)
        assert raised.value.retryable


async def stored(file: UploadedFile) -> bytes:
    """Return what the storage has of the upload."""
    assert file.download_url is not None
    url = URL(file.download_url, encoded=True)
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        assert answer.status == 200
        return await answer.read()


# Submissions: what costs money


@pytest.mark.parametrize("action", [*CUTS, "stall"])
@pytest.mark.parametrize(
    ("way", "after"),
    [
        ("up", 0),
        ("up", 40),
        ("up", b"\r\n\r\n"),
        ("up", b'"project_id"'),
        ("down", 0),
        ("down", 12),
        ("down", b"\r\n\r\n"),
        ("down", b'{"'),
    ],
    ids=str,
)
async def test_a_submission_that_breaks_anywhere_is_sent_once_and_in_doubt(
    action: Action, way: Way, after: int | bytes, open_lines: OpenLines
) -> None:
    async with open_lines(timeout=patience(action)) as lines:
        request = await lines.recolor()
        fault = lines.api.add(action, way, request=SUBMIT, after=after)
        with pytest.raises(SubmissionUnknownError) as raised:
            await lines.session.submit(request)
        assert fault.happened == 1
        made = lines.sandbox.books.jobs_created
        assert made == (1 if way == "down" else 0)
        assert lines.sandbox.books.api_requests[SUBMIT.decode()] <= 1
        job = await raised.value.reconcile()
        assert (job is not None) == bool(made)
        if job is not None:
            assert whole(await outputs_of(job), 1)
        assert lines.sandbox.books.jobs_created == made


async def test_events_that_overtake_the_answer_are_not_lost(open_lines: OpenLines) -> None:
    async with open_lines() as lines:
        request = await lines.recolor(num_variations=3)
        held = lines.api.add("stall", request=SUBMIT)
        async with lines.session.notifications() as feed:
            submitting = asyncio.create_task(lines.session.submit(request))
            while (await anext(feed)).data.get("status") != "completed":
                pass
        assert held.happened == 1
        assert not submitting.done()
        held.go.set()
        assert whole(await outputs_of(await submitting), 3)
        await lines.acknowledged()


async def test_a_submission_whose_answer_drips_is_known(open_lines: OpenLines) -> None:
    async with open_lines() as lines:
        request = await lines.recolor()
        lines.api.add("drip", "up", request=SUBMIT)
        lines.api.add("drip", "down", request=SUBMIT)
        assert (await lines.session.run(request, timeout=10)).status == "completed"
        assert lines.sandbox.books.jobs_created == 1


async def test_a_refused_connection_is_tried_again_and_makes_one_job(
    open_lines: OpenLines,
) -> None:
    async with open_lines(stream=False, max_retries=8) as lines:
        request = await lines.recolor()
        lines.api.refuse()
        lines.api.reset_all()
        await lines.api.until(lambda: not lines.api.open)
        submitting = asyncio.create_task(lines.session.submit(request))
        await refused(lines.api.url)  # and so was the attempt before it
        assert not submitting.done()
        await lines.api.listen()
        job = await submitting
        assert list(lines.sandbox.books.jobs) == [job.id]


async def test_a_line_that_is_gone_between_two_jobs_makes_no_third(open_lines: OpenLines) -> None:
    """A kept connection that was cut while it was idle: in doubt, or a new one, never two jobs."""
    async with open_lines(stream=False) as lines:
        request = await lines.recolor()
        await lines.session.submit(request)
        lines.api.reset_all()
        (outcome,) = await asyncio.gather(lines.session.submit(request), return_exceptions=True)
        if isinstance(outcome, SubmissionUnknownError):
            outcome = await outcome.reconcile()
        assert lines.sandbox.books.jobs_created == (1 if outcome is None else 2)


# The event stream


@pytest.mark.parametrize("action", CUTS)
@pytest.mark.parametrize(
    "after",
    [
        pytest.param("ü".encode()[:1], id="inside a character"),
        pytest.param(b"data: {", id="inside an event"),
        pytest.param(b"data: ", id="before the data"),
        pytest.param(b"\n", id="inside the chunk that ends an event"),
        pytest.param(b"\r\n\r\n", id="right after the headers"),
        pytest.param(20, id="inside the headers"),
    ],
)
async def test_a_stream_that_is_cut_anywhere_loses_nothing_and_repeats_nothing(
    action: Action, after: int | bytes, open_lines: OpenLines
) -> None:
    async with open_lines() as lines:
        fault = lines.api.add(action, request=STREAM, after=after, times=3)
        async with lines.session.notifications(ack_foreign=True) as feed:
            lines.sandbox.emit("greeting", {"text": "grün"})
            job = await lines.session.submit(await lines.recolor(num_variations=4))
            assert whole(await outputs_of(job), 4)
            seen = [note.id async for note in until_named(feed, "greeting")]
            assert len(seen) == len(set(seen))
        assert fault.happened
        await lines.acknowledged()


async def until_named(feed, name):
    async for note in feed:
        yield note
        if note.name == name:
            return


async def test_a_stream_that_falls_silent_is_left_after_three_keepalives(
    open_lines: OpenLines,
) -> None:
    async with open_lines(sandbox={"seconds_per_image": 0.05}) as lines:
        request = await lines.recolor(num_variations=3)
        stalled = lines.api.add("stall", request=STREAM, after=b"backfill_complete\ndata:{}\n\n")
        job = await lines.session.submit(request)
        assert whole(await outputs_of(job), 3)
        assert stalled.happened == 1
        await lines.acknowledged()  # by way of another connection: this one told nothing
        assert lines.sandbox.books.stream_connections == 2


async def test_a_stream_that_drips_is_read_as_it_was_written(open_lines: OpenLines) -> None:
    async with open_lines() as lines:
        drip = lines.api.add("drip", request=STREAM)
        async with lines.session.notifications(names=["greeting"]) as feed:
            job = await lines.session.submit(await lines.recolor())
            lines.sandbox.emit("greeting", {"text": "grün und 漢字"})
            note = await anext(feed)
            assert note.data["text"] == "grün und 漢字"
            assert whole(await outputs_of(job), 1)
        assert drip.happened == 1
        assert lines.sandbox.books.stream_connections == 1


async def test_a_line_that_dies_during_twenty_jobs_again_and_again_ends_them_all(
    open_lines: OpenLines,
) -> None:
    async with open_lines() as lines:
        request = await lines.recolor(num_variations=2)
        jobs = [await lines.session.submit(request) for _ in range(20)]
        waiting = asyncio.gather(*(outputs_of(job) for job in jobs))
        for connections in (2, 4, 6):
            lines.api.reset_all()
            await lines.api.until(lambda: lines.api.connections > connections)  # noqa: B023
        assert all(whole(each, 2) for each in await waiting)
        assert lines.sandbox.books.jobs_created == 20


# Reading: status, results, acknowledgements, downloads


@pytest.mark.parametrize("action", [*CUTS, "stall"])
@pytest.mark.parametrize("after", [0, b"\r\n\r\n", b'{"'], ids=str)
async def test_results_that_break_off_are_read_again(
    action: Action, after: int | bytes, open_lines: OpenLines
) -> None:
    async with open_lines(timeout=patience(action)) as lines:
        job = await lines.session.submit(await lines.recolor())
        await job
        fault = lines.api.add(action, request=RESULTS, after=after)
        assert len((await job.fetch_results()).ok) == 1
        assert fault.happened == 1


async def test_results_that_never_come_are_told(open_lines: OpenLines) -> None:
    async with open_lines(timeout=0.3, max_retries=0) as lines:
        job = await lines.session.submit(await lines.recolor())
        await job
        lines.api.add("stall", request=RESULTS, times=99)
        with pytest.raises(RequestTimeoutError, match="no answer in time"):
            await job.fetch_results()


@pytest.mark.parametrize("action", [*CUTS, "stall"])
@pytest.mark.parametrize("way", ["up", "down"])
async def test_acknowledgements_that_break_are_sent_until_they_are_taken(
    action: Action, way: Way, open_lines: OpenLines
) -> None:
    async with open_lines(timeout=patience(action)) as lines:
        fault = lines.api.add(action, way, request=ACK, times=2)
        assert (await lines.session.run(await lines.recolor(), timeout=10)).status == "completed"
        await lines.acknowledged()
        assert fault.happened == 2
        taken = lines.sandbox.books.acknowledged
        assert len(taken) == len(set(taken))


@pytest.mark.parametrize("action", [*CUTS, "stall"])
@pytest.mark.parametrize("after", [0, 12, b"\r\n\r\n", b"\xff\xd8"], ids=repr)
async def test_a_download_that_breaks_anywhere_is_on_disk_once_and_whole(
    action: Action, after: int | bytes, open_lines: OpenLines, tmp_path: Path
) -> None:
    async with open_lines(timeout=patience(action)) as lines:
        job = await lines.session.submit(await lines.recolor())
        await job
        fault = lines.storage.add(action, request=b"GET ", after=after)
        (path,) = await job.download(tmp_path)
        assert fault.happened == 1
        (output,) = lines.sandbox.books.outputs
        assert hashlib.sha256(path.read_bytes()).hexdigest() == output.sha256
        assert list(tmp_path.iterdir()) == [path]


async def test_a_download_that_never_gets_through_leaves_nothing(
    open_lines: OpenLines, tmp_path: Path
) -> None:
    async with open_lines(max_retries=1) as lines:
        job = await lines.session.submit(await lines.recolor())
        await job
        fault = lines.storage.add("close", request=b"GET ", after=b"\xff\xd8", times=99)
        with pytest.raises(DownloadError, match="broke off") as raised:
            await job.download(tmp_path)
        assert fault.happened == 2
        assert "X-Amz" not in str(raised.value)
        assert list(tmp_path.iterdir()) == []


async def test_a_dripping_download_is_the_same(open_lines: OpenLines, tmp_path: Path) -> None:
    async with open_lines() as lines:
        job = await lines.session.submit(await lines.recolor())
        await job
        lines.storage.add("drip", request=b"GET ")
        (path,) = await job.download(tmp_path)
        (output,) = lines.sandbox.books.outputs
        assert hashlib.sha256(path.read_bytes()).hexdigest() == output.sha256


async def test_closing_over_a_dead_line_ends_in_the_time_that_was_set(
    open_lines: OpenLines,
) -> None:
    async with open_lines(stream=attrs.evolve(QUICK, close_wait=0.3)) as lines:
        lines.api.add("stall", "up", request=ACK, times=99)
        await lines.session.run(await lines.recolor(), timeout=10)
        await lines.api.until(lambda: lines.api.faults[0].happened > 0)
        async with asyncio.timeout(5):
            await lines.session.close()
        assert lines.sandbox.books.notifications_outstanding
