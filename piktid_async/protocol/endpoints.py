"""One function per endpoint: what to send, and what the answer means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import attrs

from piktid_async.errors import InvalidRequestError, ResponseFormatError
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.images import AnnotatedImage, UploadedFile, file_id_of
from piktid_async.models.jobs import JobResult, JobStatus, JobTicket
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest
from piktid_async.protocol import codec
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import raise_for_status, read_json, read_object
from piktid_async.types import Json, JsonObject, NoteId, Params

T = TypeVar("T")

PAGE_SIZE = 100
"""Rows asked for at once: the documented maximum."""
IMAGES_PER_JOB = 200
"""Images listed per job of the gallery: the documented maximum; 50 would hide inputs."""


@attrs.frozen(kw_only=True)
class UploadTicket:
    """The answer of `POST /upload`: where to put the bytes."""

    upload_url: str = attrs.field(repr=False)
    file_id: str
    filename: str
    content_type: str
    download_url: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ZipTicket:
    """The answer of `POST /download`: a URL that needs no token."""

    download_url: str = attrs.field(repr=False)
    expires: str | None = None


@attrs.frozen(kw_only=True)
class GalleryJob:
    """One job of `GET /gallery/by-job`."""

    job_id: str
    job_type: str | None = None
    project_key: str | None = None
    input_ids: frozenset[str] = frozenset()
    created_at: datetime | None = None

    def not_before(self, since: datetime) -> bool:
        """Whether it may have been made since then; a job without a date may."""
        return self.created_at is None or self.created_at >= since


@attrs.frozen
class Page:
    """Rows, and whether there are more."""

    rows: tuple[JsonObject, ...]
    has_next: bool


def create_project(name: str, *, replayable: bool) -> Call[Project]:
    """`POST /project`; 409 when the name is taken, perhaps with the project's id."""
    request = Request(
        method="POST", path="/project", json={"project_name": name}, replayable=replayable
    )

    def parse(response: Response) -> Project:
        answer = read_object(request, response)
        return codec.structure(request.call, {"project_name": name, **answer}, Project)

    return Call(request, parse)


def list_projects(page: int) -> Call[Page]:
    """`GET /project`."""
    return _page("/project", "projects", page, {})


def project_of_row(row: JsonObject) -> Project | None:
    """Read a row of the list: the key is the id, the integer `project_id` is not."""
    key = row.get("project_key") or row.get("project_id")
    name = row.get("project_text") or row.get("project_name")
    return Project(str(key), str(name or "")) if key else None


def request_upload(filename: str | None, project_name: str | None) -> Call[UploadTicket]:
    """`POST /upload`. A ticket that is not used costs nothing, so it may be asked for again."""
    named = {"filename": filename, "project_name": project_name}
    body: JsonObject = {key: value for key, value in named.items() if value is not None}
    return _call(Request(method="POST", path="/upload", json=body, replayable=True), UploadTicket)


def submit(request: JobRequest) -> Call[JobTicket]:
    """Return the POST that creates the job. It costs credits: never replayable."""
    row = _SUBMISSIONS.get(type(request))
    if row is None:
        raise InvalidRequestError("request", f"{type(request).__name__} is no job request")
    path, body = row
    return _call(Request(method="POST", path=path, json=body(request)), JobTicket)


def job_status(job_id: str) -> Call[JobStatus]:
    """`GET /jobs/{id}/status`; 404 for a while after the 202."""
    return _call(_get(f"/jobs/{_segment('job_id', job_id)}/status"), JobStatus)


def job_results(job_id: str) -> Call[JobResult]:
    """`GET /jobs/{id}/results`; partial while the job runs."""
    request = _get(f"/jobs/{_segment('job_id', job_id)}/results")

    def parse(response: Response) -> JobResult:
        return codec.job_result(request.call, read_object(request, response))

    return Call(request, parse)


def request_zip(job_id: str) -> Call[ZipTicket]:
    """`POST /download`: a link to a ZIP of the job's results."""
    request = Request(method="POST", path="/download", json={"job_id": job_id}, replayable=True)
    return _call(request, ZipTicket)


def gallery_jobs(project_id: str | None, page: int) -> Call[Page]:
    """`GET /gallery/by-job`, newest first."""
    project: Params = {} if project_id is None else {"project_id": project_id}
    return _page("/gallery/by-job", "jobs", page, {**project, "max_images_per_job": IMAGES_PER_JOB})


def gallery_job_of_row(row: JsonObject) -> GalleryJob:
    """Read a row of the gallery; the inputs' uuids are the uploaded file ids."""
    job_id, images = row.get("job_id"), row.get("images")
    if not isinstance(job_id, str) or not job_id:
        raise ResponseFormatError("GET /gallery/by-job", "required field missing @ $.jobs.job_id")
    inputs = [
        each
        for image in (images if isinstance(images, list) else [])
        if isinstance(image, dict) and isinstance(found := image.get("inputs"), list)
        for each in found
    ]
    ids = {each.get("uuid") for each in inputs if isinstance(each, dict)}
    return GalleryJob(
        job_id=job_id,
        job_type=_text_or_none(row.get("job_type")),
        project_key=_text_or_none(row.get("project_key")),
        input_ids=frozenset(each for each in ids if isinstance(each, str)),
        created_at=_date_or_none(row.get("created_at")),
    )


def events() -> Request:
    """`GET /notifications/events`: the stream; the token goes in the header, not the query."""
    return _get("/notifications/events")


def acknowledge(note_id: NoteId) -> Call[None]:
    """`DELETE /notifications/{id}`; one that is gone already is acknowledged."""
    path = f"/notifications/{_segment('id', str(note_id))}"
    request = Request(method="DELETE", path=path, replayable=True)

    def parse(response: Response) -> None:
        if response.status not in (404, 410):
            raise_for_status(request, response)

    return Call(request, parse)


def anything(method: str, path: str, *, json: Json, params: Params | None) -> Call[Json]:
    """Return a call to an endpoint that is not modelled; only GET is sent again after a fault."""
    strange = any(each <= " " or each in "\\?#\x7f" for each in path)
    if strange or not path.startswith("/") or path.startswith("//"):
        raise InvalidRequestError(
            "path", f"must be a path on the API such as '/gallery/by-job', not {path!r}"
        )
    verb = method.upper()
    if not verb.isascii() or not verb.isalpha():
        raise InvalidRequestError("method", f"must be a verb such as GET, not {method!r}")
    request = Request(method=verb, path=path, json=json, params=params, replayable=verb == "GET")

    def parse(response: Response) -> Json:
        raise_for_status(request, response)
        return read_json(request, response) if response.body else None

    return Call(request, parse)


def _recolor_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, GarmentRecolor)
    reference = request.reference_image
    optional: JsonObject = {
        "garment_label": request.garment_label,
        "reference_image": None if reference is None else file_id_of("reference_image", reference),
        "reference_text": request.reference_text,
        "instruction": request.instruction,
    }
    return {
        "project_id": request.project_id,
        "images": [_image(each) for each in request.images],
        **{key: value for key, value in optional.items() if value is not None},
        "num_variations": request.num_variations,
        "processing_size": request.processing_size,
        "model": request.model,
        "post_process": request.post_process,
        "use_anchor": request.use_anchor,
        "add_ai_watermark": request.add_ai_watermark,
    }


def _image(image: UploadedFile | AnnotatedImage | str) -> Json:
    file_id = file_id_of("images", image)
    if isinstance(image, AnnotatedImage) and image.note:
        return {"file_id": file_id, "note": image.note}
    return file_id


_SUBMISSIONS: Mapping[type[JobRequest], tuple[str, Callable[[JobRequest], JsonObject]]] = {
    GarmentRecolor: ("/garment-recolor", _recolor_body)
}


def _get(path: str, params: Params | None = None) -> Request:
    return Request(method="GET", path=path, params=params, replayable=True)


def _call(request: Request, kind: type[T]) -> Call[T]:
    def parse(response: Response) -> T:
        return codec.structure(request.call, read_object(request, response), kind)

    return Call(request, parse)


def _page(path: str, key: str, page: int, params: Mapping[str, str | int]) -> Call[Page]:
    request = _get(path, {**params, "page": page, "per_page": PAGE_SIZE})
    return Call(request, partial(_read_page, request, key))


def _read_page(request: Request, key: str, response: Response) -> Page:
    answer = read_object(request, response)
    rows = answer.get(key)
    if not isinstance(rows, list):
        raise ResponseFormatError(request.call, f"required field missing @ $.{key}")
    pagination = answer.get("pagination")
    has_next = isinstance(pagination, dict) and pagination.get("has_next") is True
    return Page(tuple(row for row in rows if isinstance(row, dict)), has_next)


def _segment(field: str, value: str) -> str:
    # "." and ".." would be resolved away into another path.
    if not value or value in (".", ".."):
        raise InvalidRequestError(field, f"is no id: {value!r}")
    return quote(value, safe="")


def _text_or_none(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _date_or_none(value: Json) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    # The service writes UTC, with or without its Z.
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
