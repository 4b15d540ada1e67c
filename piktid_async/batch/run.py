"""A batch: products drawn as there is room, each brought to its end, every step in the journal."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from piktid_async.batch.flow import Flow
from piktid_async.batch.ledger import LedgerError, State
from piktid_async.batch.planning import planned
from piktid_async.batch.products import BadProduct, Doubt, Product, ProductOutcome
from piktid_async.batch.recorded import error_json
from piktid_async.batch.settle import Settling
from piktid_async.batch.shared import Run
from piktid_async.batch.sqlite import SqliteStore
from piktid_async.batch.summary import BatchSummary, Failure, Plan
from piktid_async.batch.uploading import Uploads
from piktid_async.errors import ConfigurationError, InvalidRequestError, PiktidError
from piktid_async.models.projects import Project, project_id_of
from piktid_async.session import Session
from piktid_async.transport.settings import count

Products: TypeAlias = "Iterable[Product | BadProduct] | AsyncIterable[Product | BadProduct]"

MOST_NAMED = 100
"""Failures that a summary names; the rest are counted."""


class Batch:
    """Make the pictures of any number of products, with a journal that survives any crash.

    ```python
    async with Batch(session, "spring.sqlite", max_credits=5000) as batch:
        async for outcome in batch.run(products):
            print(outcome.product.key, outcome.error or outcome.files)
    ```

    The same program run again goes on where the last one ended, however it did: what is known to
    have been uploaded, submitted or downloaded is not repeated, and a submission of which it is
    not known whether it made a job is looked for, never sent again by itself.

    - `journal`: a file on this machine; its lock lets one program at a time in.
    - `max_credits`: a product whose estimate would pass it is not submitted, over all runs.
    - `directory`: where results go, a folder a product; absent: the journal without its suffix.
    - `project`: absent: one made for this journal, by which its jobs are known.
    - `in_flight`: products in hand at once; memory grows with it, not with the list.
    - `download`: False leaves the images at the service.

    The session stays open when the batch is closed. Raises `ConfigurationError`.
    """

    def __init__(
        self,
        session: Session,
        journal: str | PathLike[str] = "run.sqlite",
        max_credits: float | None = None,
        *,
        directory: str | PathLike[str] | None = None,
        project: Project | str | None = None,
        in_flight: int = 32,
        download: bool = True,
    ) -> None:
        known = type(max_credits) in (int, float)
        if max_credits is not None and not (known and max_credits >= 0):
            raise ConfigurationError(f"max_credits must be 0 or more, not {max_credits!r}")
        path = Path(journal)
        self._session = session
        self._store = SqliteStore(path)
        self._max_credits = max_credits
        self._directory = path.with_suffix("") if directory is None else Path(directory)
        if self._directory == path:
            self._directory = path.with_name(path.name + "-results")
        self._given_project = project
        self._in_flight = count("in_flight", in_flight, at_least=1)
        self._download = download
        self._drawn: dict[str, Product] = {}
        """Products of this program that are in doubt."""
        self._running = False
        self._seconds = 0.0
        self._failures: list[Failure] = []
        self._failed = 0

    async def __aenter__(self) -> Self:
        await self._store.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._store.close()

    async def run(self, products: Products) -> AsyncGenerator[ProductOutcome, None]:
        """Yield how each product ended, as it does; those in doubt come last.

        Two requests and an upload for each new image, `request.credits` for each job, as the
        account's limits allow. What has ended in an earlier run is yielded from the journal. One
        product's error is its outcome's; one of the account (credits, token, plan, budget) ends
        the run once all that is under way has been handed out, and is then raised. Leaving the
        loop begins nothing new: jobs go on at the service, and a later run goes on with them.
        """
        if self._running:
            raise ConfigurationError("this batch is running already: one run at a time")
        self._running, began = True, time.monotonic()
        self._failures, self._failed = [], 0
        try:
            run = await self._prepared()
            await self._store.begin_run()
            await run.settling.look()
            async with Flow(run, products, self._in_flight, self._drawn) as flow:
                async for outcome in flow.outcomes():
                    self._note(outcome)
                    yield outcome
                    await self._handed_out(outcome)
        finally:
            self._running = False
            self._seconds = time.monotonic() - began

    async def in_doubt(self) -> AsyncIterator[Doubt]:
        """Yield the submissions that may have made a job; sends nothing."""
        async for row in self._store.rows(State.IN_DOUBT):
            product = self._drawn.get(row.key) or Product(row.key, line=row.line)
            since = datetime.fromisoformat(row.t_intent or row.updated)
            yield Doubt(product, since, row.reason or "no answer has come")

    async def settle(
        self,
        key: str,
        *,
        job_id: str | None = None,
        resubmit: bool = False,
        give_up: bool = False,
    ) -> None:
        """End a doubt by what you know: the job is `job_id`, or there is none.

        `resubmit` has the next run submit it again: if there was a job after all, it is paid
        twice. `give_up` counts it as failed. Of a product that has failed, `resubmit` makes
        another job. Sends nothing. Raises `InvalidRequestError` for what is not in doubt.
        """
        if [job_id is not None, bool(resubmit), bool(give_up)].count(True) != 1:
            raise InvalidRequestError("settle", "takes one of job_id, resubmit and give_up")
        if await self._store.row(key) is None:
            raise InvalidRequestError("key", f"{key!r} is not in the journal")
        reason = "settled by the user"
        try:
            if job_id is not None:
                await self._store.move(key, State.SUBMITTED, job_id=job_id, reason=reason)
            elif resubmit:
                await self._store.move(key, State.PENDING)
            else:
                error = error_json(PiktidError("given up by the user; there may have been a job"))
                await self._store.move(key, State.FAILED, error=error, reason=error["text"])
        except LedgerError as impossible:
            raise InvalidRequestError("key", str(impossible)) from None

    async def plan(self, products: Products) -> Plan:
        """Tell what a run would do and cost; sends nothing, and leaves no product in the journal.

        Images are read and checked like in a run.
        """
        return await planned(self._session, self._store, products)

    @property
    def summary(self) -> BatchSummary:
        """How the batch stands now."""
        totals = self._store.totals
        return BatchSummary(
            states={state.value: number for state, number in totals.states.items() if number},
            outputs=totals.made,
            outputs_failed=totals.missed,
            credits_estimated=totals.estimated,
            credits_used=totals.used,
            credits_bound=totals.spent,
            seconds=self._seconds,
            failures=tuple(self._failures),
            failed=self._failed,
        )

    async def _prepared(self) -> Run:
        store, service = self._store, self._session._runtime.config.base_url
        mark = store.meta.get("mark")
        if not isinstance(mark, str):
            mark = uuid.uuid4().hex[:8]
            created = datetime.now(UTC).isoformat(timespec="seconds")
            await store.keep_meta(mark=mark, created=created, base_url=service)
        elif store.meta.get("base_url") != service:
            raise ConfigurationError(
                f"the journal {store.path} belongs to {store.meta.get('base_url')}, not {service}: "
                "its files and jobs are there"
            )
        project = await self._project(mark)
        return Run(
            session=self._session,
            store=store,
            uploads=Uploads(self._session, store, mark),
            settling=Settling(
                self._session, store, project.project_id, alone=self._given_project is None
            ),
            project=project,
            directory=self._directory,
            download=self._download,
            max_credits=self._max_credits,
        )

    async def _project(self, mark: str) -> Project:
        """Return the project of the journal, the same in every run."""
        kept, name = self._store.meta.get("project_id"), self._store.meta.get("project_name")
        given = self._given_project
        if isinstance(kept, str):
            if given is not None and project_id_of(given) != kept:
                raise ConfigurationError(
                    f"the journal {self._store.path} belongs to project {kept}: "
                    "take another journal for another project"
                )
            return Project(kept, name if isinstance(name, str) else "")
        if given is None:
            project = await self._session.projects.ensure(f"batch-{mark}")
        else:
            project = given if isinstance(given, Project) else Project(project_id_of(given))
        await self._store.keep_meta(
            project_id=project.project_id, project_name=project.project_name
        )
        return project

    def _note(self, outcome: ProductOutcome) -> None:
        if outcome.error is None:
            return
        self._failed += 1
        if len(self._failures) < MOST_NAMED:
            product = outcome.product
            failure = Failure(key=product.key, line=product.line, error=str(outcome.error))
            self._failures.append(failure)

    async def _handed_out(self, outcome: ProductOutcome) -> None:
        """Note that whoever took an outcome has come back for the next."""
        if outcome.state is State.SAVED:
            await self._store.move(outcome.product.key, State.DONE)
