"""Which job is whose: only where there is one answer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from piktid_async.batch.ledger import Row, State
from piktid_async.batch.settle import CLOCK_SKEW, assign, assign_unseen
from piktid_async.protocol.endpoints import GalleryJob

NOW = datetime.fromisoformat("2026-01-02T03:04:05+00:00")


def lost(key, *inputs, state=State.IN_DOUBT, asked="navy", kind="garment_recolor", at=NOW):
    return Row(
        key=key,
        seq=ord(key),
        state=state,
        fingerprint=asked,
        kind=kind,
        input_ids=inputs,
        t_intent=at.isoformat(),
    )


def job(job_id, *inputs, kind="garment_recolor", at=NOW):
    return GalleryJob(job_id=job_id, job_type=kind, input_ids=frozenset(inputs), created_at=at)


@pytest.mark.parametrize(
    ("rows", "jobs", "expected"),
    [
        pytest.param([], [job("1", "f")], {}, id="nothing-lost"),
        pytest.param([lost("a", "f")], [], {}, id="nothing-there"),
        pytest.param([lost("a", "f")], [job("1", "f")], {"a": "1"}, id="the-one-that-fits"),
        pytest.param([lost("a", "f", "g")], [job("1", "f")], {"a": "1"}, id="listed-in-part"),
        pytest.param([lost("a", "f")], [job("1", "f", "ref")], {"a": "1"}, id="with-a-reference"),
        pytest.param([lost("a", "f")], [job("1", "g")], {}, id="other-images"),
        pytest.param([lost("a", "f")], [job("1")], {}, id="no-images-listed"),
        pytest.param([lost("a", "f")], [job("1", "f", kind="model_swap")], {}, id="another-kind"),
        pytest.param(
            [lost("a", "f")], [job("1", "f", at=NOW - CLOCK_SKEW - timedelta(seconds=1))], {},
            id="older-than-the-doubt",
        ),
        pytest.param(
            [lost("a", "f")], [job("1", "f", at=NOW - CLOCK_SKEW)], {"a": "1"},
            id="as-old-as-clocks-may-differ",
        ),
        pytest.param([lost("a", "f")], [job("1", "f"), job("2", "f")], {}, id="two-fit-one"),
        pytest.param(
            [lost("a", "f"), lost("b", "g")], [job("2", "g"), job("1", "f")],
            {"a": "1", "b": "2"}, id="each-its-own",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f", asked="red")], [job("1", "f")], {},
            id="two-colours-of-one-image",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f", asked="red")], [job("1", "f"), job("2", "f")], {},
            id="two-colours-two-jobs-are-still-a-guess",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f")], [job("1", "f"), job("2", "f")],
            {"a": "1", "b": "2"}, id="twins-share-as-many-jobs",
        ),
        pytest.param(
            [lost("b", "f", at=NOW + timedelta(seconds=1)), lost("a", "f")], [job("1", "f")],
            {"a": "1"}, id="one-job-of-twins-is-the-earlier-ones",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f")], [job("1", "f"), job("2", "f"), job("3", "f")], {},
            id="more-jobs-than-twins",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f", state=State.INTENT)], [job("1", "f")], {},
            id="it-may-be-about-to-become-a-twins",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "g", state=State.INTENT)], [job("1", "f")], {"a": "1"},
            id="others-under-way-are-no-rivals",
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "f", "g", asked="set")], [job("1", "f", "g")], {},
            id="a-job-that-fits-a-part-and-a-whole",
        ),
    ],
)  # fmt: skip
def test_a_job_is_given_away_only_where_no_guess_is_needed(rows, jobs, expected):
    assert assign(rows, jobs) == expected
    assert assign(rows[::-1], jobs[::-1]) == expected


@pytest.mark.parametrize(
    ("rows", "jobs", "expected"),
    [
        pytest.param([lost("a", "f")], [job("1")], {"a": "1"}, id="the-only-one"),
        pytest.param([lost("a", "f")], [job("1"), job("2")], {}, id="two-for-one"),
        pytest.param([lost("a", "f"), lost("b", "g")], [job("1")], {}, id="one-for-two"),
        pytest.param([lost("a", "f"), lost("b", "f")], [job("1")], {"a": "1"}, id="twins"),
        pytest.param([lost("a", "f")], [job("1", kind="model_swap")], {}, id="another-kind"),
        pytest.param(
            [lost("a", "f"), lost("b", "g", state=State.INTENT)], [job("1")], {}, id="under-way"
        ),
        pytest.param(
            [lost("a", "f"), lost("b", "g", kind="model_swap")],
            [job("1"), job("2", kind="model_swap")],
            {"a": "1", "b": "2"},
            id="one-of-each-kind",
        ),
    ],
)
def test_a_job_whose_images_are_not_listed_is_given_to_the_only_one(rows, jobs, expected):
    assert assign_unseen(rows, jobs) == expected
