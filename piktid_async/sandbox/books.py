"""What a test may read about a sandbox: facts, and nothing that changes them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from piktid_async.sandbox.notifications import Gone, NotificationBoard
from piktid_async.sandbox.state import Account, Job, Output
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.stream import Streams
from piktid_async.sandbox.vtryon import VtryonBooks
from piktid_async.sandbox.webhooks import WebhookSender


@attrs.frozen(kw_only=True)
class JobFacts:
    """One job as it was when the books were read."""

    job_id: str
    kind: str
    """The job type."""
    project_id: str
    """Its key; empty for a conversation."""
    project_name: str
    status: str
    total_images: int
    successful: int
    failed: int
    credits_used: float
    error_message: str | None
    created: float
    """When it was taken, in seconds since the epoch."""
    updated: float
    """When it changed last; of a job that nobody touches again, when it ended."""


@attrs.frozen(kw_only=True)
class OutputFacts:
    """One version of one output, as it was when the books were read."""

    job_id: str
    image_index: int
    group_index: int
    version: int
    status: str
    credits: float
    """What was taken for it."""
    sha256: str | None
    """Of the image in full size; None while there is none, and after the sandbox has stopped."""
    inputs: tuple[str, ...]
    """File ids of the images that it was made from."""


class Books:
    """A read-only view of one sandbox; still readable after it has stopped."""

    def __init__(
        self,
        *,
        account: Account,
        board: NotificationBoard,
        storage: Storage,
        streams: Streams,
        requests: Mapping[str, int],
        webhooks: WebhookSender,
        vtryon: VtryonBooks,
    ) -> None:
        self._account = account
        self._board = board
        self._storage = storage
        self._streams = streams
        self._requests = requests
        self._webhooks = webhooks
        self.vtryon: VtryonBooks = vtryon
        """The second service."""

    @property
    def jobs(self) -> Mapping[str, JobFacts]:
        """Every job ever made, by its id, oldest first."""
        return {job_id: _facts(job) for job_id, job in self._account.jobs.items()}

    @property
    def outputs(self) -> tuple[OutputFacts, ...]:
        """Every version of every output that was ever asked for, in that order by job."""
        jobs = self._account.jobs.values()
        return tuple(self._made(job, output) for job in jobs for output in job.history)

    @property
    def uploads(self) -> Mapping[str, str | None]:
        """SHA-256 of every upload by its file id; None if it never arrived, or when all is over."""
        tickets = self._account.uploads.values()
        return {ticket.file_id: self._digest(ticket.object_key) for ticket in tickets}

    @property
    def jobs_created(self) -> int:
        """How many jobs were ever made."""
        return len(self._account.jobs)

    @property
    def active_jobs(self) -> int:
        """How many jobs have not ended."""
        return len(self._account.active_jobs())

    @property
    def credits_charged(self) -> float:
        """Credits taken for outputs that were made."""
        return self._account.credits_charged

    @property
    def credits_left(self) -> float:
        """Credits of the account, reservations of running jobs not yet taken off."""
        return self._account.credits_left

    @property
    def notifications_outstanding(self) -> tuple[int, ...]:
        """Ids of the notifications that were neither deleted nor outlived."""
        return tuple(note.id for note in self._board.outstanding())

    @property
    def acknowledged(self) -> tuple[int, ...]:
        """Ids of the notifications that were deleted, in that order."""
        return tuple(self._board.acknowledged)

    @property
    def notifications_gone(self) -> Mapping[int, Gone]:
        """Why the notifications are gone that were never acknowledged, by their ids.

        A fault has `dropped` them, or `deleted` them in somebody else's name, or they `expired`.
        """
        return MappingProxyType(self._board.gone)

    @property
    def stream_connections(self) -> int:
        """How many connections ever carried an accepted event stream."""
        return self._streams.connections.ever

    @property
    def open_streams(self) -> int:
        """How many event streams are open now."""
        return self._streams.open

    @property
    def webhooks_delivered(self) -> tuple[int, ...]:
        """Ids that the webhook answered with 2xx, in that order, pings and repeats included."""
        return tuple(self._webhooks.delivered)

    @property
    def webhooks_given_up(self) -> tuple[int, ...]:
        """Ids that the webhook never answered with 2xx, in all their tries."""
        return tuple(self._webhooks.given_up)

    @property
    def storage_put_connections(self) -> int:
        """How many distinct connections ever carried a PUT to the storage."""
        return self._storage.put_connections.ever

    @property
    def authorization_seen_by_storage(self) -> bool:
        """Whether the storage was ever sent an `Authorization` header."""
        return self._storage.authorization_seen

    @property
    def api_requests(self) -> Mapping[str, int]:
        """How often each route was asked, as `"GET /jobs/{job_id}/status"`; refusals count."""
        return MappingProxyType(self._requests)

    def _made(self, job: Job, output: Output) -> OutputFacts:
        return OutputFacts(
            job_id=job.job_id,
            image_index=output.image_index,
            group_index=output.group_index,
            version=output.version,
            status=output.status,
            credits=output.shot.credits if output.settled and output.full_key else 0.0,
            sha256=self._digest(output.full_key),
            inputs=tuple(source.file_id for source in output.shot.sources),
        )

    def _digest(self, key: str | None) -> str | None:
        stored = self._storage.spool.find(key) if key is not None else None
        return None if stored is None else hashlib.sha256(stored.path.read_bytes()).hexdigest()


def _facts(job: Job) -> JobFacts:
    project = job.request.project
    return JobFacts(
        job_id=job.job_id,
        kind=job.request.kind,
        project_id=project.key if project is not None else "",
        project_name=project.name if project is not None else "",
        status=job.status,
        total_images=len(job.outputs),
        successful=job.successful,
        failed=job.failed,
        credits_used=job.credits_used,
        error_message=job.error_message,
        created=job.created,
        updated=job.updated,
    )
