"""Commands that ask the service one thing: open a session, wait, tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Any, TypeVar

from piktid_async import Session
from piktid_async.cli import stopping
from piktid_async.cli.framing import console_on
from piktid_async.cli.needs import check_service
from piktid_async.cli.progress import Lines, view_on
from piktid_async.cli.service import session_with

T = TypeVar("T")


def ask(
    work: Callable[[Session, Lines], Awaitable[T]],
    *,
    what: str | None = None,
    stopped: Callable[[], str] = lambda: "Stopped; nothing was changed.",
    **settings: Any,
) -> T:
    """Do one thing with the service, saying `what` where it takes longer than a moment.

    Work that shows its own progress gives none.
    """
    check_service(sandbox=False)
    with view_on(console_on(err=True)) as view:
        return stopping.run(_ask(work, view, what, settings), stopped)


async def _ask(
    work: Callable[[Session, Lines], Awaitable[T]],
    view: Lines,
    what: str | None,
    settings: dict[str, Any],
) -> T:
    async with session_with(**settings) as session:
        with view.waiting(what) if what else nullcontext():
            return await work(session, view)
