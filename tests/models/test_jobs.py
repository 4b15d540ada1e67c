from __future__ import annotations

import copy
import pickle
from typing import Any

import attrs
import pytest

from piktid_async.errors import ConfigurationError, OutputFailedError
from piktid_async.models.jobs import (
    SETTLED,
    TERMINAL,
    JobProgress,
    JobResult,
    JobStatus,
    JobTicket,
    Output,
)
from piktid_async.types import Link

SIGNED = "https://cdn.example/0.png?Signature=opensesame"


def output(**changes: Any) -> Output:
    return Output(
        **{
            "job_id": "job_1",
            "image_index": 0,
            "group_index": 0,
            "status": "completed",
            "url": SIGNED,
            "thumbnail_url": SIGNED,
            **changes,
        }
    )


def result(*outputs: Output) -> JobResult:
    return JobResult(job_id="job_1", kind="garment_recolor", status="completed", outputs=outputs)


def test_the_known_ends_are_the_documented_ones_and_the_vendor_s_third():
    assert {"completed", "failed", "aborted"} == TERMINAL
    assert {"completed", "failed"} == SETTLED


@pytest.mark.parametrize(
    ("processed", "total", "percent"),
    [(0, 6, 0.0), (3, 6, 50.0), (6, 6, 100.0), (7, 6, 100.0), (3, None, None), (3, 0, None)],
)
def test_percent_is_at_most_100_and_none_while_the_total_is_unknown(processed, total, percent):
    assert JobProgress(processed, total).percent == percent


def test_an_output_is_told_from_others_by_its_three_indices():
    assert output(image_index=1, group_index=2, version=3).key == (1, 2, 3)


def test_an_output_shows_no_signed_query():
    assert "opensesame" not in repr(output())
    assert "opensesame" not in repr(result(output()))
    assert "https://cdn.example/0.png?***" in repr(output())


def test_an_output_with_a_url_that_is_none_can_still_be_shown():
    assert "'***'" in repr(output(url="http://[opensesame"))
    assert "opensesame" not in repr(output(url="http://[opensesame"))


def test_a_result_sorts_its_outputs_into_good_and_bad():
    good, bad = output(), output(image_index=1, status="failed", url=None, error_message="blocked")
    waiting = output(image_index=2, status="processing", url=None)
    assert result(good, bad, waiting).ok == (good,)
    assert result(good, bad, waiting).failed == (bad,)


def test_failures_are_raised_with_indices_and_words():
    bad = output(image_index=1, group_index=2, status="failed", error_message="blocked")
    mute = output(image_index=3, status="failed")
    with pytest.raises(OutputFailedError) as caught:
        result(output(), bad, mute).raise_for_failures()
    assert caught.value.failures == ((1, 2, "blocked"), (3, 0, "no message"))
    assert caught.value.job_id == "job_1"


def test_a_result_without_failures_raises_nothing():
    result(output(), output(image_index=1, status="processing")).raise_for_failures()


async def test_an_output_without_an_image_is_not_saved(tmp_path):
    with pytest.raises(OutputFailedError, match=r"image 0\.0: blocked"):
        await output(url=None, status="failed", error_message="blocked").save(tmp_path / "x.png")
    with pytest.raises(OutputFailedError, match=r"image 0\.0: processing"):
        await output(url=None, status="processing").save(tmp_path / "x.png")


async def test_an_output_from_another_process_says_how_to_save_it(tmp_path):
    with pytest.raises(ConfigurationError, match="use its url"):
        await pickle.loads(pickle.dumps(output())).save(tmp_path / "x.png")


async def test_an_output_is_saved_by_its_session(tmp_path):
    async def save(what: Output, path: Any) -> Any:
        return what.key, path

    bound = output(saver=Link(save))
    assert await bound.save(tmp_path / "x.png") == ((0, 0, 0), tmp_path / "x.png")
    assert await copy.deepcopy(bound).save("y") == ((0, 0, 0), "y")


def test_where_an_output_is_saved_by_does_not_make_it_another():
    assert output(saver=Link(print)) == output()
    assert pickle.loads(pickle.dumps(result(output()))) == result(output())


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (output(), "url"),
        (result(), "status"),
        (JobStatus(job_id="j", status="pending"), "status"),
        (JobTicket(job_id="j"), "job_id"),
        (JobProgress(0, 1), "total"),
    ],
)
def test_values_cannot_be_changed_in_place(value, field):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, field, "x")


def test_what_a_conversation_was_given_shows_no_signature():
    given = ({"full_size": "https://cdn.example/in.jpg?Signature=opensesame", "uuid": "u"},)
    result = JobResult(
        job_id="c",
        kind="edit_chat",
        status="completed",
        outputs=(),
        attachments=given,
        identities=({"link": "https://cdn.example/i.jpg?X-Amz-Signature=opensesame"},),
        summary={"link": "https://cdn.example/s?Signature=opensesame"},
    )
    assert "opensesame" not in repr(result)
    assert "https://cdn.example/in.jpg?***" in repr(result)
    assert result.attachments == given
