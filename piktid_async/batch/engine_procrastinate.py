"""Procrastinate as the engine of a queue; the only module that imports it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from piktid_async.batch.steps import NotNow
from piktid_async.batch.tasks import COMPLETE, SUBMIT, UPLOAD
from piktid_async.coordination.postgres_line import checked_database, is_away
from piktid_async.logs import hush
from piktid_async.protocol.backoff import Backoff

_log = logging.getLogger("piktid_async.batch")

AWAY = 1.0
"""Seconds until a database that is away is asked again."""
AGAIN = Backoff(base=2.0, cap=600.0)
ALL_AT_ONCE = {COMPLETE: 4, SUBMIT: 8, UPLOAD: 4}
"""Tasks of each kind in hand at once: none waits for those of another kind."""


class Again(BaseRetryStrategy):
    """A task that did not succeed is done again: the journal tells what is left of it."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        """Return when."""
        after = exception.after if isinstance(exception, NotNow) else 0.0
        pause = AGAIN.pause(job.attempts, random.random) if after is None else after
        return RetryDecision(retry_in={"seconds": round(pause)})


class Manager(JobManager):
    """Write down what became of a task, even if the database has to be waited for.

    Bears with tasks that others have ended, while this program was taken for dead.
    """

    stopping: bool = False

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Note the end of a task."""
        await self._surely(partial(super().finish_job, job, status, delete_job))

    async def retry_job(self, job: Job, *args: Any, **options: Any) -> None:
        """Have a task brought again."""
        await self._surely(partial(super().retry_job, job, *args, **options))

    async def _surely(self, call: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await call()
            except ConnectorException as error:
                if self.stopping or not is_away(error.__cause__):
                    return _log.info("the end of a task is not noted: %s", _words(error))
            await asyncio.sleep(AWAY)


class ProcrastinateEngine:
    """Take the tasks of one batch, and hand them to a step."""

    def __init__(self, url: str, name: str, *, heartbeat: float, stale: float) -> None:
        database = {**checked_database(url), "options": "-c search_path=piktid_queue"}
        self._app = App(connector=PsycopgConnector(kwargs=database, min_size=1, max_size=4))
        self._app.job_manager = self._manager = Manager(self._app.connector)
        self._name = name
        self._heartbeat = heartbeat
        self._stale = stale

    async def work(self, step: Callable[[str, str], Awaitable[None]]) -> None:
        """Do tasks until cancelled; then those in hand are finished."""

        async def piktid(task: str, key: str) -> None:
            await step(task, key)

        self._app.task(name="piktid", retry=Again())(piktid)
        # A traceback for each call that a database that is away has not answered, else.
        hush("procrastinate", "psycopg.pool")
        while not await _done("the queue is opened later", self._app.open_async()):  # noqa: ASYNC110
            await asyncio.sleep(AWAY)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._heed_the_end())
                for queue, at_once in ALL_AT_ONCE.items():
                    group.create_task(self._take(f"{queue} {self._name}", at_once))
                    group.create_task(self._retake(f"{queue} {self._name}"))
        finally:
            await self._app.close_async()

    async def _heed_the_end(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._manager.stopping = True

    async def _take(self, queue: str, at_once: int) -> None:
        while True:
            # It ends when the database goes away, or when this program was taken for dead.
            working = self._app.run_worker_async(
                queues=[queue],
                concurrency=at_once,
                install_signal_handlers=False,
                delete_jobs="successful",
                update_heartbeat_interval=self._heartbeat,
                stalled_worker_timeout=self._stale,
            )
            await _done(f"tasks of {queue!r} are taken up again", working)
            await asyncio.sleep(self._heartbeat)

    async def _retake(self, queue: str) -> None:
        """Put tasks of workers that have died back into the queue."""

        async def put_back() -> None:
            for job in await self._manager.get_stalled_jobs(
                queue=queue, seconds_since_heartbeat=self._stale
            ):
                _log.info("a task of a worker that is gone is taken up again")
                await self._manager.retry_job(job)

        while True:
            await _done("tasks of the dead are looked for again later", put_back())
            await asyncio.sleep(self._stale / 3)


async def _done(otherwise: str, call: Awaitable[None]) -> bool:
    """Whether a call has come to its end; if the database kept it from it, that is logged."""
    try:
        await call
    except ConnectorException as error:
        _log.info("%s: %s", otherwise, _words(error))
        return False
    return True


def _words(error: ConnectorException) -> str:
    """Say what was wrong: its own words are but "Database error."."""
    cause = error.__cause__
    return next(iter(str(cause or error).strip().splitlines()), type(cause).__name__)
