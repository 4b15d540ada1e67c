"""Whether the same call may be made again is a fact of what happened to it."""

from __future__ import annotations

import pytest

from piktid_async import GarmentRecolor, PiktidError, Session, SubmissionUnknownError
from tests.security.service import TOKEN, Answer, answering, hostile, reset
from tests.transport.servers import free_port

FAULTS: dict[str, tuple[Answer, bool, bool]] = {
    # The answer; whether a reading may be made again, and whether anything else may.
    "500": (answering({"error": "No."}, 500), True, False),
    "reset": (reset, True, False),
    "429": (answering({"error": "Too many requests"}, 429), True, True),
    "400": (answering({"error": "No."}, 400), False, False),
    "no JSON": (answering([]), False, False),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_reading_may_be_made_again_and_what_does_something_may_not(
    fault: str, method: str
) -> None:
    answer, reading, doing = FAULTS[fault]
    async with hostile({"/x": answer}) as running:
        if fault == "no JSON":
            running.answers["/jobs"] = answer
            with pytest.raises(PiktidError) as raised:
                await running.job().fetch_status()
        else:
            with pytest.raises(PiktidError) as raised:
                await running.session.request(method, "/x")
    assert raised.value.retryable is (reading if method == "GET" else doing)


async def test_what_never_left_may_be_made_again_whatever_it_was() -> None:
    session = Session(TOKEN, base_url=f"http://127.0.0.1:{free_port()}", max_retries=0)
    with pytest.raises(PiktidError) as raised:
        await session.request("POST", "/x")
    await session.close()
    assert raised.value.retryable


@pytest.mark.parametrize("fault", ["500", "reset"])
async def test_a_submission_in_doubt_is_not_retryable_and_neither_is_its_cause(fault: str) -> None:
    request = GarmentRecolor(project="p", images=("f",), reference_text="green")
    async with hostile({"/garment-recolor": FAULTS[fault][0]}) as running:
        with pytest.raises(SubmissionUnknownError) as raised:
            await running.session.submit(request)
    assert not raised.value.retryable
    cause = raised.value.__cause__
    assert isinstance(cause, PiktidError)
    assert not cause.retryable
    assert "do not submit again before" in str(raised.value)
    assert "try again" not in str(raised.value)
