"""The short tasks that any engine may run, in any order and more than once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from piktid_async.batch.ending import Ending
from piktid_async.batch.ledger import LedgerError, Row, State
from piktid_async.batch.products import build
from piktid_async.batch.shared import Run
from piktid_async.batch.specs import product_of
from piktid_async.batch.submitting import Known, Submission, Submitted
from piktid_async.batch.tasks import COMPLETE, SUBMIT, UPLOAD
from piktid_async.batch.work import OF_THE_ACCOUNT, Work
from piktid_async.errors import PiktidError
from piktid_async.jobs import Job
from piktid_async.types import redact_text

if TYPE_CHECKING:
    from piktid_async.batch.postgres import PostgresStore

IN_OTHER_HANDS = 5.0
"""Seconds until a task looks again at a product that another program has in hand."""


class NotNow(Exception):  # noqa: N818 - nothing is wrong: the task is to be done again
    """The task is to be done again, after so many seconds if they are known."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after: float | None = after


class Steps:
    """What is done with the products of one queue; every step is in the journal before the next.

    `watch` hears of each submission before it begins, and `follow` of each job that was made.
    """

    def __init__(
        self,
        run: Run,
        store: PostgresStore,
        watch: Callable[[Submission], None],
        follow: Callable[[Row, Job | None], None],
    ) -> None:
        self._run = run
        self._store = store
        self._watch = watch
        self._follow = follow

    async def run_step(self, task: str, key: str) -> None:
        """Do one task of a product; raises `NotNow`, and what concerns the whole account."""
        row, spec = await self._store.row(key), await self._store.spec(key)
        if row is None or spec is None:
            return  # it was deleted from the database
        work = Work(self._run, product_of(key, row.line, spec))
        try:
            if task == UPLOAD:
                await self._upload(work, row)
            elif task == SUBMIT:
                await self._submit(work, key)
            elif task == COMPLETE and row.state is State.TERMINAL:
                ending = Ending(self._run, key)
                await ending.save(ending.job_of(row))
        except OF_THE_ACCOUNT:
            raise
        except LedgerError:
            return  # done elsewhere, while this program was taken for dead
        except PiktidError as error:
            row = await work.failed(error)
            if row.state is State.INTENT:
                raise NotNow("what became of it could not be written down") from error
            if row.state in (State.PENDING, State.TERMINAL):
                reason = redact_text(str(error))
                with suppress(LedgerError):
                    await self._store.note(key, row.state, reason=reason)
                raise NotNow(reason) from error

    async def follow(self, row: Row, job: Job | None = None) -> None:
        """Wait for the end of a job, and have its images saved; no task is held meanwhile."""
        ending = Ending(self._run, row.key)
        await ending.end(job or ending.job_of(row), then=COMPLETE)

    async def _upload(self, work: Work, row: Row) -> None:
        if row.state is not State.PENDING:
            return
        await work.prepare(row)
        assert work.known is not None
        facts = {"fingerprint": work.known.fingerprint, "images": work.known.images}
        await self._store.note(row.key, State.PENDING, then=SUBMIT, **facts)

    async def _submit(self, work: Work, key: str) -> None:
        row = await self._store.claim(key)
        if row is None:
            raise NotNow("another program has it in hand", IN_OTHER_HANDS)
        try:
            # What its last program has left in the air is in doubt by now.
            if row.state is State.PENDING:
                found = await self._submitted(work, row)
                if found.row.state is State.SUBMITTED:
                    self._follow(found.row, found.job)
        finally:
            await self._store.free(key)

    async def _submitted(self, work: Work, row: Row) -> Submitted:
        known = Known(row.fingerprint, row.images)
        files = await self._run.uploads.there(row.images)
        request = build(work.product.request, self._run.project, files)
        submission = Submission(self._run, row.key, request, known)
        self._watch(submission)
        return await submission.submit()
