"""Submissions in doubt: which job of the gallery is whose."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from piktid_async.batch.ledger import LedgerError, Row, State, Store
from piktid_async.errors import (
    AuthenticationError,
    NotFoundError,
    PiktidError,
    SessionClosedError,
    SubmissionUnknownError,
)
from piktid_async.protocol.endpoints import (
    GalleryJob,
    gallery_job_of_row,
    gallery_jobs,
    job_status,
)
from piktid_async.protocol.progress import ENDS_BY_STATUS
from piktid_async.session import Session

_log = logging.getLogger("piktid_async.batch")

CLOCK_SKEW = timedelta(minutes=5)
MOST = 50
"""Jobs known by their notifications alone that are asked for at once, the newest."""

Assign: TypeAlias = Callable[[Sequence[Row], Iterable[GalleryJob]], dict[str, str]]


def assign(rows: Sequence[Row], jobs: Iterable[GalleryJob]) -> dict[str, str]:
    """Give jobs of nobody to submissions in doubt, by key, where there is only one way to.

    Rows in `intent` count as rivals: the job may be about to become theirs. Several that ask
    for exactly the same may share as many jobs among them in any way. Nothing is guessed.
    """
    found: dict[str, str] = {}
    for lost, candidates in _groups(rows, jobs):
        found |= _shared(lost, candidates)
    return found


def assign_unseen(rows: Sequence[Row], jobs: Iterable[GalleryJob]) -> dict[str, str]:
    """Do the same with jobs of which only the kind is known; they are of this batch alone."""
    candidates: defaultdict[str | None, set[str]] = defaultdict(set)
    for job in jobs:
        candidates[job.job_type].add(job.job_id)
    found: dict[str, str] = {}
    for kind, ids in candidates.items():
        found |= _shared([row for row in rows if row.kind == kind], ids)
    return found


def _shared(lost: Sequence[Row], candidates: set[str]) -> dict[str, str]:
    """Share jobs among rows that fit no others, if it does not matter which is whose."""
    alike = len({(row.fingerprint, row.kind, row.input_ids) for row in lost}) == 1
    waiting = any(row.state is State.INTENT for row in lost)
    if not alike or waiting or len(candidates) > len(lost):
        return {}
    earliest = sorted(lost, key=lambda row: (row.t_intent or "", row.seq))
    return {row.key: job_id for row, job_id in zip(earliest, sorted(candidates), strict=False)}


def _groups(
    rows: Sequence[Row], jobs: Iterable[GalleryJob]
) -> Iterable[tuple[list[Row], set[str]]]:
    """Part rows and jobs into groups that share no candidate."""
    groups: list[tuple[list[Row], set[str]]] = []
    fitting: defaultdict[str, set[str]] = defaultdict(set)
    by_input: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for file_id in row.input_ids:
            by_input[file_id].append(row)
    for job in jobs:
        near = {row.key: row for file_id in job.input_ids for row in by_input[file_id]}
        for row in near.values():
            if _fits(row, job):
                fitting[row.key].add(job.job_id)
    for row in rows:
        wanted = fitting[row.key]
        if not wanted:
            continue
        joined, candidates = [row], set(wanted)
        for other in [each for each in groups if each[1] & candidates]:
            groups.remove(other)
            joined, candidates = other[0] + joined, other[1] | candidates
        groups.append((joined, candidates))
    return groups


def _fits(row: Row, job: GalleryJob) -> bool:
    if job.job_type != row.kind or not job.may_hold(frozenset(row.input_ids)):
        return False
    return row.t_intent is None or job.not_before(datetime.fromisoformat(row.t_intent) - CLOCK_SKEW)


class Settling:
    """Look for the jobs of all submissions in doubt at once."""

    def __init__(self, session: Session, store: Store, project_id: str, *, alone: bool) -> None:
        self._session = session
        self._store = store
        self._project_id = project_id
        self._alone = alone
        """Whether nobody else makes jobs in this project."""
        self._one_at_a_time = asyncio.Lock()

    async def look(self, key: str | None = None) -> None:
        """Settle what the gallery, and the notifications of the last minutes, can settle.

        No credits; one request per hundred jobs since the oldest doubt, or since that of `key`,
        none without doubts. A service that does not answer settles nothing.
        """
        try:
            await self._look(key)
        except (AuthenticationError, SessionClosedError):
            raise
        except PiktidError as error:
            _log.warning("submissions in doubt could not be looked for: %s", error)

    async def _look(self, key: str | None) -> None:
        async with self._one_at_a_time:
            rows = [row async for row in self._store.rows(State.IN_DOUBT)]
            doubts = [row for row in rows if key in (None, row.key)]
            if not doubts:
                return
            jobs = await self._listed(min(row.t_intent or row.updated for row in doubts))
            await self._assign(assign, jobs, "found in the gallery", key)
            if self._alone and [row async for row in self._store.rows(State.IN_DOUBT)]:
                unseen = await self._unseen(jobs)
                await self._assign(assign_unseen, unseen, "found by its notifications", key)

    async def _assign(
        self, how: Assign, jobs: Sequence[GalleryJob], reason: str, lost: str | None
    ) -> None:
        # Asked after the jobs were: what was answered meanwhile has its job by now.
        rows = [row async for row in self._store.rows(State.IN_DOUBT, State.INTENT)]
        known = await self._store.known_jobs(job.job_id for job in jobs)
        found = how(rows, [job for job in jobs if job.job_id not in known])
        kinds = {row.key: row.kind for row in rows}
        for key, job_id in found.items():
            settled = await self._settled(key, job_id, reason)
            # What was lost a moment ago has a turn, which tells of its slot.
            if settled and key != lost and kinds[key] in ENDS_BY_STATUS:
                self._session._runtime.coordinator.found(job_id)

    async def _unseen(self, listed: Sequence[GalleryJob]) -> list[GalleryJob]:
        """Return jobs that the gallery does not list yet, or without their images."""
        runtime = self._session._runtime
        connections = runtime.connect()
        await connections.follow().ready()
        seen = {job.job_id for job in listed if job.input_ids}
        told = [job.job_id for job in listed] + runtime.dispatcher.unknown_jobs()
        known = await self._store.known_jobs(told)
        found = []
        for job_id in [each for each in dict.fromkeys(told) if each not in seen | known][-MOST:]:
            with contextlib.suppress(NotFoundError):
                status = await connections.caller.execute(job_status(job_id))
                if status.project_key == self._project_id:
                    found.append(GalleryJob(job_id=job_id, job_type=status.job_type))
        return found

    async def lost(self, key: str, error: SubmissionUnknownError) -> Row:
        """Look for a job whose answer was lost a moment ago."""
        # Not as far back as a doubt that stays: with the list, every answer lost would cost more.
        await self.look(key)
        try:
            # Tells the queue of submissions, too, that the slot is the found job's, or free.
            job = await error.reconcile()
        except PiktidError as trouble:
            _log.info("a submission stays in doubt for now: %s", trouble)
            job = None
        if job is not None and self._alone:
            await self._heard(key, job.id)
        row = await self._store.row(key)
        assert row is not None
        return row

    async def _heard(self, key: str, job_id: str) -> None:
        """Take a job that the session found by its events, if it can be no other product's."""
        async with self._one_at_a_time:
            states = State.IN_DOUBT, State.INTENT
            unsettled = [row.key async for row in self._store.rows(*states)]
            if unsettled == [key] and not await self._store.known_jobs([job_id]):
                await self._settled(key, job_id, "found by its notifications")

    async def _settled(self, key: str, job_id: str, reason: str) -> bool:
        try:
            await self._store.move(key, State.SUBMITTED, job_id=job_id, reason=reason)
        except LedgerError as error:
            _log.info("settled otherwise meanwhile: %s", error)  # by the user
            return False
        return True

    async def _listed(self, since: str) -> list[GalleryJob]:
        """Return the project's jobs since then."""
        caller = self._session._runtime.connect().caller
        oldest = datetime.fromisoformat(since) - CLOCK_SKEW
        found: dict[str, GalleryJob] = {}
        page = 1
        while True:
            answer = await caller.execute(gallery_jobs(self._project_id, page))
            jobs = [gallery_job_of_row(row) for row in answer.rows]
            found |= {job.job_id: job for job in jobs}
            # Newest first: the first that is too old ends the search.
            if not (answer.has_next and jobs and all(job.not_before(oldest) for job in jobs)):
                return list(found.values())
            page += 1
