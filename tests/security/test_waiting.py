"""What never gets better is told: a status that is none, a submission that is always refused."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from piktid_async import AccountLimits, GarmentRecolor, ResponseFormatError
from piktid_async.follow import UNREADABLE_MOST
from piktid_async.models.settings import StreamSettings
from tests.security.service import answering, hostile, sending
from tests.transport.servers import Exchange

QUICK = StreamSettings(connect=False, poll_every=0.01)
REQUEST = GarmentRecolor(project="p", images=("f",), reference_text="green")


@pytest.mark.parametrize("nonsense", [b"<html>", b"[]", b"{}", b"[" * 5000])
async def test_a_status_that_is_none_ends_the_wait_and_the_next_wait_goes_on(
    nonsense: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with hostile({"/jobs/j/status": sending(nonsense)}, stream=QUICK) as running:
        job = running.job()
        waiting = [asyncio.ensure_future(job.result(timeout=30)) for _ in range(3)]
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, ResponseFormatError)
            assert outcome.call == "GET /jobs/j/status"
        assert len(running.api.requests) == UNREADABLE_MOST
        assert caplog.text.count("the status of job j could not be read") == UNREADABLE_MOST
        del running.answers["/jobs/j/status"]
        assert (await job.result(timeout=30)).status == "completed"


async def test_nonsense_now_and_then_disturbs_nobody() -> None:
    read = 0

    async def now_and_then(exchange: Exchange) -> None:
        nonlocal read
        read += 1
        status = "completed" if read > 3 * UNREADABLE_MOST else "processing"
        good = answering({"job_id": "j", "status": status, "progress": read})
        await (good if read % UNREADABLE_MOST == 0 or status == "completed" else sending(b"<"))(
            exchange
        )

    async with hostile({"/jobs/j/status": now_and_then}, stream=QUICK) as running:
        assert (await running.job().result(timeout=30)).status == "completed"


async def test_a_submission_that_is_refused_again_and_again_is_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It waits for as long as its caller does: nothing is lost by waiting."""
    asked = 0

    async def refuse(exchange: Exchange) -> None:
        nonlocal asked
        asked += 1
        told: Any = [("Retry-After", "0")]
        if asked <= 3:
            await exchange.answer_json({"error": "Too many requests"}, 429, told)
        else:
            await exchange.answer_json({"job_id": "j", "status": "pending"}, 202)

    caplog.set_level(logging.INFO, "piktid_async")
    answers = {"/garment-recolor": refuse}
    async with hostile(answers, limits=AccountLimits.unlimited()) as running:
        job = await asyncio.wait_for(running.session.submit(REQUEST), 30)
    assert job.id == "j"
    told = [record for record in caplog.records if "goes on waiting" in record.message]
    assert [record.levelname for record in told] == ["INFO", "WARNING", "WARNING"]
    assert "refused 3 times" in told[-1].message
