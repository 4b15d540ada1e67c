"""`/gallery`."""

from __future__ import annotations

from datetime import datetime

import attrs

from piktid_async.errors import ResponseFormatError
from piktid_async.protocol.endpoints.building import (
    Page,
    date_or_none,
    page_of,
    text_or_none,
)
from piktid_async.protocol.messages import Call
from piktid_async.types import JsonObject, Params

IMAGES_PER_JOB = 200
"""Images listed per job: the documented maximum; 50 would hide inputs."""


@attrs.frozen(kw_only=True)
class GalleryJob:
    """One job of `GET /gallery/by-job`."""

    job_id: str
    job_type: str | None = None
    project_key: str | None = None
    input_ids: frozenset[str] = frozenset()
    created_at: datetime | None = None

    def may_hold(self, inputs: frozenset[str]) -> bool:
        """Whether the inputs listed so far are some of these, or these and a reference."""
        return bool(self.input_ids) and (self.input_ids <= inputs or inputs <= self.input_ids)

    def not_before(self, since: datetime) -> bool:
        """Whether it may have been made since then; a job without a date may."""
        return self.created_at is None or self.created_at >= since


def gallery_jobs(project_id: str | None, page: int) -> Call[Page]:
    """`GET /gallery/by-job`, newest first."""
    project: Params = {} if project_id is None else {"project_id": project_id}
    return page_of(
        "/gallery/by-job", "jobs", page, {**project, "max_images_per_job": IMAGES_PER_JOB}
    )


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
        job_type=text_or_none(row.get("job_type")),
        project_key=text_or_none(row.get("project_key")),
        input_ids=frozenset(each for each in ids if isinstance(each, str)),
        created_at=date_or_none(row.get("created_at")),
    )
