"""Procrastinate as the engine of a queue; the only module that imports it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from piktid_async.batch.steps import NotNow
from piktid_async.coordination.postgres_line import checked_database
from piktid_async.protocol.backoff import Backoff

_log = logging.getLogger("piktid_async.batch")

AGAIN = Backoff(base=2.0, cap=600.0)
ALL_AT_ONCE = {"submit": 8, "files": 4}
"""Tasks in hand at once: those that wait for their turn must not keep files from moving."""


class Again(BaseRetryStrategy):
    """A task that did not succeed is done again: the journal tells what is left of it."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        """Return when."""
        after = exception.after if isinstance(exception, NotNow) else 0.0
        pause = AGAIN.pause(job.attempts, random.random) if after is None else after
        return RetryDecision(retry_in={"seconds": round(pause)})


class Manager(JobManager):
    """Bear with tasks that others have ended, while this program was taken for dead."""

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """Note the end of a task."""
        try:
            await super().finish_job(job, status, delete_job)
        except ConnectorException as error:
            _log.info("the end of a task could not be noted: %s", error)


class ProcrastinateEngine:
    """Take the tasks of one batch, and hand them to a step."""

    def __init__(self, url: str, name: str, *, heartbeat: float, stale: float) -> None:
        database = {**checked_database(url), "options": "-c search_path=piktid_queue"}
        self._app = App(connector=PsycopgConnector(kwargs=database, min_size=1, max_size=4))
        self._app.job_manager = Manager(self._app.connector)
        self._name = name
        self._heartbeat = heartbeat
        self._stale = stale

    async def work(self, step: Callable[[str, str], Awaitable[None]]) -> None:
        """Do tasks until cancelled; then those in hand are finished."""

        async def piktid(task: str, key: str) -> None:
            await step(task, key)

        self._app.task(name="piktid", retry=Again())(piktid)
        async with self._app.open_async(), asyncio.TaskGroup() as group:
            for queue, at_once in ALL_AT_ONCE.items():
                group.create_task(self._take(f"{queue} {self._name}", at_once))
            group.create_task(self._retake())

    async def _take(self, queue: str, at_once: int) -> None:
        while True:
            try:
                await self._app.run_worker_async(
                    queues=[queue],
                    concurrency=at_once,
                    install_signal_handlers=False,
                    delete_jobs="successful",
                    update_heartbeat_interval=self._heartbeat,
                    stalled_worker_timeout=self._stale,
                )
            except ConnectorException as error:
                # The database was away; or this program was taken for dead, and has woken.
                _log.warning("tasks of %r are taken up again: %s", queue, error)
            await asyncio.sleep(self._heartbeat)

    async def _retake(self) -> None:
        """Put tasks of workers that have died back into the queue."""
        manager = self._app.job_manager
        while True:
            try:
                for queue in ALL_AT_ONCE:
                    for job in await manager.get_stalled_jobs(
                        queue=f"{queue} {self._name}", seconds_since_heartbeat=self._stale
                    ):
                        _log.info("a task of a worker that is gone is taken up again")
                        await manager.retry_job(job)
            except ConnectorException as error:
                _log.info("tasks of the dead are looked for again later: %s", error)
            await asyncio.sleep(self._stale / 3)
