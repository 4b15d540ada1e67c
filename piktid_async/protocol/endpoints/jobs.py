"""`/jobs` and `/download`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from piktid_async.models.jobs import JobResult, JobStatus, Output, StuckImage
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import Page, call, get, page_of, segment
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import raise_for_status, read_object
from piktid_async.types import JsonObject, Params


@attrs.frozen(kw_only=True)
class ZipTicket:
    """The answer of `POST /download`: a URL that needs no token."""

    download_url: str = attrs.field(repr=False)
    expires: str | None = None


def job_status(job_id: str) -> Call[JobStatus]:
    """`GET /jobs/{id}/status`; 404 for a while after the 202."""
    return call(get(f"/jobs/{segment('job_id', job_id)}/status"), JobStatus)


def job_results(job_id: str) -> Call[JobResult]:
    """`GET /jobs/{id}/results`; partial while the job runs."""
    request = get(f"/jobs/{segment('job_id', job_id)}/results")

    def parse(response: Response) -> JobResult:
        return codec.job_result(request.call, read_object(request, response))

    return Call(request, parse)


def job_versions(job_id: str, image_index: int) -> Call[tuple[Output, ...]]:
    """`GET /jobs/{id}/versions/{image_index}`: all versions, of every group index."""
    request = get(f"/jobs/{segment('job_id', job_id)}/versions/{image_index}")

    def parse(response: Response) -> tuple[Output, ...]:
        body = read_object(request, response)
        return codec.output_rows(request.call, {"job_id": job_id}, body.get("versions"))

    return Call(request, parse)


def regenerate(job_id: str, image_index: int, group_index: int) -> Call[None]:
    """`POST /jobs/{id}/regenerate/{image_index}`: makes a new version, perhaps for credits."""
    request = Request(
        method="POST",
        path=f"/jobs/{segment('job_id', job_id)}/regenerate/{image_index}",
        params={"group_index": group_index},
    )
    return Call(request, partial(raise_for_status, request))


def stuck_images(page: int, filters: Params) -> Call[Page]:
    """`GET /jobs/stuck-images`."""
    return page_of("/jobs/stuck-images", "images", page, filters)


def stuck_image_of_row(row: JsonObject) -> StuckImage:
    """Read a row of the list."""
    return codec.structure("GET /jobs/stuck-images", row, StuckImage)


def fail_stuck_images(ids: Sequence[int], error_message: str | None) -> Call[int]:
    """`POST /jobs/stuck-images/bulk-update`: gives up on images; returns how many."""
    told: JsonObject = {} if error_message is None else {"error_message": error_message}
    request = Request(
        method="POST",
        path="/jobs/stuck-images/bulk-update",
        json={"image_ids": list(ids), "new_status": "failed", **told},
        replayable=True,
    )

    def parse(response: Response) -> int:
        count = read_object(request, response).get("updated_count")
        return count if isinstance(count, int) else 0

    return Call(request, parse)


def request_bulk_zip(job_ids: Sequence[str]) -> Call[ZipTicket]:
    """`POST /download/bulk`: a link to one ZIP of several jobs, 100 images at most."""
    request = Request(
        method="POST", path="/download/bulk", json={"job_ids": list(job_ids)}, replayable=True
    )
    return call(request, ZipTicket)


def request_zip(job_id: str) -> Call[ZipTicket]:
    """`POST /download`: a link to a ZIP of the job's results."""
    request = Request(method="POST", path="/download", json={"job_id": job_id}, replayable=True)
    return call(request, ZipTicket)
