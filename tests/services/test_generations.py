"""Which generation of a conversation is ours, when another program goes on with it, too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from piktid_async import (
    AccountLimits,
    GenerationUnknownError,
    ImagePlayground,
    StreamSettings,
    SubmissionUnknownError,
)
from piktid_async.models.jobs import Output
from piktid_async.protocol.generation import candidates
from piktid_async.types import Json
from tests.services.service import service
from tests.transport.servers import Exchange

POLLED = StreamSettings(connect=False, poll_every=0.05)


def rows(**counts: int) -> list[Output]:
    return [
        Output(job_id="c", image_index=int(index[1:]), group_index=group, status="completed")
        for index, count in counts.items()
        for group in range(count)
    ]


@pytest.mark.parametrize(
    ("listed", "total", "expected"),
    [
        ({"_0": 2}, 2, (1,)),  # nothing of it is listed yet
        ({"_0": 2, "_1": 2}, 2, (1,)),
        ({"_0": 2, "_1": 1}, 2, (1,)),  # listed as they come
        ({"_0": 2, "_1": 2, "_2": 1}, 1, (2,)),  # the one before it has more
        ({"_0": 2, "_1": 1, "_2": 2}, 2, (2,)),  # the one before it has fewer
        ({"_0": 2, "_1": 2}, 1, (2,)),  # it is another's, and ours not listed yet
        ({"_0": 2, "_1": 1, "_2": 1}, 1, (1, 2)),
        ({"_0": 2, "_1": 1, "_2": 3, "_3": 1}, 1, (1, 3)),
    ],
)
def test_the_generation_that_fits_is_preferred(
    listed: dict[str, int], total: int, expected: tuple[int, ...]
) -> None:
    assert candidates(rows(**listed), first=1, total=total) == expected


class Conversation:
    """A conversation of one generation, which another program adds to at the same moment."""

    def __init__(self, *, before: int = 0, after: int = 0, lose: bool = False) -> None:
        self.totals = [1]
        self.before = before
        self.after = after
        self.lose = lose

    async def __call__(self, exchange: Exchange, body: Json) -> bool:
        if exchange.method == "GET":
            told: Json = {"job_id": "c", "status": "completed", "results": self._rows()}
            await exchange.answer_json(told)
            return True
        assert isinstance(body, dict)
        ours: Any = body["num_variations"]
        self.totals += [total for total in (self.before, ours, self.after) if total]
        if self.lose:
            await exchange.answer_json({"error": "no word"}, status=502)
        else:
            await exchange.answer_json({"job_id": "c", "status": "processing"}, status=202)
        return True

    def _rows(self) -> list[Json]:
        return [
            {"image_index": index, "group_index": group, "version": 0, "status": "completed"}
            for index, total in enumerate(self.totals)
            for group in range(total)
        ]


def more(total: int) -> ImagePlayground:
    return ImagePlayground(prompt="darker", num_variations=total, conversation="c")


def options() -> dict[str, Any]:
    return {"stream": POLLED, "limits": AccountLimits.unlimited()}


@pytest.mark.parametrize(
    ("rivals", "total", "index"),
    [({}, 2, 1), ({"before": 2}, 1, 2), ({"before": 1}, 2, 2), ({"after": 1}, 2, 1)],
)
async def test_a_generation_ends_with_its_own_outputs_beside_another_programs(
    rivals: dict[str, int], total: int, index: int
) -> None:
    async with service(api=Conversation(**rivals), **options()) as running:
        result = await running.session.run(more(total), 10)
        assert [output.key for output in result.outputs] == [
            (index, group, 0) for group in range(total)
        ]


@pytest.mark.parametrize("rivals", [{"before": 1}, {"after": 1}])
async def test_what_cannot_be_told_is_an_error_and_no_guess(rivals: dict[str, int]) -> None:
    async with service(api=Conversation(**rivals), **options()) as running:
        job = await running.session.submit(more(1))
        assert job.done
        for waits in (job.result, lambda: job.download("/nowhere")):
            with pytest.raises(GenerationUnknownError, match="1, 2: any of these") as told:
                await waits()
            assert told.value.job_id == "c"


async def test_more_outputs_than_were_asked_for_are_another_programs() -> None:
    conversation = Conversation()
    async with service(api=conversation, **options()) as running:
        job = await running.session.submit(more(2))
        # What was listed at first was not all of it.
        conversation.totals[1] = 3
        with pytest.raises(GenerationUnknownError, match="has 3 outputs, and 2 were asked for"):
            await job.result(10)


async def test_the_place_is_looked_for_when_the_turn_has_come() -> None:
    conversation = Conversation()
    limits = AccountLimits(per_minute={"/edit-chat": 1}, window=0.5)
    async with service(api=conversation, stream=POLLED, limits=limits) as running:
        await running.session.submit(more(1))
        asyncio.get_running_loop().call_later(0.1, conversation.totals.append, 4)
        # Another program begins one while this one waits for its turn.
        result = await running.session.run(more(1), 10)
        assert [output.key for output in result.outputs] == [(3, 0, 0)]


async def test_a_lost_answer_is_not_found_in_another_programs_generation() -> None:
    conversation = Conversation(before=1, lose=True)
    async with service(api=conversation, **options(), max_retries=0) as running:
        with pytest.raises(SubmissionUnknownError) as caught:
            await running.session.submit(more(1))
        with pytest.raises(SubmissionUnknownError, match="another program adds to the conv"):
            await caught.value.reconcile()
