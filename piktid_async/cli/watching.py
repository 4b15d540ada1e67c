"""`piktid watch`: every event of the account, as it comes; nothing is acknowledged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import Any

from piktid_async import BatchEdit, IdentityPreprocessing, ImageResult, Notification, Session
from piktid_async.cli.asking import ask
from piktid_async.cli.errors import Exit, Trouble, clean
from piktid_async.cli.progress import Lines
from piktid_async.cli.service import service_name
from piktid_async.types import redact_json

Show = Callable[[Notification], None]


def watch(
    show: Show, *, names: Sequence[str] | None, jobs: Sequence[str] | None, most: int | None
) -> None:
    """Show notifications until Ctrl-C, or until there were so many."""

    async def work(session: Session, view: Lines) -> None:
        with _lost_streams_told(view):
            async with AsyncExitStack() as stack:
                with view.waiting("connecting"):
                    # A feed waits for the stream for ever: who cannot have one is told here.
                    async for _ in session.outstanding():
                        break
                    feed = await stack.enter_async_context(session.notifications(names, jobs))
                view.note(f"watching {service_name()}; Ctrl-C ends it")
                left = most
                async for note in feed:
                    with view.aside():
                        show(note)
                    left = None if left is None else left - 1
                    if left == 0:
                        return

    try:
        ask(work, stopped=lambda: "Stopped.", ack="never")
    except Trouble as error:
        if error.code not in (Exit.INTERRUPTED, Exit.TERMINATED):
            raise


def line_of(note: Notification) -> str:
    """Tell a notification to people."""
    # A ping may have no time.
    at = datetime.fromtimestamp(note.timestamp or time.time()).astimezone()
    job = f"job {note.job_id}" if note.job_id else "-"
    return clean(f"{at:%H:%M:%S}  {note.name:<22} {job}  {_words(note)}")


def json_of(note: Notification) -> dict[str, Any]:
    """Tell a notification to programs; links are cut before their signatures."""
    return {
        "id": note.id,
        "name": note.name,
        "timestamp": note.timestamp,
        "job_id": note.job_id,
        "data": redact_json(dict(note.data)),
    }


def _words(note: Notification) -> str:
    match note.payload:
        case BatchEdit(status=status, processed_images=done, total_images=total, error_message=why):
            count = f" {done}/{total}" if done is not None and total is not None else ""
            return f"{status}{count}{f': {why}' if why else ''}"
        case ImageResult(image_index=image, group_index=group, status=status, error_message=why):
            return f"picture {image}, variation {group}: {status}{f': {why}' if why else ''}"
        case IdentityPreprocessing(identity_code=code, status=status, error_message=why):
            return f"identity {code or '?'}: {status or '?'}{f': {why}' if why else ''}"
    return str(redact_json(dict(note.data)))


class _Telling(logging.Handler):
    def __init__(self, view: Lines) -> None:
        super().__init__(logging.INFO)
        self._view = view

    def emit(self, record: logging.LogRecord) -> None:
        self._view.note(record.getMessage(), style="yellow")


@contextmanager
def _lost_streams_told(view: Lines) -> Iterator[None]:
    """Say when the event stream is lost; the session goes back to it by itself."""
    log, telling = logging.getLogger("piktid_async.stream"), _Telling(view)
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(telling)
    try:
        yield
    finally:
        log.removeHandler(telling)
        log.setLevel(before)
