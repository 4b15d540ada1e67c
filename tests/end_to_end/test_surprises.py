"""What nobody planned for: a token source that fails, a door that closes at the wrong moment."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable

import pytest

from piktid_async import (
    ConfigurationError,
    GarmentRecolor,
    InvalidRequestError,
    Session,
    SessionClosedError,
    StreamSettings,
    SubmissionUnknownError,
)
from piktid_async.sandbox import Faults

PICTURE = b"\xff\xd8\xff\xe0" + bytes(500)


class Flaky:
    """A token source that fails the first times it is asked, or when it is told to."""

    def __init__(self, token: str, failures: int) -> None:
        self.token = token
        self.failures = failures

    async def __call__(self) -> str:
        if self.failures:
            self.failures -= 1
            raise OSError("the vault is sealed")
        return self.token


def tokens_of(session):
    transport = session._runtime.connect().transport
    return getattr(transport, "inner", transport)._tokens  # `inner` where it is watched


async def test_a_token_source_that_fails_once_costs_neither_the_stream_nor_the_budget(make_sandbox):
    quick = StreamSettings(reconnect_base=0.01, open_wait=5)
    async with make_sandbox() as sandbox:
        source = Flaky(sandbox.token, failures=0)
        async with Session(source, base_url=sandbox.url, stream=quick, max_credits=5) as session:
            project = await session.projects.ensure("flaky")
            file = await session.upload(PICTURE)
            tokens = tokens_of(session)
            source.failures, tokens._current = 1, None
            request = GarmentRecolor(project=project, images=[file], reference_text="navy")
            job = await session.submit(request)  # the stream was refused its token, once
            assert session.stream_state == "live"
            await job
            session._runtime.budget.release(5)
            source.failures, tokens._current = 1, None
            with pytest.raises(OSError, match="sealed"):
                await session.submit(request)
            assert (await (await session.submit(request)).result(timeout=5)).status == "completed"
        assert sandbox.books.jobs_created == 2


async def test_a_token_source_that_fails_while_a_status_is_read_ends_no_wait(
    make_sandbox, make_session
):
    polling = StreamSettings(connect=False, poll_every=0.05)
    async with make_sandbox(seconds_per_image=0.1) as sandbox:
        source = Flaky(sandbox.token, failures=0)
        session = Session(source, base_url=sandbox.url, stream=polling)
        async with session:
            project = await session.projects.ensure("status")
            file = await session.upload(PICTURE)
            job = await session.submit(
                GarmentRecolor(project=project, images=[file], reference_text="navy")
            )
            source.failures, source.token = 3, sandbox.token
            tokens_of(session)._current = None
            assert (await job.result(timeout=10)).status == "completed"
            assert source.failures == 0


async def test_reconcile_finds_the_same_job_each_time(make_sandbox, make_session):
    async with (
        make_sandbox(faults=Faults(submit_lost=1)) as sandbox,
        make_session(sandbox) as session,
    ):
        project = await session.projects.ensure("twice")
        file = await session.upload(PICTURE)
        with pytest.raises(SubmissionUnknownError) as caught:
            await session.submit(
                GarmentRecolor(project=project, images=[file], reference_text="navy")
            )
        found = await asyncio.gather(*(caught.value.reconcile() for _ in range(3)))
        assert found[0] is not None
        assert found[0] is found[1] is found[2] is await caught.value.reconcile()


@pytest.mark.parametrize("verb", ["upload_many", "upload_each"])
async def test_closing_in_the_same_breath_ends_uploads(verb, make_sandbox, make_session):
    async with make_sandbox() as sandbox:
        session = make_session(sandbox)

        async def upload() -> None:
            if verb == "upload_many":
                await session.upload_many([PICTURE] * 3)
            else:
                assert [outcome async for outcome in session.upload_each([PICTURE] * 3)]

        uploading = asyncio.create_task(upload())
        closing = asyncio.create_task(session.close())
        with pytest.raises(SessionClosedError):
            async with asyncio.timeout(5):
                await uploading
        await closing


async def test_closing_lets_go_of_those_who_wait_for_the_stream(make_sandbox, make_session):
    patient = StreamSettings(open_wait=600)
    async with make_sandbox(faults=Faults(stream_refuse=True)) as sandbox:
        session = make_session(sandbox, stream=patient)
        request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
        submitting = asyncio.create_task(session.submit(request))
        while not sandbox.faults.counts["stream_refuse"]:
            await session.projects.ensure("turns of the loop")
        await session.close()
        with pytest.raises(SessionClosedError):
            async with asyncio.timeout(5):
                await submitting


@pytest.mark.parametrize(
    "url",
    [
        "http://127.evil.example",
        "http://127.0.0.1.example",
        "https://h:abc",
        "https://h:99999",
        "http://[::1",
        "https://h\nx",
        5,
    ],
)
def test_a_base_url_that_cannot_be_or_is_not_safe_is_refused(url):
    with pytest.raises(ConfigurationError, match="base_url"):
        Session("token", base_url=url)


@pytest.mark.parametrize(
    "options",
    [{"limits": "x"}, {"coordinator": 5}, {"proxy": 5}, {"proxy": "x"}, {"timeout": float("inf")}],
)
def test_options_that_cannot_work_are_refused_when_the_session_is_built(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Session("token", **options)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"]
)
def test_a_session_is_not_copied(copied: Callable[[object], object]) -> None:
    session = Session("t", base_url="http://127.0.0.1:9")
    with pytest.raises(TypeError, match=r"a Session is neither copied .*make another"):
        copied(session)


async def test_bad_input_is_named_before_anything_is_sent(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        for job_id in (".", "..", "\ud800", "", 5):
            with pytest.raises(InvalidRequestError, match="job_id"):
                session.job(job_id, kind="garment_recolor")
        with pytest.raises(InvalidRequestError, match="kind"):
            session.job("x", kind=None)
        with pytest.raises(InvalidRequestError, match="total_outputs"):
            session.job("x", kind="garment_recolor", total_outputs="x")
        with pytest.raises(InvalidRequestError, match="letters"):
            await session.projects.ensure("\ud800")
        with pytest.raises(InvalidRequestError, match="sources"):
            await session.upload_many(None)
        with pytest.raises(InvalidRequestError, match="json"):
            await session.request("POST", "/x", json=object())
        with pytest.raises(InvalidRequestError, match="jobs"):
            session.notifications(jobs=[None])
        request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
        with pytest.raises(InvalidRequestError, match="timeout"):
            await session.run(request, timeout="x")
        with pytest.raises(InvalidRequestError, match="letters"):
            GarmentRecolor(project="p", images=["a"], reference_text="\ud800")
        with pytest.raises(ConfigurationError, match="open it first"):
            await anext(session.notifications())
        assert sandbox.books.api_requests == {}
