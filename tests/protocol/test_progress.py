from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import NotFoundError
from piktid_async.models.jobs import JobStatus, Output
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.generation import Generation
from piktid_async.protocol.progress import ENDS_BY_STATUS, Patience, Tracker
from piktid_async.types import Json
from tests.protocol.support import note

PATIENCE = Patience(first=30.0, longest=300.0)
GONE = NotFoundError(404, "GET /jobs/j/status", "Job not found")

Merge = Callable[[Tracker], None]


def tracker(
    total: int | None = 6, status: str = "pending", invisible_until: float = 100.0
) -> Tracker:
    return Tracker(
        "j", "garment_recolor", total=total, status=status, invisible_until=invisible_until
    )


def status(name: str = "processing", **changes: Any) -> JobStatus:
    return JobStatus(**{"job_id": "j", "status": name, **changes})


def image(
    index: int, *, status: Json = "completed", note_id: int = 0, **data: Json
) -> WireNotification:
    return note(
        note_id,
        name="image_result",
        image_index=index,
        status=status,
        output_link=f"https://cdn.example/{index}.png",
        **data,
    )


def row(index: int, *, status: str = "completed", version: int = 0) -> Output:
    return Output(
        job_id="j",
        image_index=index,
        group_index=0,
        version=version,
        status=status,
        url=f"https://cdn.example/{index}.png",
        model_used="nano_banana_2",
    )


def indices(of: Tracker) -> list[int]:
    return [output.image_index for output in of.outputs()]


# Statuses


@pytest.mark.parametrize("end", ["completed", "failed", "aborted"])
def test_a_job_ends_with_a_terminal_status_from_either_channel(end):
    told, asked = tracker(), tracker()
    told.notified(note(1, status=end))
    asked.status_read(status(end), 0.0, PATIENCE)
    assert (told.status, told.ended) == (asked.status, asked.ended) == (end, True)


@pytest.mark.parametrize("name", ["pending", "processing", "hibernating", "cancelled", ""])
def test_a_status_that_is_not_known_to_be_the_end_is_not(name):
    running = tracker()
    running.notified(note(1, status=name))
    assert not running.ended


def test_nothing_follows_the_end():
    ended = tracker()
    ended.notified(note(1, status="completed"))
    ended.notified(note(2, status="processing"))
    ended.notified(note(3, status="failed", error_message="late"))
    ended.status_read(status("aborted"), 0.0, PATIENCE)
    ended.results_read("processing", ())
    assert ended.status == "completed"


def test_a_job_does_not_go_back_to_pending():
    running = tracker()
    running.notified(note(1, status="processing"))
    running.notified(note(2, status="pending"))
    assert running.status == "processing"


def test_a_new_status_between_the_known_ones_is_shown():
    running = tracker()
    running.notified(note(1, status="processing"))
    running.notified(note(2, status="post_processing"))
    assert running.status == "post_processing"


@pytest.mark.parametrize("name", [None, 5, True, ["completed"], {"completed": 1}])
def test_a_status_that_is_no_text_changes_nothing(name):
    running = tracker()
    running.notified(note(1, status=name))
    assert running.status == "pending"


def test_only_a_batch_edit_moves_the_job():
    running = tracker()
    running.notified(image(0, status="completed"))
    running.notified(note(2, name="new_kind", status="completed", processed_images=6))
    assert (running.status, running.processed) == ("pending", 0)


def test_the_error_of_a_failed_job_is_kept():
    failed = tracker()
    failed.notified(note(1, status="failed", error_message="no garment"))
    failed.notified(note(2, status="failed", error_message=None))
    failed.status_read(status("failed", error_message=""), 0.0, PATIENCE)
    assert failed.error_message == "no garment"


def test_all_kinds_but_the_playground_end_by_their_status():
    batches = {"garment_recolor", "create_packshot", "flat_2_model", "model_swap"}
    assert batches | {"identity_creation"} == ENDS_BY_STATUS


# Counts


def test_counts_only_rise():
    running = tracker()
    counts = [
        (running.notified(note(n, processed_images=count)), running.progress.processed)[1]
        for n, count in enumerate([2, 1, 5, 3, 0])
    ]
    assert counts == [2, 2, 5, 5, 5]


@pytest.mark.parametrize("count", ["6", 6.0, True, None, [6]])
def test_a_count_that_is_no_whole_number_changes_nothing(count):
    running = tracker(total=None)
    running.notified(note(1, processed_images=count, total_images=count))
    assert (running.progress.processed, running.progress.total) == (0, None)
    assert type(running.progress.processed) is int


def test_a_total_that_was_promised_stays():
    running = tracker(total=6)
    running.notified(note(1, total_images=3))
    running.status_read(status(total_images=60), 0.0, PATIENCE)
    assert running.progress.total == 6


@pytest.mark.parametrize("totals", [(0, 6), (6, 0), (None, 6), (6, None), (3, 6), (6, 3), (-1, 6)])
def test_a_total_that_is_only_heard_of_does_not_depend_on_the_order(totals):
    running = tracker(total=None)
    running.notified(note(1, total_images=totals[0]))
    running.status_read(status(total_images=totals[1]), 0.0, PATIENCE)
    assert running.progress.total == 6


def test_an_unknown_total_stays_unknown():
    running = tracker(total=None)
    running.notified(note(1, total_images=0))
    assert running.progress.total is None
    assert running.progress.percent is None


# Outputs


def test_outputs_come_in_the_order_of_their_arrival_each_once():
    running = tracker()
    running.notified(image(2))
    running.notified(image(0))
    running.results_read("processing", (row(0), row(1), row(2)))
    running.notified(image(0, note_id=9))
    assert indices(running) == [2, 0, 1]
    assert indices(running) == [2, 0, 1]


def test_an_output_that_is_not_settled_is_not_shown_until_it_is():
    running = tracker()
    running.notified(image(0, status="processing"))
    running.results_read("processing", (row(1, status="pending"),))
    assert indices(running) == []
    running.notified(image(0))
    running.results_read("processing", (row(1, status="failed"),))
    assert indices(running) == [0, 1]


def test_an_event_that_does_not_fit_is_no_output_and_no_error():
    running = tracker()
    running.notified(note(1, name="image_result", status="completed"))
    running.notified(image(0, status=["completed"]))
    assert indices(running) == []


def test_versions_and_groups_are_outputs_of_their_own():
    running = tracker()
    running.notified(image(0))
    running.notified(image(0, group_index=1))
    running.notified(image(0, version=1))
    assert [output.key for output in running.outputs()] == [(0, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_results_that_were_overtaken_by_newer_ones_take_nothing_away():
    running = tracker()
    running.results_read("processing", (row(0), row(1)))
    running.results_read("processing", (row(0),))
    assert indices(running) == [0, 1]


def test_results_say_more_of_an_output_than_its_event_did():
    running = tracker()
    running.notified(image(0))
    assert [output.model_used for output in running.outputs()] == [None]
    running.results_read("processing", (row(0),))
    running.notified(image(0, note_id=9))
    assert [output.model_used for output in running.outputs()] == ["nano_banana_2"]


def test_outputs_that_come_while_somebody_looks_are_shown_to_the_next():
    running = tracker()
    running.notified(image(0))
    looking = running.outputs()
    assert next(looking).image_index == 0
    running.notified(image(1))
    assert indices(running) == [0, 1]
    assert list(looking) == []


def test_the_log_keeps_every_notification_in_order():
    running = tracker()
    assert running.log() == []
    first, second = note(1, status="processing"), image(0)
    running.notified(first)
    running.notified(second)
    assert running.log() == [first, second]


# Behind: outputs are said to be done whose events did not come


def test_nothing_is_behind_at_first():
    assert not tracker().behind


def test_a_count_ahead_of_the_outputs_is_behind_until_they_are_known():
    running = tracker()
    running.notified(note(1, processed_images=2))
    assert running.behind
    running.notified(image(0))
    assert running.behind
    running.notified(image(1))
    assert not running.behind


def test_results_catch_up_too():
    running = tracker()
    running.notified(note(1, processed_images=2))
    running.notified(image(0))
    running.results_read("processing", (row(1),))
    assert not running.behind


@pytest.mark.parametrize(
    "told",
    [
        image(0, note_id=9),
        image(1, status="processing"),
        image(1, status=None),
        note(9, name="image_result", status="completed"),
        image(0, version=1),
    ],
)
def test_what_brings_no_new_output_does_not_hide_that_one_is_missing(told):
    running = tracker()
    running.notified(note(1, processed_images=2))
    running.notified(image(0))
    running.notified(told)
    assert running.behind


def test_results_raise_the_count_themselves():
    running = tracker()
    running.results_read("processing", (row(0), row(1), row(2, status="processing")))
    assert running.progress.processed == 2
    assert not running.behind


# Patience


def test_the_pause_doubles_from_first_to_longest():
    assert [PATIENCE.after(checks) for checks in range(6)] == [
        30.0,
        60.0,
        120.0,
        240.0,
        300.0,
        300.0,
    ]
    assert PATIENCE.after(1_000_000) == 300.0


def test_a_status_that_tells_nothing_new_is_asked_for_less_and_less_often():
    running = tracker()
    pauses = [
        (running.status_read(status("pending"), now, PATIENCE), running.check_at - now)[1]
        for now in (0.0, 100.0, 200.0, 300.0, 400.0)
    ]
    assert pauses == [60.0, 120.0, 240.0, 300.0, 300.0]


@pytest.mark.parametrize("news", [status("processing"), status("pending", processed_images=1)])
def test_news_make_the_pause_short_again(news):
    running = tracker()
    running.status_read(status("pending"), 0.0, PATIENCE)
    running.status_read(status("pending"), 0.0, PATIENCE)
    running.status_read(news, 10.0, PATIENCE)
    assert running.check_at == 40.0


def test_a_notification_makes_the_next_pause_short_again():
    running = tracker()
    running.status_read(status("pending"), 0.0, PATIENCE)
    running.status_read(status("pending"), 0.0, PATIENCE)
    running.notified(note(1))
    running.status_read(status("pending"), 0.0, PATIENCE)
    assert running.check_at == 60.0


# Not found


def test_a_job_that_is_not_visible_yet_is_asked_for_again_after_growing_pauses():
    hidden = tracker(invisible_until=1000.0)
    pauses = [
        (hidden.not_found(GONE, now), hidden.check_at - now)[1]
        for now in [0.0, 1, 3, 7, 15, 31, 61]
    ]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert not hidden.ended


def test_the_last_question_is_asked_when_the_patience_ends():
    hidden = tracker(invisible_until=100.0)
    hidden.not_found(GONE, 99.5)
    assert hidden.check_at == 100.0
    assert hidden.failure is None


def test_a_job_that_stays_invisible_too_long_is_lost():
    hidden = tracker(invisible_until=100.0)
    hidden.not_found(GONE, 99.9)
    assert not hidden.ended
    hidden.not_found(GONE, 100.0)
    assert hidden.ended
    assert hidden.failure is GONE


def test_a_404_after_the_end_takes_nothing_back():
    ended = tracker(invisible_until=0.0)
    ended.notified(note(1, status="completed"))
    ended.not_found(GONE, 50.0)
    assert ended.failure is None
    assert ended.status == "completed"


def test_a_job_that_was_lost_stays_lost():
    lost = tracker(invisible_until=0.0)
    lost.not_found(GONE, 1.0)
    lost.notified(note(1, status="completed"))
    assert lost.failure is GONE
    assert lost.status == "pending"


# Any order


def merges(history: list[tuple[str, int]], images: int) -> list[Merge]:
    """Tell one job's life over both channels: events, status answers and results."""

    def event(wire: WireNotification) -> Merge:
        return lambda into: into.notified(wire)

    def answer(name: str, count: int) -> Merge:
        read = status(name, processed_images=count, total_images=images)
        return lambda into: into.status_read(read, 0.0, PATIENCE)

    def results(name: str, count: int) -> Merge:
        rows = tuple(row(index) for index in range(count))
        return lambda into: into.results_read(name, rows)

    told: list[Merge] = []
    for name, count in history:
        edit = note(0, status=name, processed_images=count, total_images=images)
        told += [event(edit), answer(name, count), results(name, count)]
    return told + [event(image(index)) for index in range(images)]


def picture(told: Iterable[Merge], total: int | None) -> tuple[Any, ...]:
    seen = tracker(total=total)
    for merge in told:
        merge(seen)
    return (
        *(seen.status, seen.ended, seen.processed, seen.total, seen.behind, seen.error_message),
        {output.key for output in seen.outputs()},
    )


@settings(derandomize=True, deadline=None, max_examples=200)
@given(data=st.data())
def test_neither_order_nor_repetition_changes_the_picture(data):
    images = data.draw(st.integers(1, 4))
    counts = sorted(data.draw(st.lists(st.integers(0, images), max_size=3)))
    end = data.draw(st.sampled_from(["processing", "completed", "failed", "aborted"]))
    history = [("pending", 0), *(("processing", count) for count in counts), (end, images)]
    told = merges(history, images)
    doubled = told + data.draw(st.lists(st.sampled_from(told), max_size=6))
    total = data.draw(st.sampled_from([None, images]))
    in_order = picture(told, total)
    assert picture(data.draw(st.permutations(doubled)), total) == in_order
    assert in_order[:5] == (end, end != "processing", images, images, False)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    told=st.lists(
        st.tuples(
            st.sampled_from(["pending", "processing", "odd", "completed", "failed", None, 5]),
            st.one_of(st.integers(-2, 9), st.none(), st.booleans(), st.text(max_size=1)),
        ),
        max_size=10,
    )
)
def test_counts_never_fall_and_the_end_never_changes_whatever_is_told(told):
    seen = tracker(total=None)
    ended_as: str | None = None
    for number, (name, count) in enumerate(told):
        processed, total = seen.processed, seen.total or 0
        seen.notified(note(number, status=name, processed_images=count, total_images=count))
        assert seen.processed >= processed
        assert (seen.total or 0) >= total
        assert ended_as in (None, seen.status)
        ended_as = seen.status if seen.ended else None


def test_an_image_of_no_place_is_not_counted_for_a_generation() -> None:
    job = Generation("j", index=0, total=1, invisible_until=0.0)
    job.notified(note(1, "j", "image_result", image_index=0, group_index=-1, status="completed"))
    assert not job.ended
    job.notified(note(2, "j", "image_result", image_index=0, group_index=0, status="completed"))
    assert job.ended
