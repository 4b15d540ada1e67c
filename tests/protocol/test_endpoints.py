from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from piktid_async.errors import (
    ActiveJobLimitError,
    BadRequestError,
    ConflictError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
)
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.images import AnnotatedImage, UploadedFile
from piktid_async.models.jobs import JobTicket
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest
from piktid_async.protocol import endpoints
from piktid_async.protocol.messages import Call, Response
from tests.protocol.support import Sample, answer, sample, sample_names, sent

JOB = "job_abc123..."


def build(of: Sample) -> GarmentRecolor:
    """Build the request that a sample of the recolor endpoint shows."""
    fields: dict[str, Any] = dict(of.request["json"])
    fields["project"] = fields.pop("project_id")
    fields["images"] = [
        AnnotatedImage(**each) if isinstance(each, dict) else each for each in fields["images"]
    ]
    return GarmentRecolor(**fields)


def recolor(**changes: Any) -> GarmentRecolor:
    return GarmentRecolor(**{"project": "p", "images": ["a"], "instruction": "green", **changes})


# The samples themselves


@pytest.mark.parametrize("name", sample_names())
def test_a_sample_says_where_it_comes_from(name):
    content = sample(name).content
    assert content["origin"] in ("documented", "observed", "invented")
    assert content["source"]


# What we send


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (endpoints.create_project("my-recolor-project", replayable=False), "project"),
        (endpoints.list_projects(1), "projects"),
        (endpoints.request_upload("tshirt-front.jpg", "my-recolor-project"), "upload"),
        (endpoints.request_upload("tshirt-front.jpg", None), "upload_reference"),
        (endpoints.job_status(JOB), "job_status"),
        (endpoints.job_results(JOB), "job_results"),
        (endpoints.request_zip(JOB), "download"),
        (endpoints.gallery_jobs("abc123...", 1), "gallery_by_job"),
        (endpoints.acknowledge(12345), "acknowledge"),
        (endpoints.regenerate(JOB, 1, 2), "regenerate"),
        (endpoints.job_versions(JOB, 1), "versions"),
        (endpoints.stuck_images(1, {"min_hours": 1.5, "status": "processing"}), "stuck_images"),
        (endpoints.fail_stuck_images([17, 18], "given up"), "stuck_images_update"),
        (endpoints.request_bulk_zip([JOB, "job_def456..."]), "download_bulk"),
        (endpoints.outstanding(["batch_edit", "image_result"], [JOB]), "notifications"),
    ],
)
def test_what_is_sent_is_what_the_sample_shows(call, name):
    assert sent(call.request) == sample(name).request


@pytest.mark.parametrize(
    "name",
    [
        "garment_recolor",
        "garment_recolor_options",
        "garment_recolor_watermark",
        "garment_recolor_no_post_process",
        "garment_recolor_notes",
    ],
)
def test_a_recolor_is_sent_as_the_guide_shows_with_the_documented_defaults_spelled_out(name):
    shown = sample(name)
    expected = {**shown.content["defaults"], **shown.request["json"]}
    assert sent(endpoints.submit(build(shown)).request) == {**shown.request, "json": expected}


def test_the_stream_is_asked_for_without_a_token_in_its_query():
    assert sent(endpoints.events()) == sample("events").request


def test_an_upload_without_names_leaves_them_to_the_service():
    assert endpoints.request_upload(None, None).request.json == {}


def test_files_of_all_kinds_are_sent_by_their_id():
    file = UploadedFile(file_id="b", filename="b.jpg", content_type="image/jpeg")
    request = recolor(images=["a", file, AnnotatedImage("c"), AnnotatedImage("d", "back")])
    body = endpoints.submit(request).request.json
    assert isinstance(body, dict)
    assert body["images"] == ["a", "b", "c", {"file_id": "d", "note": "back"}]


def test_a_reference_file_and_a_project_are_sent_by_their_ids():
    file = UploadedFile(file_id="swatch", filename="s.png", content_type="image/png")
    request = recolor(reference_image=file, project=Project("key", "name"))
    body = endpoints.submit(request).request.json
    assert isinstance(body, dict)
    assert (body["reference_image"], body["project_id"]) == ("swatch", "key")


def test_what_was_not_given_is_not_sent():
    body = endpoints.submit(recolor()).request.json
    assert isinstance(body, dict)
    assert not {"garment_label", "reference_image", "reference_text"} & set(body)
    assert None not in body.values()


def test_the_gallery_is_asked_for_every_image_a_job_can_have():
    """Fifty, the service's default, would hide inputs of a job with eighty outputs."""
    params = endpoints.gallery_jobs(None, 3).request.params
    assert params == {"max_images_per_job": 200, "page": 3, "per_page": 100}


# What may be sent twice


@pytest.mark.parametrize(
    ("call", "replayable"),
    [
        (endpoints.create_project("p", replayable=True), True),
        (endpoints.create_project("p", replayable=False), False),
        (endpoints.list_projects(1), True),
        (endpoints.request_upload("a.jpg", None), True),
        (endpoints.submit(recolor()), False),
        (endpoints.job_status("j"), True),
        (endpoints.job_results("j"), True),
        (endpoints.request_zip("j"), True),
        (endpoints.gallery_jobs("p", 1), True),
        (endpoints.acknowledge(1), True),
        (endpoints.anything("get", "/x", json=None, params=None), True),
        (endpoints.anything("POST", "/x", json=None, params=None), False),
        (endpoints.anything("PUT", "/x", json=None, params=None), False),
        (endpoints.anything("DELETE", "/x", json=None, params=None), False),
    ],
)
def test_only_what_costs_and_stores_nothing_twice_is_replayable(call, replayable):
    assert call.request.replayable is replayable


def test_a_kind_of_request_that_has_no_endpoint_is_refused():
    class Other(JobRequest):
        total_outputs = 1
        credits = None
        project_id = None
        input_ids = ()

    with pytest.raises(InvalidRequestError, match="request: Other is no job request"):
        endpoints.submit(Other())


# What comes back


@pytest.mark.parametrize("name", ["project", "project_created"])
def test_a_project_is_read(name):
    call = endpoints.create_project("my-recolor-project", replayable=False)
    assert call.parse(sample(name).response) == Project("abc123...", "my-recolor-project")


def test_a_taken_name_is_a_conflict_with_its_body():
    with pytest.raises(ConflictError) as caught:
        endpoints.create_project("x", replayable=False).parse(sample("project_taken").response)
    assert caught.value.body == sample("project_taken").body


def test_projects_are_read_by_their_key():
    page = endpoints.list_projects(1).parse(sample("projects").response)
    assert page.has_next is True
    assert [endpoints.project_of_row(row) for row in page.rows] == [
        Project("abc123...", "my-recolor-project"),
        Project("16", "older"),
    ]


@pytest.mark.parametrize("row", [{}, {"project_text": "x"}, {"project_key": None}])
def test_a_row_without_a_key_is_no_project(row):
    assert endpoints.project_of_row(row) is None


def test_a_project_without_a_name_has_an_empty_one():
    assert endpoints.project_of_row({"project_key": "k", "project_text": None}) == Project("k")


@pytest.mark.parametrize("name", ["upload", "upload_reference"])
def test_an_upload_ticket_is_read_with_its_url_untouched(name):
    shown = sample(name)
    ticket = endpoints.request_upload("tshirt-front.jpg", None).parse(shown.response)
    assert ticket.upload_url == shown.body["upload_url"]
    assert (ticket.file_id, ticket.content_type) == (shown.body["file_id"], "image/jpeg")
    assert "X-Amz-Signature" not in repr(ticket)


@pytest.mark.parametrize("field", ["upload_url", "file_id", "content_type", "filename"])
@pytest.mark.parametrize("change", ["absent", "null"])
def test_an_upload_ticket_that_lacks_a_field_is_refused(field, change):
    body = {**sample("upload").body, field: None}
    if change == "absent":
        del body[field]
    with pytest.raises(ResponseFormatError, match=rf"POST /upload: .* @ \$\.{field}"):
        endpoints.request_upload("a.jpg", None).parse(answer(body))


def test_a_submission_is_read():
    ticket = endpoints.submit(recolor()).parse(sample("garment_recolor").response)
    assert ticket == JobTicket(job_id=JOB, status="pending", total_outputs=6)


def test_a_submission_without_a_count_is_read():
    ticket = endpoints.submit(recolor()).parse(answer({"job_id": "j", "total_outputs": None}, 202))
    assert ticket == JobTicket(job_id="j")


@pytest.mark.parametrize("body", [{}, {"job_id": None}, {"job_id": 5}, [], None])
def test_a_submission_without_a_job_id_is_refused(body):
    with pytest.raises(ResponseFormatError):
        endpoints.submit(recolor()).parse(answer(body, 202))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("recolor_400", BadRequestError),
        ("recolor_402", InsufficientCreditsError),
        ("recolor_403", PermissionDeniedError),
        ("recolor_404", NotFoundError),
        ("recolor_429_jobs", ActiveJobLimitError),
        ("recolor_429_rate", RateLimitError),
    ],
)
def test_the_refusals_of_a_submission_are_told_apart(name, kind):
    with pytest.raises(kind):
        endpoints.submit(recolor()).parse(sample(name).response)


@pytest.mark.parametrize("name", ["job_status", "job_status_reference"])
def test_a_status_is_read(name):
    status = endpoints.job_status(JOB).parse(sample(name).response)
    assert (status.job_id, status.job_type, status.status) == (JOB, "garment_recolor", "processing")
    assert (status.progress, status.processed_images, status.total_images) == (50.0, 3, 6)
    assert status.project_key == sample(name).body.get("project_key")


def test_a_job_that_is_not_visible_yet_is_not_found():
    with pytest.raises(NotFoundError):
        endpoints.job_status(JOB).parse(sample("job_status_not_yet").response)


@pytest.mark.parametrize(
    "name",
    [
        "job_results",
        "job_results_reference",
        "job_results_partial",
        "job_results_failed",
        "job_results_top_level_url",
    ],
)
def test_results_are_read(name):
    result = endpoints.job_results(JOB).parse(sample(name).response)
    assert result.job_id == JOB
    assert len(result.outputs) == len(sample(name).body["results"])


def test_a_zip_ticket_is_read_and_not_shown():
    ticket = endpoints.request_zip(JOB).parse(sample("download").response)
    assert ticket.download_url == "https://v2.api.piktid.com/download/token123..."
    assert ticket.expires == "2024-12-17T11:00:00Z"
    assert "token123" not in repr(ticket)


def test_a_job_of_the_gallery_is_read_with_its_inputs():
    page = endpoints.gallery_jobs("abc123...", 1).parse(sample("gallery_by_job").response)
    (row,) = page.rows
    job = endpoints.gallery_job_of_row(row)
    assert (job.job_id, job.job_type, job.project_key) == (JOB, "garment_recolor", "abc123...")
    assert job.input_ids == {"img_001...", "img_002..."}
    assert job.created_at == datetime(2024, 12, 17, 10, tzinfo=UTC)
    assert page.has_next is False


@pytest.mark.parametrize(
    "images",
    [
        None,
        {},
        [None, 5, {}],
        [{"inputs": None}],
        [{"inputs": [None, 5, {}, {"uuid": None}, {"uuid": 5}]}],
    ],
)
def test_a_job_of_the_gallery_may_lack_inputs(images):
    job = endpoints.gallery_job_of_row({"job_id": "j", "images": images})
    assert job.input_ids == frozenset()


@pytest.mark.parametrize("job_id", [None, "", 5])
def test_a_job_of_the_gallery_without_an_id_is_refused_and_not_called_none(job_id):
    with pytest.raises(ResponseFormatError, match="job_id"):
        endpoints.gallery_job_of_row({"job_id": job_id})


@pytest.mark.parametrize(
    ("created_at", "read"),
    [
        ("2024-12-17T10:00:00Z", datetime(2024, 12, 17, 10, tzinfo=UTC)),
        ("2024-12-17T10:00:00", datetime(2024, 12, 17, 10, tzinfo=UTC)),
        ("2024-12-17T11:00:00+01:00", datetime(2024, 12, 17, 10, tzinfo=UTC)),
        ("yesterday", None),
        (1702819200, None),
        (None, None),
    ],
)
def test_the_date_of_a_job_is_read_as_utc_where_it_names_no_zone(created_at, read):
    job = endpoints.gallery_job_of_row({"job_id": "j", "created_at": created_at})
    assert job.created_at == read


def test_a_job_without_a_date_may_be_of_any_time():
    since = datetime(2024, 12, 17, 10, tzinfo=UTC)
    assert endpoints.GalleryJob(job_id="j").not_before(since)
    assert endpoints.GalleryJob(job_id="j", created_at=since).not_before(since)
    early = datetime(2024, 12, 17, 9, tzinfo=UTC)
    assert not endpoints.GalleryJob(job_id="j", created_at=early).not_before(since)


@pytest.mark.parametrize("rows", [None, {}, "x", 5])
def test_a_page_without_its_rows_is_refused_and_not_taken_for_an_empty_one(rows):
    with pytest.raises(ResponseFormatError, match=r"GET /project: .* @ \$\.projects"):
        endpoints.list_projects(1).parse(answer({"projects": rows}))


@pytest.mark.parametrize(
    "pagination", [None, {}, {"has_next": False}, {"has_next": "true"}, {"has_next": 1}, []]
)
def test_a_page_is_the_last_unless_it_says_otherwise(pagination):
    page = endpoints.list_projects(1).parse(answer({"projects": [], "pagination": pagination}))
    assert page.has_next is False


# Acknowledging


@pytest.mark.parametrize("status", [200, 202, 204, 404, 410])
def test_what_is_gone_is_acknowledged(status):
    assert endpoints.acknowledge(1).parse(Response(status=status)) is None


def test_the_samples_of_acknowledging_are_successes():
    call = endpoints.acknowledge(12345)
    assert call.parse(sample("acknowledge").response) is None
    assert call.parse(sample("acknowledge_gone").response) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, PermissionDeniedError), (429, RateLimitError), (500, ServerError)],
)
def test_an_acknowledgement_that_was_refused_is_an_error(status, kind):
    with pytest.raises(kind):
        endpoints.acknowledge(1).parse(Response(status=status))


# Paths


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("job_1", "job_1"),
        ("a/b", "a%2Fb"),
        ("../tokens", "..%2Ftokens"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b", "a%20b"),
        ("%2e%2e", "%252e%252e"),
        ("é", "%C3%A9"),
        ("a\nb", "a%0Ab"),
        ("...", "..."),
    ],
)
def test_an_id_stays_one_segment_of_the_path(value, segment):
    assert endpoints.job_status(value).request.path == f"/jobs/{segment}/status"
    assert endpoints.job_results(value).request.path == f"/jobs/{segment}/results"
    assert endpoints.acknowledge(value).request.path == f"/notifications/{segment}"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(value):
    with pytest.raises(InvalidRequestError, match="job_id: is no id"):
        endpoints.job_status(value)
    with pytest.raises(InvalidRequestError, match="job_id: is no id"):
        endpoints.job_results(value)
    with pytest.raises(InvalidRequestError, match="id: is no id"):
        endpoints.acknowledge(value)


def test_a_call_is_named_without_its_query():
    assert endpoints.gallery_jobs("p", 1).request.call == "GET /gallery/by-job"


# Anything else


def anything(method: str = "GET", path: str = "/x") -> Call[Any]:
    return endpoints.anything(method, path, json=None, params=None)


def test_any_endpoint_can_be_called():
    call = endpoints.anything("post", "/a/b", json={"c": 1}, params={"d": 2})
    assert sent(call.request) == {
        "method": "POST",
        "path": "/a/b",
        "json": {"c": 1},
        "params": {"d": 2},
    }


@pytest.mark.parametrize(
    "path",
    [
        *("", "x", "gallery/by-job", "https://a.example/x", "//a.example/x", "///x"),
        *("/x?token=1", "/x#y", "/x y", "/x\r\nHost: a", "/x\ty", "/x\0y", "/x\x7fy", "/\\a"),
    ],
)
def test_what_is_no_path_on_the_api_is_refused(path):
    with pytest.raises(InvalidRequestError, match="path: must be a path on the API"):
        anything(path=path)


@pytest.mark.parametrize("path", ["/", "/x", "/x/y.z", "/x%20y", "/@x", "/x:y"])
def test_other_paths_are_taken(path):
    assert anything(path=path).request.path == path


@pytest.mark.parametrize("method", ["", "GET /x", "G\r\nT", "GÉT", "G3T", " GET"])
def test_what_is_no_verb_is_refused(method):
    with pytest.raises(InvalidRequestError, match="method: must be a verb"):
        anything(method)


def test_an_answer_without_a_body_is_none():
    assert anything("DELETE").parse(Response(status=204)) is None


@pytest.mark.parametrize("value", [{}, [1], "x", 5, None])
def test_an_answer_is_parsed_whatever_it_holds(value):
    assert anything().parse(answer(value)) == value


def test_a_refusal_is_an_error_and_an_answer_in_html_too():
    with pytest.raises(NotFoundError, match="404 on GET /x"):
        anything().parse(Response(status=404))
    with pytest.raises(ResponseFormatError, match="not JSON"):
        anything().parse(Response(status=200, body=b"<html>"))


def test_versions_of_every_group_are_read_oldest_first():
    found = endpoints.job_versions(JOB, 1).parse(sample("versions").response)
    assert [output.key for output in found] == [(1, 0, 0), (1, 0, 1), (1, 1, 0)]
    assert found[1].url == "https://cdn.example/1_v1.png?Signature=abc"


def test_a_regeneration_answers_with_nothing_that_is_needed():
    endpoints.regenerate(JOB, 1, 2).parse(sample("regenerate").response)


def test_stuck_images_are_read():
    page = endpoints.stuck_images(1, {}).parse(sample("stuck_images").response)
    (image,) = [endpoints.stuck_image_of_row(row) for row in page.rows]
    assert (image.id, image.job_id, image.hours_stuck, page.has_next) == (17, JOB, 2.25, False)


def test_images_that_were_given_up_are_counted():
    call = endpoints.fail_stuck_images([17, 18], "given up")
    assert call.parse(sample("stuck_images_update").response) == 2


def test_a_link_to_several_jobs_is_read():
    ticket = endpoints.request_bulk_zip([JOB]).parse(sample("download_bulk").response)
    assert ticket.download_url == "https://v2.api.piktid.com/download/token123..."


def test_outstanding_notifications_are_read():
    call = endpoints.outstanding(["batch_edit"], None)
    (note,) = call.parse(sample("notifications").response)
    assert (note.name, note.job_id) == ("batch_edit", note.data["id_task"])
    assert call.request.json == {"name_list": ["batch_edit"]}
    with pytest.raises(ResponseFormatError, match="a list, not dict"):
        call.parse(answer({}))
    with pytest.raises(ResponseFormatError, match="id and name expected"):
        call.parse(answer([{}]))
