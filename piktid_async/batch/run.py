"""A batch: products drawn as there is room, each brought to its end, every step in the journal."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from datetime import datetime
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from piktid_async.batch.engine import set_up
from piktid_async.batch.flow import Flow
from piktid_async.batch.ledger import LedgerError, State
from piktid_async.batch.opening import open_run
from piktid_async.batch.planning import planned
from piktid_async.batch.products import BadProduct, Doubt, Product, ProductOutcome
from piktid_async.batch.recorded import error_json
from piktid_async.batch.shared import Run
from piktid_async.batch.stores import is_database, results_directory, store_for
from piktid_async.batch.summary import BatchSummary, Enqueued, Failure, Plan
from piktid_async.batch.tasks import UPLOAD
from piktid_async.errors import ConfigurationError, InvalidRequestError, PiktidError
from piktid_async.iterables import drawn
from piktid_async.models.projects import Project
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

    - `journal`: a file on this machine, whose lock lets one program at a time in; or the URL of
      a PostgreSQL database, where several programs may run the same list at once: each product
      is one program's, and another's when that one dies. Give each session
      `coordinator=PostgresCoordinator(url)`, so that they share the account's limits, too.
    - `name`: tells the batches in one database apart; absent: "default".
    - `max_credits`: a product whose estimate would pass it is not submitted, over all runs.
    - `directory`: where results go, a folder a product; absent: the journal without its suffix,
      or a folder named like the batch.
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
        name: str | None = None,
        directory: str | PathLike[str] | None = None,
        project: Project | str | None = None,
        in_flight: int = 32,
        download: bool = True,
    ) -> None:
        known = type(max_credits) in (int, float)
        if max_credits is not None and not (known and max_credits >= 0):
            raise ConfigurationError(f"max_credits must be 0 or more, not {max_credits!r}")
        self._session = session
        self._journal = journal
        self._store = store_for(journal, name)
        self._max_credits = max_credits
        self._directory = results_directory(journal, name) if directory is None else Path(directory)
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
            await self._store.refresh()
        finally:
            if self._store.shared:
                await self._store.free()
            self._running = False
            self._seconds = time.monotonic() - began

    async def enqueue(self, products: Products) -> Enqueued:
        """Put products into the database for workers to make, and return what became of them.

        A row and its first task are one transaction. Images must be paths that the workers can
        read, and the request a job request class, alone or in a pair with its settings; others
        are told by `bad`, and stop none. What is there already is left as it is. The workers take
        `directory`, `download` and `max_credits` from the last call. Makes the batch's project;
        no credits. Raises `ConfigurationError` for a batch that is not in a database.
        """
        if not is_database(self._journal):
            raise ConfigurationError("a queue needs a database: Batch(session, 'postgresql://...')")
        from piktid_async.batch.postgres import PostgresStore
        from piktid_async.batch.queueing import enqueue

        store = self._store
        assert isinstance(store, PostgresStore)
        await set_up(str(self._journal))
        await self._prepared()
        await store.keep_meta(
            enqueued=True,
            directory=str(self._directory.absolute()),
            download=self._download,
            max_credits=self._max_credits,
        )
        return await enqueue(store, drawn("products", products, "products"), UPLOAD)

    async def refresh(self) -> None:
        """Have `summary` tell what others have done meanwhile; sends nothing to the service."""
        await self._store.refresh()

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
                await self._store.move(key, State.PENDING, then=UPLOAD)
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
        return BatchSummary.of(
            self._store.totals,
            seconds=self._seconds,
            failures=self._failures,
            failed=self._failed,
        )

    async def _prepared(self) -> Run:
        return await open_run(
            self._session,
            self._store,
            given_project=self._given_project,
            directory=self._directory,
            download=self._download,
            max_credits=self._max_credits,
        )

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
        key = outcome.product.key
        if outcome.state is State.SAVED:
            await self._store.move(key, State.DONE)
        if self._store.shared and outcome.state is not None:
            await self._store.free(key)
