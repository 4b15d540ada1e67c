"""Send a call again where that is safe, and pause in between."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from piktid_async.errors import (
    ConnectionFailedError,
    PiktidError,
    ResponseFormatError,
    StatusError,
)
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.protocol.messages import Call, Request
from piktid_async.transport.base import Transport
from piktid_async.transport.watched import numbered

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

LONGEST_ASKED_FOR = 60.0
"""Seconds of a Retry-After that are waited at most."""


class Caller:
    """Execute calls over one transport."""

    def __init__(self, transport: Transport, max_retries: int, backoff: Backoff) -> None:
        self._transport = transport
        self._max_retries = max_retries
        self._backoff = backoff

    async def execute(self, call: Call[T]) -> T:
        """Return the call's value, repeating it while that is safe and worth it."""
        request = call.request
        return await self.repeat(
            lambda: self.once(call), again=lambda error: _safe_to_repeat(request, error)
        )

    async def once(self, call: Call[T]) -> T:
        """Return the call's value, sending it once.

        What is raised is not `retryable` if the server may have acted on what must not be doubled.
        """
        try:
            return call.parse(await self._transport.send(call.request))
        except (ConnectionFailedError, StatusError) as error:
            # The token's source makes calls of its own, with errors of their own.
            own = error.call == call.request.call
            if own and not (call.request.replayable or certainly_not_taken(error)):
                error.retryable = False
            raise
        except ResponseFormatError as error:
            failure = error.with_traceback(None)
            # The frames that are dropped hold the answer, with the signed URLs in it.
            failure.__context__ = None
        raise failure

    async def repeat(
        self, attempt: Callable[[], Awaitable[T]], *, again: Callable[[BaseException], bool]
    ) -> T:
        """Run an attempt until it succeeds, may not be repeated, or the retries are used up."""
        # Most succeed at once, and what tenacity does around one costs more than the call itself.
        try:
            return await attempt()
        except Exception as error:
            if not again(error):
                raise
            failed = [error]
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        numbers = itertools.count(2)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._max_retries + 1),
            wait=self._pause,
            retry=retry_if_exception(again),
            reraise=True,
        )

        # tenacity awaits only what is an `async def` itself.
        async def run() -> T:
            if failed:
                raise failed.pop()
            with numbered(next(numbers)):
                return await attempt()

        return await retrying(run)

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked_for = error.retry_after if isinstance(error, StatusError) else None
        pause = self._backoff.pause(state.attempt_number, random.random)
        if asked_for is None:
            return pause
        # Jitter on top: all who were refused together must not come back together.
        return min(asked_for, LONGEST_ASKED_FOR) + pause


def _safe_to_repeat(request: Request, error: BaseException) -> bool:
    if isinstance(error, ConnectionFailedError) and not error.sent:
        return error.retryable
    return request.replayable and isinstance(error, PiktidError) and error.retryable
