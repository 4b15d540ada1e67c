"""What the account holds: projects, uploaded files, jobs and credits. No I/O."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import attrs

JobStatus = Literal["pending", "processing", "completed", "failed"]

# https://docs.piktid.com/docs/v2/garment-recolor, "Output options"
CREDITS_PER_OUTPUT = {1024: 3.0, 2048: 5.0, 4096: 10.0}


def iso(moment: float) -> str:
    """Write Unix seconds the way the service does."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@attrs.frozen(kw_only=True)
class Project:
    """A project; `key` is what requests carry, `number` what job answers call `project_id`."""

    number: int
    key: str
    name: str
    created: float


@attrs.frozen(kw_only=True)
class Upload:
    """An upload ticket, and the file that may have arrived for it."""

    file_id: str
    filename: str
    content_type: str
    object_key: str
    """Where the storage keeps the bytes."""


@attrs.frozen(kw_only=True)
class RecolorRequest:
    """A checked body of `POST /garment-recolor`."""

    project: Project
    images: tuple[Upload, ...]
    garment_label: str | None
    reference_image: Upload | None
    reference_text: str | None
    instruction: str | None
    num_variations: int
    processing_size: int
    model: str
    post_process: bool
    use_anchor: bool
    add_ai_watermark: bool

    @property
    def total_outputs(self) -> int:
        """Outputs of the whole job."""
        return len(self.images) * self.num_variations

    @property
    def credits_per_output(self) -> float:
        """Price of one successful output."""
        return CREDITS_PER_OUTPUT[self.processing_size]

    @property
    def credits(self) -> float:
        """Price of the job when every output succeeds."""
        return self.total_outputs * self.credits_per_output


@attrs.define(kw_only=True, eq=False)
class Output:
    """One picture of a job, asked for or made."""

    number: int
    uuid: str
    image_index: int
    group_index: int
    source: Upload
    status: JobStatus = "pending"
    error_message: str | None = None
    full_key: str | None = None
    thumbnail_key: str | None = None
    processing_time: float | None = None
    created: float


@attrs.define(kw_only=True, eq=False)
class Job:
    """One job and its outputs."""

    job_id: str
    request: RecolorRequest
    outputs: tuple[Output, ...]
    created: float
    updated: float
    status: JobStatus = "pending"
    post_processing_status: str | None = None
    error_message: str | None = None
    credits_used: float = 0.0
    answered: float | None = None
    """When the 202 went out (or would have), on the monotonic clock."""

    @property
    def active(self) -> bool:
        """Whether the job still holds a slot and a reservation of credits."""
        return self.status in ("pending", "processing")

    @property
    def processed(self) -> int:
        """Outputs that have ended, well or badly."""
        return self.successful + self.failed

    @property
    def successful(self) -> int:
        """Outputs that were made."""
        return sum(output.status == "completed" for output in self.outputs)

    @property
    def failed(self) -> int:
        """Outputs that could not be made."""
        return sum(output.status == "failed" for output in self.outputs)


class Account:
    """The one user of a sandbox."""

    def __init__(self, credits_: float) -> None:
        self.projects: dict[str, Project] = {}
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}
        self.credits_left: float = credits_
        self.credits_charged: float = 0.0
        self._numbers = itertools.count(1)

    def project_named(self, name: str) -> Project | None:
        """Find a project by its name."""
        return next((found for found in self.projects.values() if found.name == name), None)

    def add_project(self, name: str) -> Project:
        """Make a project."""
        key = uuid.uuid4().hex[:16]
        project = Project(number=next(self._numbers), key=key, name=name, created=time.time())
        self.projects[key] = project
        return project

    def add_job(self, request: RecolorRequest) -> Job:
        """Book a job; nothing runs yet."""
        now = time.time()
        job = Job(
            job_id=f"job_{uuid.uuid4().hex}",
            request=request,
            outputs=tuple(self._plan(request, now)),
            created=now,
            updated=now,
        )
        self.jobs[job.job_id] = job
        return job

    def active_jobs(self) -> list[Job]:
        """List the jobs that have not ended."""
        return [job for job in self.jobs.values() if job.active]

    def reserved(self) -> float:
        """Sum up what the running jobs may still cost."""
        return sum(job.request.credits for job in self.active_jobs())

    def charge(self, job: Job) -> None:
        """Take the credits of the outputs that were made. Failed ones are free."""
        job.credits_used = job.successful * job.request.credits_per_output
        self.credits_left -= job.credits_used
        self.credits_charged += job.credits_used

    def _plan(self, request: RecolorRequest, now: float) -> Iterator[Output]:
        for image_index, source in enumerate(request.images):
            for group_index in range(request.num_variations):
                yield Output(
                    number=next(self._numbers),
                    uuid=str(uuid.uuid4()),
                    image_index=image_index,
                    group_index=group_index,
                    source=source,
                    created=now,
                )
