"""What is done with one product, step by step; every step is in the journal before the next."""

from __future__ import annotations

from piktid_async.batch import images
from piktid_async.batch.ending import Ending
from piktid_async.batch.images import Picture
from piktid_async.batch.ledger import LedgerError, Row, State
from piktid_async.batch.products import (
    Product,
    ProductOutcome,
    build,
    check_count,
    fingerprint,
    same_key,
    stand_ins,
)
from piktid_async.batch.recorded import error_json, error_of, result_of
from piktid_async.batch.shared import Run
from piktid_async.batch.submitting import Known, Submission
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
from piktid_async.models.jobs import JobResult
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


class Work:
    """One product on its way."""

    def __init__(self, run: Run, product: Product) -> None:
        self._run = run
        self._store = run.store
        self.product: Product = product
        self.known: Known | None = None
        """What it is made of, once its images were read."""
        self._pictures: list[Picture] = []
        self._lost: SubmissionUnknownError | None = None
        self.elsewhere: bool = False
        """Whether another program has it in hand."""

    async def bring(self) -> ProductOutcome | None:
        """Bring it as far as it goes; None when it is in doubt whether there is a job.

        None as well when it is `elsewhere`. Raises what concerns the whole account; all else is
        told by the outcome.
        """
        drawn = await self._store.draw(self.product.key, self.product.line)
        if drawn.twin is not None:
            return ProductOutcome(product=self.product, error=same_key(self.product, drawn.twin))
        self.elsewhere = drawn.taken
        return None if drawn.taken else await self._go_on(drawn.row)

    async def take_over(self) -> ProductOutcome | None:
        """Go on with it if the program that had it in hand has ended, or is done with it."""
        row = await self._store.claim(self.product.key)
        self.elsewhere = row is None
        return None if row is None else await self._go_on(row)

    async def try_again(self) -> ProductOutcome:
        """Go on once more after the doubts were looked at; those that remain are an error."""
        row = await self._row()
        outcome = None if row.state is State.IN_DOUBT else await self._go_on(row)
        self.elsewhere = False
        return outcome or self._outcome(await self._row(), self._doubt(row))

    async def _go_on(self, row: Row) -> ProductOutcome | None:
        ending = Ending(self._run, self.product.key)
        try:
            row, job = await self._submitted(row)
            if row.state is State.IN_DOUBT:
                return None
            row, error = await ending.reach(row, job)
            result = ending.result or result_of(row.result)
            return self._outcome(row, error or error_of(row.error, result), result)
        except OF_THE_ACCOUNT:
            raise
        except LedgerError:
            if not self._store.shared:
                raise
            # Another program has gone on with it, while this one was taken for dead.
            self.elsewhere = True
            await self._store.free(self.product.key)
            return None
        except PiktidError as error:
            row = await self.failed(error)
            if row.state is State.IN_DOUBT:
                error = self._doubt(row)
            return self._outcome(row, error, ending.result)

    async def _submitted(self, row: Row) -> tuple[Row, Job | None]:
        """Bring it to where there is a job, or must not be another."""
        row, request = await self.prepare(row)
        if request is None:
            return row, None
        assert self.known is not None
        found = await Submission(self._run, row.key, request, self.known).submit()
        self._lost = found.lost
        return found.row, found.job

    async def prepare(self, row: Row) -> tuple[Row, JobRequest | None]:
        """Read and upload its images; return what is to be submitted, if anything is."""
        over = row.state is not State.PENDING and not (
            row.state is State.FAILED and row.job_id is None
        )
        async with self._run.preparing:
            try:
                known = await self._look()
            except (InvalidRequestError, UploadError):
                if over:
                    return row, None  # its job needs the images no more
                raise
            if over and known.fingerprint != row.fingerprint:
                raise InvalidRequestError(
                    "key",
                    f"{row.key!r} stands in the journal with {self._other(row)}: "
                    "give the changed product a key of its own. Nothing was sent",
                )
            if over or (row.state is State.FAILED and known.fingerprint == row.fingerprint):
                return row, None
            if row.state is State.FAILED:
                row = await self._store.move(row.key, State.PENDING)
            files = await self._run.uploads.bring(row.key, self._pictures)
        return row, build(self.product.request, self._run.project, files)

    async def _look(self) -> Known:
        check_count(self.product)
        self._pictures = await images.look(self.product.images, self._store)
        hashes = tuple(each.sha256 for each in self._pictures)
        self.known = Known(fingerprint(self.product.request, hashes), hashes)
        return self.known

    def _other(self, row: Row) -> str:
        """Name what is not as the journal has it."""
        assert self.known is not None
        if self.known.images == row.images:
            return "another request"
        alike = fingerprint(self.product.request, row.images) == row.fingerprint
        return "other images" if alike else "other images and another request"

    async def failed(self, error: PiktidError) -> Row:
        """Note a failure that will not pass; all else is for a later run to try again."""
        row = await self._row()
        if row.state is not State.PENDING or not self._for_good(error):
            return row
        mark = self.known.fingerprint if self.known is not None else ""
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
                return self.known is None  # before anything was sent: the file itself is bad
            case StatusError():
                refused = 400 <= error.status < 500 and not error.retryable
                return refused and certainly_not_taken(error)
        return False

    async def _row(self) -> Row:
        row = await self._store.row(self.product.key)
        assert row is not None, "it was drawn"
        return row

    def _doubt(self, row: Row) -> PiktidError:
        if self._lost is not None:
            return self._lost
        hashes = list(row.images)
        request = build(self.product.request, self._run.project, stand_ins(hashes))
        return SubmissionUnknownError(request, row.reason or "no answer has come")

    def _outcome(
        self, row: Row, error: PiktidError | None, result: JobResult | None = None
    ) -> ProductOutcome:
        return ProductOutcome(
            product=self.product,
            result=result or result_of(row.result),
            files=tuple(self._run.directory / each.path for each in row.files),
            error=error,
            state=row.state,
        )
