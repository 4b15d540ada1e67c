"""`piktid batch run`: a journal, a session, and a line for each product that ends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import attrs
from rich.console import Console

from piktid_async import AccountLimits, Session
from piktid_async.batch import BadProduct, Batch, JournalError, ProductOutcome
from piktid_async.batch.ledger import State
from piktid_async.cli import stopping
from piktid_async.cli.batch_report import BatchReport, Unmade, name_of, same_command
from piktid_async.cli.errors import HINTS, Exit, Hints, Trouble, clean, explain, trouble_from
from piktid_async.cli.inputs import check_output, shown
from piktid_async.cli.products import Products
from piktid_async.cli.progress import Lines, view_on
from piktid_async.cli.report import SANDBOX
from piktid_async.cli.service import QUICK_TO_END, service_name, session_with
from piktid_async.cli.words import count
from piktid_async.errors import (
    BudgetExceededError,
    ConfigurationError,
    InsufficientCreditsError,
    InvalidRequestError,
    PermissionDeniedError,
    PiktidError,
    SubmissionUnknownError,
)

BATCH_HINTS: Hints = (
    (InsufficientCreditsError, "top up"),
    (PermissionDeniedError, "the plan may not allow these settings, or --project"),
    (BudgetExceededError, "raise --max-credits for the rest"),
    *HINTS,
)


@attrs.frozen(kw_only=True)
class BatchOrder:
    """Which products, and what becomes of them where."""

    products: Products
    journal: Path
    out: Path
    project: str | None = None
    max_credits: float | None = None
    limits: bool = True
    page: Path | None = None
    """Where the report goes."""

    @property
    def sandbox_folder(self) -> Path:
        """Where a sandbox goes on that a later run needs as it was."""
        return self.journal.with_name(f"{self.journal.name}-sandbox")


def place_order(
    products: Products,
    *,
    journal: Path,
    out: Path,
    project: str | None,
    max_credits: float | None,
    limits: bool,
    page: Path | None = None,
) -> BatchOrder:
    """Check what can be checked without the service, and return the order."""
    if project is not None and not project.strip():
        raise Trouble("--project: the name is empty.")
    if journal.is_dir():
        raise Trouble(f"--journal: {shown(journal)} is a folder, not a file.")
    if journal.resolve() == products.path.resolve():
        raise Trouble("--journal: it is the list of products; name another file.")
    check_output(out, [], overwrite=True)
    if page is not None:
        from piktid_async.cli.report_page import check_report

        check_report(page)
    return BatchOrder(
        products=products,
        journal=journal,
        out=out,
        project=project,
        max_credits=max_credits,
        limits=limits,
        page=page,
    )


def carry_out(order: BatchOrder, *, sandbox: bool, console: Console) -> BatchReport:
    """Run a batch to its end. Ctrl-C raises a `Trouble` that tells how to go on."""
    with view_on(console) as view:
        run = BatchRun(order, view, service=SANDBOX if sandbox else service_name())
        try:
            stopping.run(_carry_out(run, order, sandbox=sandbox), run.stopped)
        except JournalError as error:
            raise Trouble(
                f"{explain(error)} To go on: {same_command()}", Exit.INCOMPLETE
            ) from error
        except (PiktidError, OSError) as error:
            raise trouble_from(error, hints=BATCH_HINTS) from error
    if order.page is not None:
        from piktid_async.cli.batch_page import leave_page

        with view_on(console) as view:
            view.note(f"writing {shown(order.page)}")
            leave_page(run.report, order.products, order.products.path.name, order.page)
    return run.report


class BatchRun:
    """One batch on its way."""

    def __init__(self, order: BatchOrder, view: Lines, *, service: str) -> None:
        self._order = order
        self._view = view
        self._batch: Batch | None = None
        self.report: BatchReport = BatchReport(
            journal=order.journal,
            directory=order.out,
            service=service,
            products=order.products.total,
            every=None if order.page is None else {},
            told=view.shares_stdout,
        )

    async def carry_out(self, session: Session) -> None:
        """Do it all. Raises only for what ends the run before anything has ended."""
        order, began = self._order, time.monotonic()
        project = await session.projects.ensure(order.project) if order.project else None
        async with Batch(
            session, order.journal, order.max_credits, directory=order.out, project=project
        ) as self._batch:
            self._view.start_outputs(order.products.total, ("making pictures", "done"))
            try:
                async with aclosing(self._batch.run(order.products)) as outcomes:
                    async for outcome in outcomes:
                        self._tell(outcome)
            except PiktidError as error:
                self._ended_by(error)
            finally:
                self.report.seconds = time.monotonic() - began
                self.report.summary = self._batch.summary

    def stopped(self) -> str:
        """Tell what goes on, and how to go on."""
        states = self._batch.summary.states if self._batch is not None else {}
        told = [f"Stopped; {self.report.standing}."]
        if jobs := states.get(State.SUBMITTED, 0):
            verb = "goes" if jobs == 1 else "go"
            told.append(
                f"The sandbox keeps {count(jobs, 'job')} in {shown(self._order.sandbox_folder)}."
                if self.report.service == SANDBOX
                else f"{count(jobs, 'job')} {verb} on at the server and will be paid."
            )
        if doubts := states.get(State.IN_DOUBT, 0) + states.get(State.INTENT, 0):
            told.append(f"{count(doubts, 'submission')} may have made a job; it is looked for.")
        return f"{' '.join(told)} To go on: {same_command()}"

    def _tell(self, outcome: ProductOutcome) -> None:
        product = outcome.product
        failed = outcome.result.failed if outcome.result is not None else ()
        self.report.unlisted += outcome.state is None
        if outcome.error is None and not failed:
            if outcome.state == State.DONE:
                self.report.earlier += 1
                self.report.elsewhere += not all(path.exists() for path in outcome.files)
                self._view.passed()
            else:
                self.report.done += 1
                self._view.output(f"{product.key}, {count(len(outcome.files), 'picture')}")
            return
        error = _words(outcome) if outcome.error is not None else _missing(outcome)
        self.report.note(Unmade(product.key, product.line, _state(outcome), error))
        self._view.output(name_of(product.key, product.line), error)

    def _ended_by(self, error: PiktidError) -> None:
        may_go_on = isinstance(error, BudgetExceededError | JournalError)
        if isinstance(error, ConfigurationError | InvalidRequestError) and not may_go_on:
            raise error
        if not (self.report.done or self.report.earlier or self.report.unmade):
            raise error
        code = Exit.INCOMPLETE if may_go_on else Exit.REFUSED
        self.report.stopped = Trouble(explain(error, hints=BATCH_HINTS), code)


def _state(outcome: ProductOutcome) -> str:
    if outcome.state == State.IN_DOUBT:
        return "in_doubt"
    if outcome.error is None:
        return "incomplete"
    ended = outcome.state in (None, State.FAILED, State.SAVED, State.DONE)
    return "failed" if ended or isinstance(outcome.error, InvalidRequestError) else "unfinished"


def _words(outcome: ProductOutcome) -> str:
    error = outcome.error
    assert error is not None
    if isinstance(outcome.product, BadProduct):
        return clean(f"{outcome.product.reason}.")
    if isinstance(error, SubmissionUnknownError):
        return clean(f"it may have a job, and it may not: {error.reason}.")
    return explain(error, hints=BATCH_HINTS)


def _missing(outcome: ProductOutcome) -> str:
    assert outcome.result is not None
    failed = outcome.result.failed
    reasons = dict.fromkeys(each.error_message or "no reason is named" for each in failed)
    made = len(outcome.result.outputs)
    return clean(f"{len(failed)} of {count(made, 'picture')} failed: {'; '.join(reasons)}.")


async def _carry_out(run: BatchRun, order: BatchOrder, *, sandbox: bool) -> None:
    async with _session(order, sandbox=sandbox) as session:
        await run.carry_out(session)


@asynccontextmanager
async def _session(order: BatchOrder, *, sandbox: bool) -> AsyncIterator[Session]:
    limits = AccountLimits() if order.limits else AccountLimits.unlimited()
    if not sandbox:
        async with session_with(limits=limits) as session:
            yield session
        return
    from piktid_async.sandbox import Sandbox

    async with (
        Sandbox(state=order.sandbox_folder, limits=order.limits) as server,
        Session(server.token, base_url=server.url, stream=QUICK_TO_END, limits=limits) as session,
    ):
        yield session
