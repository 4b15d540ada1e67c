"""What is done with one product, step by step; every step is in the journal before the next."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime

import attrs

from piktid_async.batch import images
from piktid_async.batch.ending import Ending
from piktid_async.batch.images import Picture
from piktid_async.batch.ledger import Row, State
from piktid_async.batch.products import (
    Product,
    ProductOutcome,
    build,
    check_count,
    fingerprint,
    stand_ins,
)
from piktid_async.batch.recorded import error_json, error_of, result_of
from piktid_async.batch.shared import Run
from piktid_async.errors import (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    InsufficientCreditsError,
    InvalidRequestError,
    PermissionDeniedError,
    PiktidError,
    SessionClosedError,
    StatusError,
    SubmissionUnknownError,
    UploadError,
)
from piktid_async.jobs import Job
from piktid_async.models.requests import JobRequest
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.types import redact_text

OF_THE_ACCOUNT = (
    AuthenticationError,
    BudgetExceededError,
    ConfigurationError,
    InsufficientCreditsError,
    PermissionDeniedError,
    SessionClosedError,
)
"""Errors that the next product would run into as well."""


@attrs.frozen
class Known:
    """A product whose images were read."""

    fingerprint: str
    pictures: list[Picture]


class Receipt:
    """Keep the journal ahead of a submission: nothing leaves before its intent is written."""

    def __init__(self, run: Run, key: str, request: JobRequest, known: Known) -> None:
        self._run = run
        self._key = key
        self._request = request
        self._known = known
        self.sent: bool = False
        """Whether the request may have left."""

    async def sending(self) -> None:
        """Write the intent; raises `BudgetExceededError`, and nothing is sent."""
        await self._run.store.intend(
            self._key,
            self._run.max_credits,
            intent_id=uuid.uuid4().hex[:8],
            t_intent=datetime.now(UTC).isoformat(timespec="milliseconds"),
            fingerprint=self._known.fingerprint,
            images=tuple(each.sha256 for each in self._known.pictures),
            kind=self._request.kind,
            input_ids=self._request.input_ids,
            total_outputs=self._request.total_outputs,
            estimate=self._request.credits,
        )
        self.sent = True

    async def refused(self) -> None:
        """Take the intent back: the service has refused, and the request queues up again."""
        self.sent = False
        await self._run.store.withdraw(self._key)


class Work:
    """One product on its way."""

    def __init__(self, run: Run, product: Product) -> None:
        self._run = run
        self._store = run.store
        self._product = product
        self._known: Known | None = None
        self._lost: SubmissionUnknownError | None = None

    async def bring(self) -> ProductOutcome | None:
        """Bring it as far as it goes; None when it is in doubt whether there is a job.

        Raises what concerns the whole account; all else is told by the outcome.
        """
        drawn = await self._store.draw(self._product.key, self._product.line)
        if drawn.twin is not None:
            where = self._product.line or "this one"
            rule = f"{self._product.key!r} of {where} is the key of {drawn.twin}, too: change it"
            return ProductOutcome(product=self._product, error=InvalidRequestError("key", rule))
        return await self._go_on(drawn.row)

    async def try_again(self) -> ProductOutcome:
        """Go on once more after the doubts were looked at; those that remain are an error."""
        row = await self._row()
        outcome = None if row.state is State.IN_DOUBT else await self._go_on(row)
        return outcome or self._outcome(await self._row(), self._doubt(row))

    async def _go_on(self, row: Row) -> ProductOutcome | None:
        ending = Ending(self._run, self._product.key)
        try:
            row, job = await self._submitted(row)
            if row.state is State.IN_DOUBT:
                return None
            row, error = await ending.reach(row, job)
            return self._outcome(row, error or error_of(row.error, result_of(row.result)), ending)
        except OF_THE_ACCOUNT:
            raise
        except PiktidError as error:
            return self._outcome(await self._failed(error), error, ending)

    async def _submitted(self, row: Row) -> tuple[Row, Job | None]:
        """Bring it to where there is a job, or must not be another."""
        over = row.state is not State.PENDING and not (
            row.state is State.FAILED and row.job_id is None
        )
        async with self._run.preparing:
            try:
                known = self._known = await self._look()
            except (InvalidRequestError, UploadError):
                if over:
                    return row, None  # its job needs the images no more
                raise
            if over and known.fingerprint != row.fingerprint:
                raise InvalidRequestError(
                    "key",
                    f"{row.key!r} stands in the journal with other images or another request: "
                    "give the changed product a key of its own. Nothing was sent",
                )
            if over or (row.state is State.FAILED and known.fingerprint == row.fingerprint):
                return row, None
            if row.state is State.FAILED:
                row = await self._store.move(row.key, State.PENDING)
            files = await self._run.uploads.bring(row.key, known.pictures)
        return await self._submit(build(self._product.request, self._run.project, files), known)

    async def _look(self) -> Known:
        check_count(self._product)
        pictures = await images.look(self._product.images, self._store)
        mark = fingerprint(self._product.request, [each.sha256 for each in pictures])
        return Known(mark, pictures)

    async def _submit(self, request: JobRequest, known: Known) -> tuple[Row, Job | None]:
        key = self._product.key
        receipt = Receipt(self._run, key, request, known)
        try:
            job = await self._run.session.submit(request, receipt=receipt)
        except SubmissionUnknownError as error:
            self._lost = error
            await self._store.move(key, State.IN_DOUBT, reason=redact_text(error.reason))
            return await self._run.settling.lost(key, error), None
        except (asyncio.CancelledError, SessionClosedError):
            if receipt.sent:
                reason = "the wait for the answer was broken off"
                await self._store.move(key, State.IN_DOUBT, reason=reason)
            else:
                await self._store.withdraw(key)
            raise
        except Exception:
            await self._store.withdraw(key)
            raise
        return await self._store.move(key, State.SUBMITTED, job_id=job.id), job

    async def _failed(self, error: PiktidError) -> Row:
        """Note a failure that will not pass; all else is for a later run to try again."""
        row = await self._row()
        if row.state is not State.PENDING or not self._for_good(error):
            return row
        mark = self._known.fingerprint if self._known is not None else ""
        return await self._store.move(
            row.key,
            State.FAILED,
            fingerprint=mark,
            error=error_json(error),
            reason=redact_text(str(error)),
        )

    def _for_good(self, error: PiktidError) -> bool:
        match error:
            case InvalidRequestError():
                return error.field != "max_credits"
            case UploadError():
                return self._known is None  # before anything was sent: the file itself is bad
            case StatusError():
                refused = 400 <= error.status < 500 and not error.retryable
                return refused and certainly_not_taken(error)
        return False

    async def _row(self) -> Row:
        row = await self._store.row(self._product.key)
        assert row is not None, "it was drawn"
        return row

    def _doubt(self, row: Row) -> PiktidError:
        if self._lost is not None:
            return self._lost
        hashes = list(row.images)
        request = build(self._product.request, self._run.project, stand_ins(hashes))
        return SubmissionUnknownError(request, row.reason or "no answer has come")

    def _outcome(
        self, row: Row, error: PiktidError | None, ending: Ending | None = None
    ) -> ProductOutcome:
        result = ending.result if ending is not None else None
        return ProductOutcome(
            product=self._product,
            result=result or result_of(row.result),
            files=tuple(self._run.directory / each.path for each in row.files),
            error=error,
            state=row.state,
        )
