"""Identities of the account, and their preparation."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from typing import Any, Literal

import attrs

from piktid_async.sandbox.answers import refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.notifications import NotificationBoard
from piktid_async.sandbox.orders import Drawing, Order, Shot
from piktid_async.sandbox.state import Account, Job

PREPARATION = "identity_preprocessing"
CREATION = "identity_creation"

# https://docs.piktid.com/docs/v2/identities/promote_generated__post
PROMOTION_CREDITS = 50.0


@attrs.define(kw_only=True, eq=False)
class Identity:
    """An identity of the account's own."""

    code: str
    name: str
    tag: str | None
    picture_key: str
    original_filename: str | None
    created: float
    updated: float
    gender: str | None = None
    age: int | None = None
    status: Literal["pending", "processing", "completed", "failed"] = "pending"
    error_message: str | None = None
    draft: int | None = None
    """The image result that it was promoted from."""
    job_id: str = ""
    """The job that stands for its preparation."""
    povs: dict[int, str] = attrs.field(factory=dict)
    """Where the storage keeps the points of view that were put in by hand."""


class IdentityBook:
    """Owns the tasks that prepare identities."""

    def __init__(
        self,
        *,
        account: Account,
        board: NotificationBoard,
        faults: Faults,
        seconds: float,
        slots: int | None,
        ledger: Ledger,
    ) -> None:
        ledger.keep("identities", self.own, self._restore)
        self._ledger = ledger
        self._account = account
        self._board = board
        self._faults = faults
        self._seconds = seconds
        self._slots = slots
        self._tasks: set[asyncio.Task[None]] = set()

    def _restore(self, identities: list[Identity]) -> None:
        self._account.identities |= {each.code: each for each in identities}

    def own(self) -> list[Identity]:
        """List the account's own identities, oldest first."""
        return [each for each in self._account.identities.values() if isinstance(each, Identity)]

    def find(self, code: str) -> Identity:
        """Look up one of the account's own, or raise the 404."""
        found = self._account.identities.get(code)
        if not isinstance(found, Identity):
            raise refuse(404, "Identity not found")
        return found

    def named(self, name: str) -> Identity | None:
        """Find one of the account's own by its name."""
        return next((each for each in self.own() if each.name == name), None)

    def free_name(self, name: str) -> str:
        """Return the name, with a number behind it if it is taken."""
        numbered = (f"{name} {number}" for number in itertools.count(2))
        return next(
            each for each in (name, *itertools.islice(numbered, 1000)) if not self.named(each)
        )

    def check_slots(self) -> None:
        """Raise the 429 that waiting does not cure."""
        if self._slots is not None and len(self.own()) >= self._slots:
            raise refuse(429, "Maximum identities reached.")

    def add(
        self,
        *,
        name: str | None,
        tag: str | None,
        picture_key: str,
        original_filename: str | None,
        draft: int | None = None,
    ) -> Identity:
        """Make an identity; it is not prepared yet."""
        now, code = time.time(), secrets.token_hex(6)
        identity = Identity(
            code=code,
            name=name or f"identity-{code}",
            tag=tag,
            picture_key=picture_key,
            original_filename=original_filename,
            created=now,
            updated=now,
            draft=draft,
        )
        self._account.identities[code] = identity
        return identity

    def prepare(self, identity: Identity, *, price: float) -> Job:
        """Begin to prepare an identity; return the job that stands for it."""
        drawing = Drawing(kind=PREPARATION, options={})
        shot = Shot(
            image_index=0,
            group_index=0,
            sources=(),
            size=1024,
            credits=price,
            model="auto",
            drawing=drawing,
        )
        order = Order(kind=PREPARATION, project=None, shots=(shot,), model="auto")
        job = self._account.add_job(order)
        job.answered = time.monotonic()
        identity.job_id = job.job_id
        self._spawn(identity, job)
        return job

    def resume(self) -> None:
        """Go on with what `close` has stopped."""
        for identity in self.own():
            job = self._account.jobs.get(identity.job_id)
            if job is not None and identity.status in ("pending", "processing"):
                self._spawn(identity, job)

    async def close(self) -> None:
        """Stop every preparation where it is."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _spawn(self, identity: Identity, job: Job) -> None:
        task = asyncio.create_task(self._run(identity, job), name=f"sandbox {identity.code}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, identity: Identity, job: Job) -> None:
        await asyncio.sleep(self._seconds / 2)
        identity.status = job.status = "processing"
        self._report(identity, job)
        await asyncio.sleep(self._seconds / 2)
        failed = self._faults.take("identities_fail")
        identity.status = job.status = "failed" if failed else "completed"
        (output,) = job.history
        output.status = "failed" if failed else "completed"
        output.full_key = None if failed else identity.picture_key
        if failed:
            identity.error_message = "No face was found in the image"
            job.error_message = output.error_message = identity.error_message
        self._account.charge(job)
        self._report(identity, job)

    def _report(self, identity: Identity, job: Job) -> None:
        identity.updated = job.updated = time.time()
        job.history[0].updated = job.updated
        self._account.save(job)
        self._ledger.touch("identities")
        # The documents name the event, and not what is in it: these keys are invented.
        data: dict[str, Any] = {
            "id_task": job.job_id,
            "identity_code": identity.code,
            "status": identity.status,
        }
        if identity.error_message is not None:
            data["error_message"] = identity.error_message
        self._board.emit(PREPARATION, data)
