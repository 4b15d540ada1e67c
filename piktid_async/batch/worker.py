"""A worker: it does the tasks of one batch's queue, and follows the jobs that it has made."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from os import PathLike
from pathlib import Path

from piktid_async.batch.engine import engine_for
from piktid_async.batch.ledger import LedgerError, Row, State
from piktid_async.batch.opening import open_run
from piktid_async.batch.shared import Run
from piktid_async.batch.steps import NotNow, Steps
from piktid_async.batch.stores import DEFAULT_NAME, database_store
from piktid_async.batch.submitting import Submission
from piktid_async.batch.summary import BatchSummary
from piktid_async.batch.tasks import COMPLETE, SUBMIT, UPLOAD
from piktid_async.batch.work import OF_THE_ACCOUNT
from piktid_async.errors import ConfigurationError, ConnectionFailedError, PiktidError
from piktid_async.jobs import Job
from piktid_async.logs import about
from piktid_async.session import Session
from piktid_async.transport.settings import positive

_log = logging.getLogger("piktid_async.batch")

AHEAD = 100
"""Products that wait for their submission, from which on no more images are uploaded."""
LOOK_AGAIN = 1.0
"""Seconds until it is asked again whether there is something to upload for."""
MOST_FOLLOWED = 500
"""Jobs that one worker follows; more than an account may have at once."""


class Worker:
    """Make the products that `Batch.enqueue` has put into a database, until cancelled.

    ```python
    coordinator = PostgresCoordinator(url)
    async with Session(coordinator=coordinator) as session:
        await Worker(session, url, "spring").run()
    ```

    Any number of them, on any machines, may work on one batch; the coordinator has them share the
    account's limits and its event stream. One that dies loses nothing: after `stale` seconds
    others take up its tasks and its jobs. What it was just submitting is in doubt then: looked for
    in the gallery and, unless it is found there, left to `Batch.settle`, never sent again.

    - `directory`: where results go; absent: where `Batch.enqueue` was told to.
    - `heartbeat`: seconds between signs of life; `stale`: without one, a worker is taken for dead.
      One that froze and wakes after that changes nothing that others have gone on with. As often
      the jobs of submissions in doubt are looked for, and tasks that were lost.

    A database that goes away is waited for, with a warning in the log when it is away and when it
    is back. What is finished is saved first; images are uploaded for the next hundred submissions.
    Needs the extra `postgres`, and the same version of this package everywhere.
    """

    def __init__(
        self,
        session: Session,
        database: str,
        name: str = DEFAULT_NAME,
        *,
        directory: str | PathLike[str] | None = None,
        heartbeat: float = 10.0,
        stale: float = 60.0,
    ) -> None:
        self._heartbeat = positive("heartbeat", heartbeat)
        self._stale = positive("stale", stale)
        if self._stale < 2 * self._heartbeat:
            raise ConfigurationError("stale must be at least twice heartbeat, so that one may fail")
        self._session = session
        self._database = database
        self._name = name
        self._store = database_store(database, name)
        self._directory = None if directory is None else Path(directory)
        self._submissions: dict[asyncio.Task[None], Submission] = {}
        """Of the tasks in hand."""
        self._uploads: set[asyncio.Task[None]] = set()
        """Tasks that wait until there is something to upload for."""
        self._one_looks = asyncio.Lock()
        self._followed: dict[str, asyncio.Task[None]] = {}
        self._left = 0
        self._stopping = False
        self._failure: asyncio.Future[None]
        self._steps: Steps
        self._run: Run

    @property
    def summary(self) -> BatchSummary:
        """How the batch stood when this worker last looked."""
        return BatchSummary.of(self._store.totals, seconds=0.0)

    @property
    def jobs(self) -> int:
        """How many jobs it follows; once it has ended, how many it has left running."""
        return self._left or len(self._followed)

    async def run(self) -> None:
        """Work until cancelled, or until something is wrong with the account, which is raised.

        Cancelled, it finishes what is being sent or saved, leaves its jobs running and lets
        others follow them at once. Two requests and an upload for each new image, and the credits
        of each job, as the limits allow. Raises `ConfigurationError`, `ConnectionFailedError`
        when the database is away at the start, `AuthenticationError`, `InsufficientCreditsError`,
        `BudgetExceededError` and their like.
        """
        self._stopping, self._left = False, 0
        self._failure = asyncio.get_running_loop().create_future()
        await self._store.open()
        try:
            engine = await engine_for(
                self._database, self._name, heartbeat=self._heartbeat, stale=self._stale
            )
            await self._begin()
            self._store.patient = True
            working = asyncio.create_task(engine.work(self._step), name="piktid tasks")
            tending = asyncio.create_task(self._tend(), name="piktid worker")
            try:
                await asyncio.wait(
                    [working, tending, self._failure], return_when=asyncio.FIRST_COMPLETED
                )
                for task in (working, tending, self._failure):
                    if task.done():
                        task.result()
            finally:
                await self._end(working, tending)
        finally:
            await self._store.close()

    async def _begin(self) -> None:
        """Wait for a batch to work on, and open it."""
        while "enqueued" not in self._store.meta:
            await asyncio.sleep(1.0)
            await self._store.refresh()
        meta = self._store.meta
        bound, told = meta.get("max_credits"), str(meta.get("directory", self._name))
        self._run = await open_run(
            self._session,
            self._store,
            given_project=None,
            directory=self._directory or Path(told),
            download=meta.get("download") is not False,
            max_credits=float(bound) if isinstance(bound, int | float) else None,
        )
        self._steps = Steps(self._run, self._store, self._watch, self._follow)
        await self._store.beat(self._stale)

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        self._stopping, self._left = True, len(self._followed)
        self._store.patient = False
        # What waits for its turn has sent nothing: it goes back to the queue.
        for task in self._uploads:
            task.cancel()
        for task, submission in self._submissions.items():
            if not submission.sent:
                task.cancel()
        for task in (*tasks, *self._followed.values()):
            task.cancel()
        await asyncio.gather(*tasks, *self._followed.values(), return_exceptions=True)
        self._failure.cancel()
        with suppress(ConnectionFailedError):  # it will be missed soon
            await self._store.leave()

    async def _step(self, task: str, key: str) -> None:
        """Do one task for the engine."""
        if self._stopping:
            raise NotNow("the worker is being stopped", 0.0)
        this = asyncio.current_task()
        assert this is not None
        try:
            if task == UPLOAD:
                await self._not_too_early(this)
            await self._steps.run_step(task, key)
        except asyncio.CancelledError:
            if self._stopping:
                raise NotNow("the worker was stopped", 0.0) from None
            raise
        except OF_THE_ACCOUNT as error:
            self._fail(error)
            raise NotNow(str(error), self._stale) from error
        finally:
            self._submissions.pop(this, None)

    async def _not_too_early(self, this: asyncio.Task[None]) -> None:
        """Wait while more is uploaded than will be submitted soon."""
        self._uploads.add(this)
        try:
            async with self._one_looks:
                # Other programs submit, too: no event of this one tells of it.
                while await self._store.queued(SUBMIT) >= AHEAD:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_AGAIN)
        finally:
            self._uploads.discard(this)

    def _watch(self, submission: Submission) -> None:
        if self._stopping:
            raise NotNow("the worker is being stopped", 0.0)
        task = asyncio.current_task()
        assert task is not None
        self._submissions[task] = submission

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    def _follow(self, row: Row, job: Job | None = None) -> None:
        if row.key not in self._followed:
            task = asyncio.create_task(self._followed_to_its_end(row, job))
            self._followed[row.key] = task
            task.add_done_callback(lambda _: self._followed.pop(row.key, None))

    async def _followed_to_its_end(self, row: Row, job: Job | None) -> None:
        try:
            await self._steps.follow(row, job)
        except OF_THE_ACCOUNT as error:
            self._fail(error)
        except LedgerError as error:
            _log.info("followed by another worker, too: %s", error)
        except PiktidError as error:
            # It is adopted again, by this worker or another.
            text, fields = "job %s is not followed for now: %s", about(job_id=row.job_id)
            _log.warning(text, row.job_id, error, extra=fields)

    async def _tend(self) -> None:
        """Give signs of life, take over what nobody has in hand, look for what is in doubt."""
        looked = -self._stale
        clock = asyncio.get_running_loop().time
        while True:
            await self._store.beat(self._stale)
            await self._store.refresh()
            in_hand = [each.key for each in self._submissions.values()]
            if cut_off := await self._store.doubt_cut_off(in_hand, self._stale):
                _log.info("submissions that were cut off are in doubt: %d", cut_off)
            await self._adopt()
            if clock() - looked >= self._stale:
                looked = clock()
                await self._redo()
                if self._store.totals.states[State.IN_DOUBT]:
                    await self._run.settling.look()
                    await self._adopt()
            await asyncio.sleep(self._heartbeat)

    async def _redo(self) -> None:
        for state, task in ((State.PENDING, UPLOAD), (State.TERMINAL, COMPLETE)):
            if self._store.totals.states[state] and (redone := await self._store.redo(state, task)):
                _log.info("tasks that were lost are put into the queue again: %d", redone)

    async def _adopt(self) -> None:
        for key in await self._store.adopt(self._followed, MOST_FOLLOWED - len(self._followed)):
            row = await self._store.row(key)
            if row is not None and row.state is State.SUBMITTED:
                self._follow(row)
