"""Deletions: for good, and so that the answer to a repeated one says what really happened."""

from __future__ import annotations

from piktid_async.errors import NotFoundError, PiktidError
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.protocol.messages import Call
from piktid_async.vtryon.service import Service


async def delete(service: Service, call: Call[None]) -> None:
    """Delete one thing; raises `NotFoundError` only if it was not there before."""
    caller = service.connect().caller
    in_doubt = False

    async def attempt() -> None:
        nonlocal in_doubt
        try:
            await caller.once(call)
        except NotFoundError:
            # After an attempt without an answer it means that that one was heard.
            if not in_doubt:
                raise
        except PiktidError as error:
            in_doubt = in_doubt or not certainly_not_taken(error)
            raise

    await caller.repeat(
        attempt, again=lambda error: isinstance(error, PiktidError) and error.retryable
    )
