"""What the account holds: projects, uploaded files, identities, jobs and credits. No I/O."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, Protocol

import attrs

from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.orders import POOLED_KINDS, Cast, Order, Project, Shot, Upload

JobStatus = Literal["pending", "processing", "completed", "failed"]

# A conversation is a job that is held at `completed` and goes on in new generations.
# https://docs.piktid.com/docs/v2/image-playground, "Tracking progress"
CONVERSATION = "edit_chat"

# Every account can use the identities that the service brings along. The guides show their codes
# as `default-pro-xxxxxxxx`; these codes and names are invented.
DEFAULT_IDENTITIES = tuple(
    Cast(code=f"default-pro-{number:08}", name=name)
    for number, name in enumerate(("Aria", "Noor", "Mateo", "Ines", "Kofi", "Yuki"), 1)
)


def iso(moment: float) -> str:
    """Write Unix seconds the way the service does."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class KnownIdentity(Protocol):
    """As much of an identity as a job needs to know."""

    @property
    def code(self) -> str:
        """What requests carry."""

    @property
    def name(self) -> str:
        """What people call it."""


@attrs.define(kw_only=True, eq=False)
class Output:
    """One version of one picture of a job, asked for or made."""

    number: int
    uuid: str
    shot: Shot
    version: int = 0
    status: JobStatus = "pending"
    error_message: str | None = None
    model_used: str | None = None
    full_key: str | None = None
    thumbnail_key: str | None = None
    working_key: str | None = None
    """The earlier output that a generation of a conversation goes on from."""
    processing_time: float | None = None
    settled: bool = False
    """Whether it was charged, or found to be free."""
    created: float
    updated: float

    @property
    def image_index(self) -> int:
        """Which input, instruction or generation."""
        return self.shot.image_index

    @property
    def group_index(self) -> int:
        """Which variation."""
        return self.shot.group_index

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ("completed", "failed")


@attrs.define(kw_only=True, eq=False)
class Job:
    """One job and its outputs."""

    job_id: str
    request: Order
    history: list[Output]
    """Every version of every output, in the order they were asked for."""
    created: float
    updated: float
    status: JobStatus = "pending"
    post_processing_status: str | None = None
    post_processing_error: str | None = None
    error_message: str | None = None
    credits_used: float = 0.0
    attachments: list[Upload] = attrs.field(factory=list)
    """Images that were supplied to a conversation."""
    cast: list[Cast] = attrs.field(factory=list)
    """Identities that were supplied to a conversation."""
    answered: float | None = None
    """When the 202 went out (or would have), on the monotonic clock."""

    @property
    def conversation(self) -> bool:
        """Whether it is one, to which each call adds a generation."""
        return self.request.kind == CONVERSATION

    @property
    def active(self) -> bool:
        """Whether the job still holds a slot."""
        return self.request.kind in POOLED_KINDS and self.status in ("pending", "processing")

    @property
    def outputs(self) -> list[Output]:
        """The newest version of each output."""
        newest = {(each.image_index, each.group_index): each for each in self.history}
        return list(newest.values())

    @property
    def processed(self) -> int:
        """Outputs that have ended, well or badly."""
        return sum(output.ended for output in self.outputs)

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

    def __init__(self, credits_: float, ledger: Ledger | None = None) -> None:
        self._ledger = ledger or Ledger()
        self._ledger.keep("credits", lambda: self.credits_granted, self._grant)
        self.credits_granted: float = credits_
        self.projects: dict[str, Project] = {}
        self.uploads: dict[str, Upload] = {}
        self.jobs: dict[str, Job] = {}
        self.identities: dict[str, KnownIdentity] = {each.code: each for each in DEFAULT_IDENTITIES}
        """By their codes."""
        self.credits_left: float = credits_
        self.credits_charged: float = 0.0
        self.reserved: float = 0.0
        """What the outputs that have not been settled may still cost."""
        self._number = 0

    def restore(self) -> None:
        """Read what was kept of a former life."""
        self.projects = self._ledger.load("project")
        self.uploads = self._ledger.load("upload")
        self.jobs = self._ledger.load("job")
        for job in self.jobs.values():
            job.answered = -math.inf
            self.credits_charged += job.credits_used
            self.reserved += sum(each.shot.credits for each in job.history if not each.settled)
        self.credits_left -= self.credits_charged
        used = [each.number for each in self.projects.values()]
        used += [each.number for job in self.jobs.values() for each in job.history]
        self._number = max(used, default=0)

    def _grant(self, credits_: float) -> None:
        self.credits_granted = self.credits_left = credits_

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def save(self, job: Job) -> None:
        """Keep a job as it is now."""
        self._ledger.save("job", job.job_id, job)

    def add_upload(self, upload: Upload) -> None:
        """Note an upload ticket."""
        self.uploads[upload.file_id] = upload
        self._ledger.save("upload", upload.file_id, upload)

    def drop_upload(self, file_id: str) -> None:
        """Forget an upload ticket."""
        self.uploads.pop(file_id, None)
        self._ledger.drop("upload", file_id)

    def project_named(self, name: str) -> Project | None:
        """Find a project by its name."""
        return next((found for found in self.projects.values() if found.name == name), None)

    def add_project(self, name: str) -> Project:
        """Make a project."""
        key = uuid.uuid4().hex[:16]
        project = Project(number=self._next_number(), key=key, name=name, created=time.time())
        self.projects[key] = project
        self._ledger.save("project", key, project)
        return project

    def find_identity(self, code: str) -> Cast | None:
        """Find an identity that a job may use."""
        found = self.identities.get(code)
        return None if found is None else Cast(code=found.code, name=found.name)

    def add_job(self, request: Order) -> Job:
        """Book a job; nothing runs yet."""
        now = time.time()
        job = Job(
            job_id=f"job_{uuid.uuid4().hex}",
            request=request,
            history=[self._output(shot, now) for shot in request.shots],
            created=now,
            updated=now,
        )
        self.jobs[job.job_id] = job
        self.save(job)
        return job

    def add_shots(self, job: Job, shots: Iterable[Shot]) -> list[Output]:
        """Book more outputs of a job."""
        added = [self._output(shot, time.time()) for shot in shots]
        job.history += added
        self.save(job)
        return added

    def add_version(self, job: Job, old: Output) -> Output:
        """Book one more version of an output; the old ones stay."""
        new = self._output(old.shot, time.time())
        new.version, new.working_key = old.version + 1, old.working_key
        job.history.append(new)
        self.save(job)
        return new

    def active_jobs(self) -> list[Job]:
        """List the jobs that have not ended."""
        return [job for job in self.jobs.values() if job.active]

    def charge(self, job: Job) -> None:
        """Take the credits of the outputs that were made. Failed ones are free."""
        self.save(job)
        for output in job.history:
            if output.ended and not output.settled:
                output.settled = True
                self.reserved -= output.shot.credits
                price = output.shot.credits if output.status == "completed" else 0.0
                job.credits_used += price
                self.credits_left -= price
                self.credits_charged += price

    def _output(self, shot: Shot, now: float) -> Output:
        self.reserved += shot.credits
        return Output(
            number=self._next_number(), uuid=str(uuid.uuid4()), shot=shot, created=now, updated=now
        )
