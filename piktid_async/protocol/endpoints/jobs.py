"""`/jobs` and `/download`."""

from __future__ import annotations

import attrs

from piktid_async.models.jobs import JobResult, JobStatus
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import call, get, segment
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_object


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


def request_zip(job_id: str) -> Call[ZipTicket]:
    """`POST /download`: a link to a ZIP of the job's results."""
    request = Request(method="POST", path="/download", json={"job_id": job_id}, replayable=True)
    return call(request, ZipTicket)
