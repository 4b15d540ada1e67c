"""`/gallery`, as its public calls show it."""

from __future__ import annotations

import attrs

from piktid_async.models.account import JobSummary, ProjectSummary
from piktid_async.models.jobs import Output
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import Page, page_of
from piktid_async.protocol.messages import Call
from piktid_async.types import JsonObject, Params

JOBS = "/gallery/by-job"
PROJECTS = "/gallery/by-project"


def list_job_summaries(page: int, filters: Params) -> Call[Page]:
    """`GET /gallery/by-job`."""
    return page_of(JOBS, "jobs", page, filters)


def job_summary_of_row(row: JsonObject) -> JobSummary:
    """Read a row of the list."""
    summary = codec.structure(f"GET {JOBS}", {**row, "images": []}, JobSummary)
    return attrs.evolve(summary, images=_images(JOBS, row))


def list_project_summaries(page: int, filters: Params) -> Call[Page]:
    """`GET /gallery/by-project`."""
    return page_of(PROJECTS, "projects", page, filters)


def project_summary_of_row(row: JsonObject) -> ProjectSummary:
    """Read a row of the list."""
    summary = codec.structure(f"GET {PROJECTS}", {**row, "images": []}, ProjectSummary)
    return attrs.evolve(summary, images=_images(PROJECTS, row))


def _images(path: str, row: JsonObject) -> tuple[Output, ...]:
    # In an old edition the images of a project do not tell their job.
    owner: JsonObject = {"job_id": row.get("job_id") or ""}
    return codec.listed_outputs(f"GET {path}", owner, row.get("images"))
