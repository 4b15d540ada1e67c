from __future__ import annotations

import importlib
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import ResponseFormatError
from piktid_async.models.jobs import JobResult, JobStatus, JobTicket, Output
from piktid_async.models.notifications import (
    BatchEdit,
    IdentityPreprocessing,
    ImageResult,
    UnknownPayload,
)
from piktid_async.models.projects import Project
from piktid_async.protocol import codec
from tests.protocol.support import note, sample

HOMES = ("account", "identities", "presets")


def results_of(name: str) -> JobResult:
    return codec.job_result("GET /jobs/x/results", sample(name).body)


def results(*rows: Any, **changes: Any) -> JobResult:
    body = {"job_id": "job_1", "status": "completed", "results": list(rows), **changes}
    return codec.job_result("GET /r", body)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "image_index": 0,
        "group_index": 0,
        "status": "completed",
        "output": {"full_size": "https://cdn.example/0.png", "thumbnail": "https://t"},
        **changes,
    }


def reason(caught: pytest.ExceptionInfo[ResponseFormatError]) -> str:
    return caught.value.reason


# Strictness


@pytest.mark.parametrize("value", [None, 5, True, 5.9, ["x"], {"a": 1}])
def test_a_text_is_a_text_and_nothing_is_made_one(value):
    with pytest.raises(ResponseFormatError) as caught:
        codec.structure("GET /x", {"job_id": value, "status": "pending"}, JobStatus)
    assert reason(caught) == "invalid value for type, expected str @ $.job_id"


@pytest.mark.parametrize("value", ["5", "abc", 5.9, 5.0, True, [5], {}])
def test_a_whole_number_is_one_and_nothing_is_made_one(value):
    body = {"job_id": "j", "status": "pending", "total_images": value}
    with pytest.raises(ResponseFormatError) as caught:
        codec.structure("GET /x", body, JobStatus)
    assert reason(caught) == "invalid value for type, expected int | None @ $.total_images"


@pytest.mark.parametrize("value", ["5.9", True, False, [5.9], {}])
def test_a_number_is_one_and_nothing_is_made_one(value):
    body = {"job_id": "j", "status": "pending", "progress": value}
    with pytest.raises(ResponseFormatError) as caught:
        codec.structure("GET /x", body, JobStatus)
    assert reason(caught) == "invalid value for type, expected float | None @ $.progress"


@pytest.mark.parametrize("value", [50, 50.0, 33.3])
def test_a_number_may_be_whole(value):
    body = {"job_id": "j", "status": "pending", "progress": value}
    assert codec.structure("GET /x", body, JobStatus).progress == value


@pytest.mark.parametrize("value", ["false", "true", 0, 1, None, "abc"])
def test_a_truth_value_is_one_and_nothing_is_made_one(value):
    with pytest.raises(ResponseFormatError):
        codec.structure("GET /x", value, bool)
    assert codec.structure("GET /x", False, bool) is False


@pytest.mark.parametrize("value", ["abc", "", {"a": 1}, {}, None, 5, False])
def test_a_list_is_one_and_nothing_is_made_one(value):
    with pytest.raises(ResponseFormatError):
        codec.structure("GET /x", value, tuple[str, ...])
    assert codec.structure("GET /x", ["a", "b"], tuple[str, ...]) == ("a", "b")


@pytest.mark.parametrize("value", [None, [], "text", 5, True])
def test_what_is_no_object_is_refused(value):
    with pytest.raises(ResponseFormatError):
        codec.structure("GET /x", value, JobTicket)


def test_an_error_names_the_call_and_the_missing_field():
    with pytest.raises(ResponseFormatError) as caught:
        codec.structure("POST /garment-recolor", {"status": "pending"}, JobTicket)
    assert caught.value.summary == (
        "POST /garment-recolor: unexpected answer: required field missing @ $.job_id"
    )


def test_an_error_shows_no_value():
    with pytest.raises(ResponseFormatError) as caught:
        results(row(image_index="opensesame", output={"full_size": ["opensesame"]}))
    assert "opensesame" not in str(caught.value) + repr(caught.value)


def test_unknown_fields_are_ignored():
    body = {"job_id": "j", "status": "pending", "eta": 5, "nested": {"a": [1]}}
    assert codec.structure("GET /x", body, JobTicket) == JobTicket(job_id="j")


def test_statuses_that_are_not_known_stay_as_they_are():
    body = {"job_id": "j", "status": "hibernating", "job_type": "new_kind"}
    assert codec.structure("GET /x", body, JobStatus).status == "hibernating"


def test_null_is_taken_where_the_reference_says_so():
    nullable = {field.name: None for field in attrs.fields(JobStatus) if field.default is None}
    body = {"job_id": "j", "status": "pending", **nullable}
    assert codec.structure("GET /x", body, JobStatus) == JobStatus(job_id="j", status="pending")
    assert len(nullable) == 10


def test_a_project_s_integer_id_is_not_taken_for_its_key():
    with pytest.raises(ResponseFormatError, match=r"expected str @ \$\.project_id"):
        codec.structure("POST /project", {"project_id": 17, "project_name": "x"}, Project)


# Results, in each documented edition


def test_the_guide_s_results_are_read():
    found = results_of("job_results")
    assert (found.job_id, found.kind, found.status) == (
        "job_abc123...",
        "garment_recolor",
        "completed",
    )
    assert found.outputs == tuple(
        Output(
            job_id="job_abc123...",
            image_index=index,
            group_index=0,
            version=0,
            status="completed",
            url=f"https://cdn.example/{index}.png",
            thumbnail_url=f"https://cdn.example/{index}_t.png",
            model_used="nano_banana_2",
        )
        for index in (0, 1)
    )


def test_the_reference_s_results_are_read_and_ordered():
    found = results_of("job_results_reference")
    assert [output.key for output in found.outputs] == [(0, 0, 1), (1, 0, 1)]
    assert found.outputs[0].url == "https://cdn.example/0.png?Signature=abc"
    assert found.outputs[0].original_filename == "0.jpg"
    assert (found.credits_used, found.summary["successful"]) == (10.0, 2)


def test_partial_results_are_read_with_their_nulls():
    found = results_of("job_results_partial")
    assert found.status == "processing"
    assert [(output.key, output.status, output.url) for output in found.outputs] == [
        ((0, 0, 1), "completed", "https://cdn.example/0.png?Signature=abc"),
        ((1, 0, 0), "processing", None),
        ((2, 0, 0), "pending", None),
    ]
    assert found.summary == {}
    assert found.credits_used is None


def test_a_failed_job_s_results_are_read_with_their_words():
    found = results_of("job_results_failed")
    assert (found.status, found.error_message) == ("failed", "Segmentation failed")
    assert found.failed[0].error_message == "We couldn't find the t-shirt in this image"
    assert found.failed[0].url is None


def test_a_top_level_url_is_read_as_vendor_programs_do():
    assert results_of("job_results_top_level_url").outputs[0].url == "https://cdn.example/0.png"


def test_the_documented_url_counts_before_the_top_level_one():
    (output,) = results(row(url="https://other")).outputs
    assert output.url == "https://cdn.example/0.png"


def test_a_row_is_keyed_by_the_job_of_the_answer_when_it_names_none():
    assert results(row()).outputs[0].job_id == "job_1"
    assert results(row(job_id=None)).outputs[0].job_id == "job_1"
    assert results(row(job_id="job_2")).outputs[0].job_id == "job_2"


def test_outputs_are_ordered_by_image_then_group():
    rows = [row(image_index=i, group_index=g) for i, g in [(1, 1), (0, 1), (1, 0), (0, 0)]]
    assert [output.key[:2] for output in results(*rows).outputs] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize("rows", [None, []])
def test_no_rows_are_no_outputs(rows):
    assert codec.job_result("GET /r", {"job_id": "j", "status": "s", "results": rows}).outputs == ()
    assert codec.job_result("GET /r", {"job_id": "j", "status": "s"}).outputs == ()


@pytest.mark.parametrize("rows", [{}, {"0": row()}, "abc", "", 0, 5, False, True])
def test_rows_that_are_no_list_are_refused_and_not_taken_for_none(rows):
    with pytest.raises(ResponseFormatError, match=r" @ \$\.results; "):
        codec.job_result("GET /r", {"job_id": "j", "status": "completed", "results": rows})


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (row(image_index=None), "required field missing @ $.results[1].image_index"),
        (row(image_index="0"), "expected int @ $.results[1].image_index"),
        (row(image_index=True), "expected int @ $.results[1].image_index"),
        (row(group_index="0"), "expected int @ $.results[1].group_index"),
        (row(version=0.0), "expected int @ $.results[1].version"),
        (row(image_index=-1), "expected int @ $.results[1].image_index"),
        (row(group_index=-1), "expected int @ $.results[1].group_index"),
        (row(version=-1), "expected int @ $.results[1].version"),
        (row(status=5), "expected str @ $.results[1].status"),
        (row(output={"full_size": 5}), "expected str | None @ $.results[1].url"),
        (5, "expected Output @ $.results[1]"),
        (None, "expected Output @ $.results[1]"),
        ("abc", "@ $.results[1]"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_does_not_hide_the_others(bad, path):
    result = results(row(), bad, row(image_index=1))
    assert [output.image_index for output in result.outputs] == [0, 1]
    assert [path in each for each in result.unreadable] == [True]
    with pytest.raises(ResponseFormatError) as caught:
        results(bad)
    assert path.replace("[1]", "[0]") in reason(caught)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"job_id": None}, "expected str @ $.job_id"),
        ({"status": None}, "expected str @ $.status"),
        ({"job_type": 5}, "expected str @ $.kind"),
        ({"summary": [1]}, "expected Mapping @ $.summary"),
        ({"credits_used": "3"}, "expected float | None @ $.credits_used"),
    ],
)
def test_a_result_that_does_not_fit_is_named(changes, path):
    with pytest.raises(ResponseFormatError) as caught:
        results(**changes)
    assert path in reason(caught)


@pytest.mark.parametrize("output", [None, [], "x", {}, {"full_size": None}])
def test_an_output_without_links_has_none(output):
    (found,) = results(row(output=output)).outputs
    assert (found.url, found.thumbnail_url) == (None, None)


# Notifications


def test_the_documented_payloads_are_read():
    assert codec.notification(sample("batch_edit").notification).payload == BatchEdit(
        status="completed", total_images=6, processed_images=6
    )
    assert codec.notification(sample("batch_edit_failed").notification).payload == BatchEdit(
        status="failed", total_images=6, processed_images=2, error_message="Job failed"
    )
    assert codec.notification(sample("image_result").notification).payload == ImageResult(
        image_index=0,
        group_index=1,
        status="completed",
        output_link="https://cdn.example/0.png?Signature=abc",
        output_thumbnail_link="https://cdn.example/0_t.png",
    )
    identity = codec.notification(sample("identity_preprocessing").notification).payload
    assert identity == IdentityPreprocessing(identity_code="abc1234567xy", status="completed")


def test_a_notification_keeps_its_facts_and_its_raw_data():
    wire = note("x/1", "job_1", "image_result", image_index=0, status="completed", extra={"a": 1})
    public = codec.notification(wire)
    assert (public.id, public.name, public.job_id) == ("x/1", "image_result", "job_1")
    assert public.data["extra"] == {"a": 1}


def test_a_kind_that_is_not_known_is_no_error():
    payload = codec.notification(note(1, name="ping")).payload
    assert payload == UnknownPayload(reason="unknown name")


@pytest.mark.parametrize(
    ("name", "data", "path"),
    [
        ("batch_edit", {}, "required field missing @ $.status"),
        ("batch_edit", {"status": None}, "required field missing @ $.status"),
        ("batch_edit", {"status": "x", "total_images": "6"}, "@ $.total_images"),
        ("image_result", {"status": "completed"}, "required field missing @ $.image_index"),
        ("image_result", {"status": "completed", "image_index": "0"}, "@ $.image_index"),
        ("image_result", {"status": "completed", "image_index": -1}, "@ $.image_index"),
        (
            "image_result",
            {"status": "completed", "image_index": 0, "group_index": -1},
            "@ $.group_index",
        ),
        ("image_result", {"status": "completed", "image_index": 0, "version": -1}, "@ $.version"),
    ],
)
def test_a_known_kind_that_does_not_fit_is_unknown_and_says_why(name, data, path):
    payload = codec.notification(note(1, name=name, **data)).payload
    assert isinstance(payload, UnknownPayload)
    assert path in payload.reason


def test_nulls_of_an_image_event_are_as_good_as_absent():
    wire = note(
        1, name="image_result", image_index=2, group_index=None, status="failed", version=None
    )
    assert codec.notification(wire).payload == ImageResult(image_index=2, status="failed")


def test_an_image_event_becomes_an_output():
    output = codec.output_from_event(sample("image_result").notification)
    assert output == Output(
        job_id="job_abc123...",
        image_index=0,
        group_index=1,
        status="completed",
        url="https://cdn.example/0.png?Signature=abc",
        thumbnail_url="https://cdn.example/0_t.png",
    )


@pytest.mark.parametrize(
    "wire",
    [
        note(1, name="batch_edit", status="completed"),
        note(1, None, "image_result", image_index=0, status="completed"),
        note(1, name="image_result", status="completed"),
        note(1, name="image_result", image_index=-1, status="completed"),
        note(1, name="new_kind", image_index=0, status="completed"),
    ],
)
def test_what_tells_of_no_image_becomes_no_output(wire):
    assert codec.output_from_event(wire) is None


def test_an_image_under_way_becomes_an_output_that_says_so():
    output = codec.output_from_event(note(1, name="image_result", image_index=0, status="pending"))
    assert output is not None
    assert output.status == "pending"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["results", "output", "status", "image_index", "url", "job_id", "summary"]
            ),
            inner,
            max_size=7,
        )
    ),
    max_leaves=12,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(body=st.dictionaries(st.sampled_from(["results", "job_id", "status", "summary"]), JSON))
def test_any_answer_is_a_result_or_the_typed_error(body):
    try:
        found = codec.job_result("GET /r", json.loads(json.dumps(body)))
    except ResponseFormatError:
        return
    assert isinstance(found, JobResult)
    assert all(isinstance(output.status, str) for output in found.outputs)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    name=st.sampled_from(["batch_edit", "image_result", "identity_preprocessing", "x"]), data=JSON
)
def test_any_data_makes_a_payload(name, data):
    if isinstance(data, dict):
        wire = note(1, name=name, **data)
        assert codec.notification(wire).payload is not None
        codec.output_from_event(wire)


def test_every_tolerant_shape_is_a_model():
    """They are known by name alone, so that no program loads them all."""
    models = (importlib.import_module(f"piktid_async.models.{each}") for each in HOMES)
    found = {
        name
        for module in models
        for name, kind in vars(module).items()
        if isinstance(kind, type) and attrs.has(kind)
    }
    assert codec._TOLERANT.keys() <= found
