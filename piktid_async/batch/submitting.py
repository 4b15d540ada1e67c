"""The one step that costs: nothing leaves before its intent is written."""

from __future__ import annotations

import asyncio
import logging
import uuid
from datetime import UTC, datetime

import attrs

from piktid_async.batch.ledger import LedgerError, Row, State
from piktid_async.batch.shared import Run
from piktid_async.errors import PiktidError, SessionClosedError, SubmissionUnknownError
from piktid_async.jobs import Job
from piktid_async.logs import about
from piktid_async.models.requests import JobRequest
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.types import redact_text

_log = logging.getLogger("piktid_async.batch")


@attrs.frozen
class Known:
    """A product whose images were read."""

    fingerprint: str
    images: tuple[str, ...]
    """Hashes of their content."""


@attrs.frozen
class Submitted:
    """How far a submission has come."""

    row: Row
    job: Job | None = None
    lost: SubmissionUnknownError | None = None
    """Why it was, or is, in doubt."""


class Submission:
    """One product's way to a job, with the journal ahead of it: the receipt of `Session.submit`."""

    def __init__(self, run: Run, key: str, request: JobRequest, known: Known) -> None:
        self._run = run
        self.key: str = key
        self._request = request
        self._known = known
        self._intent: str | None = None
        self.sent: bool = False
        """Whether the request may have left."""

    async def submit(self) -> Submitted:
        """Submit it when its turn comes; one request and the job's credits.

        Cancelled before it is sent, it is pending as before; after that it is in doubt. Raises
        what `Session.submit` raises, except that a lost answer is told by the row's state, and
        `LedgerError` where another program has gone on with the product meanwhile.
        """
        store, key = self._run.store, self.key
        try:
            job = await self._run.session.submit(self._request, receipt=self)
        except SubmissionUnknownError as error:
            await self._doubt(redact_text(error.reason))
            return Submitted(await self._run.settling.lost(key, error), lost=error)
        except (asyncio.CancelledError, SessionClosedError):
            if self.sent:
                await self._doubt("the wait for the answer was broken off")
            else:
                await store.withdraw(key, self._intent)
            raise
        except Exception as error:
            refused = isinstance(error, PiktidError) and certainly_not_taken(error)
            if self.sent and not refused:
                await self._doubt(f"{type(error).__name__} came up once it was sent")
            else:
                await store.withdraw(key, self._intent)
            raise
        return Submitted(await self._answered(job), job)

    async def sending(self) -> None:
        """Write the intent; raises `BudgetExceededError`, and nothing is sent."""
        self._intent = uuid.uuid4().hex[:8]
        await self._run.store.intend(
            self.key,
            self._run.max_credits,
            intent_id=self._intent,
            t_intent=datetime.now(UTC).isoformat(timespec="milliseconds"),
            fingerprint=self._known.fingerprint,
            images=self._known.images,
            kind=self._request.kind,
            input_ids=self._request.input_ids,
            total_outputs=self._request.total_outputs,
            estimate=self._request.credits,
        )
        self.sent = True

    async def refused(self) -> None:
        """Take the intent back: the service has refused, and the request queues up again."""
        self.sent = False
        await self._run.store.withdraw(self.key, self._intent)

    async def _doubt(self, reason: str) -> None:
        try:
            await self._run.store.move(self.key, State.IN_DOUBT, of=self._intent, reason=reason)
        except LedgerError as error:
            # Another program took this one for dead; what it has found stands.
            _log.info("a lost answer changes nothing: %s", error)

    async def _answered(self, job: Job) -> Row:
        store, key = self._run.store, self.key
        try:
            return await store.move(key, State.SUBMITTED, of=self._intent, job_id=job.id)
        except LedgerError:
            row = await store.row(key)
            if row is not None and row.job_id == job.id:
                return row  # found by others, while this program was taken for dead
            _log.warning(
                "job %s was made for %r, which has another attempt by now: it is paid, and "
                "nobody's",
                *(job.id, key),
                extra=about(job_id=job.id, key=key),
            )
            raise
