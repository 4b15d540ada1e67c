from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import ResponseFormatError
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.feed import SYNCED, read_event, read_notification
from piktid_async.protocol.sse import Decoder, ServerSentEvent
from tests.protocol.support import sample

GOOD: dict[str, Any] = {
    "id": 12345,
    "name": "batch_edit",
    "timestamp": 1702819200.0,
    "data": {"id_task": "job_1", "status": "completed"},
}


def read(**changes: Any) -> WireNotification:
    return read_notification(json.dumps({**GOOD, **changes}))


def facts(wire: WireNotification) -> tuple[Any, ...]:
    return wire.id, wire.name, wire.timestamp, wire.job_id, wire.data


def test_the_documented_notification_is_read():
    assert facts(sample("batch_edit").notification) == (
        12345,
        "batch_edit",
        1702819200.0,
        "job_abc123...",
        {
            "id_task": "job_abc123...",
            "status": "completed",
            "total_images": 6,
            "processed_images": 6,
        },
    )


def test_a_body_of_bytes_is_read_like_a_text():
    assert facts(read_notification(json.dumps(GOOD).encode())) == facts(read())


def test_the_documented_stream_is_read_in_order():
    events = Decoder().feed(sample("events").content["stream"].encode())
    first, synced, last = [read_event(event) for event in events]
    assert synced is SYNCED
    assert isinstance(first, WireNotification)
    assert isinstance(last, WireNotification)
    assert (first.id, first.data["status"]) == (12344, "processing")
    assert (last.id, last.data["status"]) == (12345, "completed")


@pytest.mark.parametrize("data", ["{}", "", "[]", "no JSON"])
def test_the_end_of_the_backfill_needs_no_data(data):
    assert read_event(ServerSentEvent("backfill_complete", data)) is SYNCED


@pytest.mark.parametrize("name", ["message", "backfill", "notification", "new-kind"])
def test_an_event_of_any_other_name_is_decided_by_its_data(name):
    wire = read_event(ServerSentEvent(name, json.dumps(GOOD)))
    assert isinstance(wire, WireNotification)
    assert wire.id == 12345


@pytest.mark.parametrize("note_id", [1, 0, -1, "12345", "a/b", 2**60])
def test_ids_are_numbers_or_texts_and_stay_what_they_are(note_id):
    assert read(id=note_id).id == note_id
    assert type(read(id=note_id).id) is type(note_id)


@pytest.mark.parametrize("note_id", [None, "", True, 1.0, [1], {}])
def test_a_notification_without_a_usable_id_is_refused(note_id):
    with pytest.raises(ResponseFormatError, match=r"notification: .* id: a number or a text"):
        read(id=note_id)


@pytest.mark.parametrize("name", [None, 7, ["batch_edit"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(ResponseFormatError, match="name: a text expected"):
        read(name=name)


@pytest.mark.parametrize(
    "text", ["{}", "[]", "[1]", "null", "5", '"id"', '{"id": 1}', '{"name": "x"}', "true"]
)
def test_what_is_no_notification_is_refused(text):
    with pytest.raises(ResponseFormatError, match="an object with id and name expected"):
        read_notification(text)


@pytest.mark.parametrize("text", ["", "{", "NaN", "\ufffd", "{'id': 1}", "[" * 5000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ResponseFormatError, match="not JSON"):
        read_notification(text)


@pytest.mark.parametrize(
    ("data", "job_id"),
    [
        ({"id_task": "a"}, "a"),
        ({"job_id": "a"}, "a"),
        ({"id_task": "a", "job_id": "b"}, "a"),
        ({"id_task": None, "job_id": "b"}, "b"),
        ({"id_task": "", "job_id": "b"}, "b"),
        ({"id_task": 17}, "17"),
        ({}, None),
        ({"id_task": None}, None),
        ({"id_task": {"x": 1}}, None),
        ({"id_task": ["a"]}, None),
        ({"id_task": True}, None),
    ],
)
def test_the_job_is_found_under_either_key(data, job_id):
    assert read(data=data).job_id == job_id


@pytest.mark.parametrize("data", [None, [], "text", 5])
def test_data_that_is_no_object_is_none(data):
    wire = read(data=data)
    assert (wire.data, wire.job_id) == ({}, None)


def test_data_may_be_absent():
    assert read_notification('{"id": 1, "name": "ping"}').data == {}


@pytest.mark.parametrize(
    ("timestamp", "seen"), [(5, 5.0), (5.5, 5.5), (None, 0.0), ("5", 0.0), (True, 0.0)]
)
def test_a_timestamp_that_is_no_number_is_zero(timestamp, seen):
    assert read(timestamp=timestamp).timestamp == seen


def test_an_error_shows_nothing_of_the_event():
    with pytest.raises(ResponseFormatError) as caught:
        read_notification('{"id": 1, "link": "https://a.example/?opensesame"')
    assert "opensesame" not in str(caught.value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "name", "data", "timestamp", "id_task", "job_id"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(value=JSON, event=st.sampled_from(["message", "backfill", "backfill_complete"]))
def test_any_json_is_a_notification_or_the_typed_error(value, event):
    try:
        wire = read_event(ServerSentEvent(event, json.dumps(value)))
    except ResponseFormatError:
        return
    assert wire is SYNCED or isinstance(wire, WireNotification)
    if isinstance(wire, WireNotification):
        assert wire.job_id is None or isinstance(wire.job_id, str)
        assert isinstance(wire.data, dict)
