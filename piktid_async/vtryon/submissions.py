"""Submissions: sent once, since each makes a task; and looked for when their fate is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from piktid_async.errors import (
    InvalidRequestError,
    PiktidError,
    SubmissionUnknownError,
)
from piktid_async.logs import about
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.types import Link
from piktid_async.vtryon import endpoints
from piktid_async.vtryon.models import Recolor, TaskResult
from piktid_async.vtryon.paging import each
from piktid_async.vtryon.service import Service
from piktid_async.vtryon.tasks import Task, task_of

NAMED = 10
"""Tasks that an error names one by one."""

_log = logging.getLogger("piktid_async.vtryon")


async def submit(service: Service, recolor: Recolor) -> Task:
    """Make one task."""
    if not isinstance(recolor, Recolor):
        raise InvalidRequestError("request", f"takes a Recolor, not {type(recolor).__name__}")
    caller = service.connect().caller
    try:
        told = await caller.execute(endpoints.create(recolor))
    except asyncio.CancelledError:
        text = "cancelled while the submission was under way: the task may exist"
        _log.warning(text, extra=about(path=endpoints.RECOLORS))
        raise
    except PiktidError as error:
        if certainly_not_taken(error):
            raise

        async def reconcile() -> None:
            await look_for_strangers(service, recolor)

        raise SubmissionUnknownError(recolor, error.summary, Link(reconcile)) from error
    return task_of(service, told, due=service.next_poll())


async def look_for_strangers(service: Service, recolor: Recolor) -> None:
    """Return if the session knows every task of the account, else raise.

    The list tells ids, statuses and links, and nothing of what was asked for: no task in it can
    be told to be that of a request. So a task that this session has not seen is named, for
    somebody to look at, and never taken for the lost one.
    """
    strangers = [
        told.id async for told in listed(service, page_size=None) if told.id not in service.known
    ]
    if strangers:
        newest = sorted(strangers, reverse=True)
        more = f" and {len(newest) - NAMED} more" if len(newest) > NAMED else ""
        named = ", ".join(map(str, newest[:NAMED]))
        raise SubmissionUnknownError(
            recolor,
            f"the account has tasks that this session did not know ({named}{more}); any may be "
            "the lost one, and Vtryon does not tell what a task was asked for",
        )


def listed(service: Service, *, page_size: int | None) -> AsyncIterator[TaskResult]:
    """Yield every task once, page by page."""
    return each(service, lambda page: endpoints.list_tasks(page, page_size))
