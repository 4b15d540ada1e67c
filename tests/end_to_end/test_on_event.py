"""What `on_event` is told, in which order, of a sandbox that misbehaves."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from piktid_async import (
    AccountLimits,
    Acknowledgement,
    Backfill,
    ConfigurationError,
    DownloadFinished,
    Event,
    GarmentRecolor,
    JobCharged,
    JobEnded,
    JobSubmitted,
    RequestAttempt,
    ServerError,
    StreamReconnect,
    TurnWait,
    UploadFinished,
)
from piktid_async.sandbox import Faults
from piktid_async.sandbox.imaging import sample_photos
from piktid_async.transport.watched import WatchedTransport, route_of
from piktid_async.vtryon import VtryonSession
from tests.end_to_end.conftest import PICTURE

PHOTO = sample_photos(1, size=200)[0].data
UNAWARE = AccountLimits(active_jobs=None, per_minute={}, window=0.5)
README = Path(__file__).parent.parent.parent / "README.md"


def of(kind: type, told: list[Event]) -> list:
    return [event for event in told if type(event) is kind]


def attempts(told: list[Event], call: str) -> list[tuple[int, int | str | None]]:
    """Return number and outcome of every attempt of a call, written `METHOD route`."""
    return [
        (each.attempt, each.error or each.status)
        for each in of(RequestAttempt, told)
        if f"{each.method} {each.route}" == call
    ]


async def run(session, images=1) -> None:
    project = await session.projects.ensure("hooks")
    files = await session.upload_many([PICTURE] * images)
    await session.run(GarmentRecolor(project=project, images=files, reference_text="navy"))


async def test_a_job_is_told_from_its_upload_to_its_price(make_sandbox, make_session, tmp_path):
    told: list[Event] = []
    async with make_sandbox(render=True, image_scale=0.05) as sandbox:
        async with make_session(sandbox, on_event=told.append) as session:
            project = await session.projects.ensure("hooks")
            file = await session.upload(PHOTO)
            request = GarmentRecolor(project=project, images=[file], reference_text="navy")
            job = await session.submit(request)
            result = await job.result()
            (path,) = await job.download(tmp_path)
        assert sandbox.books.notifications_outstanding == ()
    kinds = [type(event) for event in told if not isinstance(event, RequestAttempt | Backfill)]
    acks = of(Acknowledgement, told)
    assert [kind for kind in kinds if kind is not Acknowledgement] == [
        UploadFinished,
        TurnWait,
        JobSubmitted,
        JobEnded,
        JobCharged,
        DownloadFinished,
    ]
    (uploaded,), (submitted,) = of(UploadFinished, told), of(JobSubmitted, told)
    assert (uploaded.file_id, uploaded.size) == (file.file_id, len(PHOTO))
    assert (submitted.kind, submitted.job_id) == ("garment_recolor", job.id)
    assert submitted.credits == request.credits
    (ended,), (charged,), (saved,) = (of(k, told) for k in (JobEnded, JobCharged, DownloadFinished))
    assert (ended.job_id, ended.status, ended.error) == (job.id, "completed", None)
    assert (charged.credits, charged.completed, charged.failed) == (result.credits_used, 1, 0)
    assert saved.size == path.stat().st_size
    assert len(acks) == len(attempts(told, "DELETE /notifications/{id}")) > 0
    assert {each.attempts for each in acks} == {1}
    hosts = {each.host for each in of(RequestAttempt, told) if each.path.startswith("/")}
    assert hosts == {sandbox.url.removeprefix("http://")}


async def test_each_try_of_a_request_is_told_with_its_number(make_sandbox, make_session):
    told: list[Event] = []
    faults = Faults(errors=2, on="GET /project", error_statuses=[503])
    async with (
        make_sandbox(faults=faults) as sandbox,
        make_session(sandbox, on_event=told.append) as session,
    ):
        assert [each async for each in session.projects.list()] == []
        faults.errors = 4
        with pytest.raises(ServerError):
            _ = [each async for each in session.projects.list()]
    assert attempts(told, "GET /project") == [
        (1, 503),
        (2, 503),
        (3, 200),
        *[(number, 503) for number in (1, 2, 3, 4)],
    ]


async def test_a_connection_that_breaks_is_told_by_its_error(make_sandbox, make_session):
    told: list[Event] = []
    async with (
        make_sandbox(faults=Faults(upload_reset=1)) as sandbox,
        make_session(sandbox, on_event=told.append) as session,
    ):
        await session.upload(PICTURE * 100)
    puts = [each for each in of(RequestAttempt, told) if each.method == "PUT"]
    outcomes = [(each.attempt, each.status, each.error) for each in puts]
    assert outcomes == [(1, None, "ConnectionFailedError"), (2, 200, None)]
    assert {each.path for each in puts} == {"<signed URL>"}
    assert len(of(UploadFinished, told)) == 1


async def test_a_429_is_told_and_the_wait_that_it_causes(make_sandbox, make_session):
    told: list[Event] = []
    async with (
        make_sandbox(faults=Faults(rate_limited_told=1, on="POST /garment-recolor")) as sandbox,
        make_session(sandbox, on_event=told.append, limits=UNAWARE) as session,
    ):
        await run(session)
    assert [outcome for _, outcome in attempts(told, "POST /garment-recolor")] == [429, 202]
    waits = of(TurnWait, told)
    assert [each.reason for each in waits] == ["limits", "refused"]
    assert {each.path for each in waits} == {"/garment-recolor"}
    assert waits[1].seconds > 0.5  # the service has asked for a second
    assert waits[0].seconds < waits[1].seconds
    assert len(of(JobSubmitted, told)) == 1


async def test_a_cut_of_the_stream_is_told_and_what_is_replayed(make_sandbox, make_session):
    told: list[Event] = []
    again = asyncio.Event()

    def hear(event: Event) -> None:
        told.append(event)
        if len(of(Backfill, told)) == 2:
            again.set()

    async with (
        make_sandbox(faults=Faults(stream_cut=1)) as sandbox,
        make_session(sandbox, on_event=hear, ack="never") as session,
    ):
        await run(session, images=2)
        await asyncio.wait_for(again.wait(), 5)
    order = [each for each in told if isinstance(each, Backfill | StreamReconnect)]
    assert [type(each) for each in order] == [Backfill, StreamReconnect, Backfill]
    first, lost, second = order
    assert first.notifications == 0
    assert (lost.attempt, lost.reason) == (1, "GET /notifications/events: the answer broke off")
    assert 0 <= lost.delay <= 0.1
    assert second.notifications >= 1  # the one in whose place it was cut
    assert attempts(told, "GET /notifications/events") == [(1, 200), (1, 200)]


async def test_an_acknowledgement_that_fails_is_told_when_it_is_done(make_sandbox, make_session):
    told: list[Event] = []
    async with (
        make_sandbox(faults=Faults(acks_fail=1)) as sandbox,
        make_session(sandbox, on_event=told.append) as session,
    ):
        await run(session)
    acks = of(Acknowledgement, told)
    assert sorted(each.attempts for each in acks)[-2:] == [1, 2]
    assert {each.error for each in acks} == {None}
    deleted = attempts(told, "DELETE /notifications/{id}")
    assert [each for each in deleted if each[1] == 500] == [(1, 500)]
    assert (2, 200) in deleted


async def test_a_callback_that_raises_disturbs_nothing_and_is_logged_once(
    make_sandbox, make_session, caplog
):
    calls = 0

    def broken(event: Event) -> None:
        nonlocal calls
        calls += 1
        raise LookupError("broken hook")

    async with make_sandbox() as sandbox, make_session(sandbox, on_event=broken) as session:
        await run(session)
        assert sandbox.books.notifications_outstanding == ()
    warnings = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert calls > 5
    assert [each.message for each in warnings] == [
        "on_event failed at RequestAttempt; it is called on, and not complained of again"
    ]
    assert "broken hook" in caplog.text


async def test_no_record_and_no_extra_holds_a_token_or_a_query(
    make_sandbox, make_session, caplog, tmp_path
):
    told: list[Event] = []
    caplog.set_level(logging.DEBUG, "piktid_async")
    faults = Faults(upload_url_expired=1, download_url_expired=1)
    async with (
        make_sandbox(faults=faults, render=True, image_scale=0.05) as sandbox,
        make_session(sandbox, on_event=told.append) as session,
    ):
        project = await session.projects.ensure("hooks")
        file = await session.upload(PHOTO)
        request = GarmentRecolor(project=project, images=[file], reference_text="navy")
        job = await session.submit(request)
        await job.download(tmp_path)
        secrets = (sandbox.token, "?", "X-Amz", "ignature=")
    extras = [vars(each)["piktid"] for each in caplog.records if hasattr(each, "piktid")]
    assert len(of(RequestAttempt, told)) > 5
    assert [each["event"] for each in extras] == [type(event).__name__ for event in told]
    for text in (*map(repr, told), *map(str, told), *map(repr, extras)):
        assert not [secret for secret in secrets if secret in text], text


async def test_without_a_listener_nothing_stands_between(make_sandbox, make_session, caplog):
    caplog.set_level(logging.INFO, "piktid_async")
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        await run(session)
        connections = session._runtime.connect()
        assert session._runtime.tell is connections.tell is None
        assert not isinstance(connections.transport, WatchedTransport)


async def test_a_vtryon_session_tells_of_its_requests(make_sandbox):
    told: list[Event] = []
    async with (
        make_sandbox(vtryon_seconds=0.05) as sandbox,
        VtryonSession(
            sandbox.vtryon_key, base_url=sandbox.vtryon_url, on_event=told.append
        ) as session,
    ):
        assert [task async for task in session.tasks()] == []
    assert [(str(event).partition(":")[0], event.status) for event in told] == [
        ("GET /v4/models/multipose-image-recolor/", 200)
    ]


@pytest.mark.parametrize("given", [1, "print", asyncio.sleep])
def test_what_cannot_be_called_so_is_refused(given):
    with pytest.raises(ConfigurationError, match="on_event must be a"):
        VtryonSession("key", base_url="https://vtryon.invalid", on_event=given)


def test_a_route_names_no_single_thing():
    rows = re.findall(
        r"^\| (?:[A-Z]+) (/[^ |,]+)", README.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(rows) > 40
    for path in rows:
        given = re.sub(r"\{\w+\}", "b1f-7", path)
        assert route_of(given) == re.sub(r"\{\w+\}", "{id}", path)
