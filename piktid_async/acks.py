"""Acknowledgements: a bounded queue with its own workers, beside reading and delivery."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterable
from contextvars import Context

from piktid_async.errors import PiktidError
from piktid_async.logs import Listener, about
from piktid_async.models.events import Acknowledgement
from piktid_async.protocol import endpoints
from piktid_async.protocol.backoff import Backoff
from piktid_async.transport.retrying import Caller
from piktid_async.transport.watched import ATTEMPT
from piktid_async.types import NoteId

_log = logging.getLogger("piktid_async.acks")

WORKERS = 32
LIMIT = 65_536
"""Pending at most. One too many is dropped: the service replays it, and it is tried again."""
ATTEMPTS = 10

AGAIN = Backoff(base=1.0, cap=60.0)
AGAIN_WHILE_CLOSING = Backoff(base=0.1, cap=0.5)


class Acknowledger:
    """Delete notifications at the service, each until it is gone."""

    def __init__(self, caller: Caller, tell: Listener | None = None) -> None:
        self._caller = caller
        self._tell = tell
        self._since: dict[NoteId, float] = {}
        """When each was queued; only for who is told of it."""
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[NoteId] = asyncio.Queue()
        self._attempts: dict[NoteId, int] = {}
        self._later: dict[NoteId, asyncio.TimerHandle] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._backoff = AGAIN
        self._closed = False

    @property
    def pending(self) -> int:
        """Acknowledgements that are queued, under way, or waiting for another try."""
        return len(self._attempts)

    @property
    def unsent(self) -> list[NoteId]:
        """What is still pending, to be carried over when this one has stopped."""
        return list(self._attempts)

    def add(self, note_ids: Iterable[NoteId]) -> None:
        """Queue acknowledgements; one that is pending already is not doubled."""
        if self._closed:
            return  # they will be replayed, and acknowledged then
        left = 0
        for note_id in note_ids:
            if note_id in self._attempts:
                continue
            if len(self._attempts) >= LIMIT:
                left += 1
                continue
            self._attempts[note_id] = 0
            self._queue.put_nowait(note_id)
            if self._tell is not None:
                self._since[note_id] = time.monotonic()
        if left:
            text = "%d acknowledgements are pending; %d more are left"
            _log.warning(text, LIMIT, left, extra=about(pending=LIMIT, left=left))
        if self._attempts:
            self._idle.clear()
        while len(self._workers) < min(WORKERS, len(self._attempts)):
            # In a context of their own: what they do is nobody's call.
            task = self._loop.create_task(self._work(), name="piktid ack", context=Context())
            self._workers.add(task)

    async def acknowledge(self, note_id: NoteId) -> None:
        """Delete one now, repeating as for any call, and raise if it cannot be done."""
        await self._caller.execute(endpoints.acknowledge(note_id))

    async def flush(self, timeout: float) -> None:
        """Try everything that is pending once more; return when all is done or time is up."""
        self._backoff = AGAIN_WHILE_CLOSING
        for note_id in list(self._later):
            self._later.pop(note_id).cancel()
            self._queue.put_nowait(note_id)
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            text = "%d notifications could not be acknowledged; they will be replayed"
            _log.warning(text, self.pending, extra=about(pending=self.pending))

    async def aclose(self) -> None:
        """Stop; what is pending stays at the service and will be replayed."""
        self._closed = True
        for handle in self._later.values():
            handle.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            note_id = await self._queue.get()
            if self._tell is not None:
                ATTEMPT.set(self._attempts[note_id] + 1)
            try:
                await self._caller.once(endpoints.acknowledge(note_id))
            except Exception as error:  # a token source may raise anything
                self._failed(note_id, error)
            else:
                self._forget(note_id, None)

    def _failed(self, note_id: NoteId, error: Exception) -> None:
        self._attempts[note_id] += 1
        final = isinstance(error, PiktidError) and not error.retryable
        if final or self._attempts[note_id] >= ATTEMPTS:
            fields = about(notification_id=note_id, attempt=self._attempts[note_id])
            _log.warning("notification %s is left unacknowledged: %s", note_id, error, extra=fields)
            self._forget(note_id, error)
            return
        pause = self._backoff.pause(self._attempts[note_id], random.random)
        self._later[note_id] = self._loop.call_later(pause, self._retry, note_id)

    def _retry(self, note_id: NoteId) -> None:
        del self._later[note_id]
        self._queue.put_nowait(note_id)

    def _forget(self, note_id: NoteId, error: Exception | None) -> None:
        attempts = self._attempts.pop(note_id)
        if self._tell is not None:
            self._tell(
                Acknowledgement(
                    notification_id=note_id,
                    attempts=attempts + (error is None),
                    seconds=time.monotonic() - self._since.pop(note_id),
                    error=None if error is None else type(error).__name__,
                )
            )
        if not self._attempts:
            self._idle.set()
