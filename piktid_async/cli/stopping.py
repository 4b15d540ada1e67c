"""Ctrl-C and a polite kill: the first ends the work in good order, the second at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from piktid_async.cli.errors import Exit, Trouble

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T], stopped: Callable[[], str]) -> T:
    """Run it in a loop of its own; when it is stopped, raise a `Trouble` with what is told."""
    ending = Exit.INTERRUPTED

    def terminated(number: int, frame: FrameType | None) -> None:
        nonlocal ending
        ending = Exit.TERMINATED
        # What asyncio does at Ctrl-C: first it cancels, then it breaks off.
        interrupted = signal.getsignal(signal.SIGINT)
        if not callable(interrupted):  # a shell's background job ignores Ctrl-C
            raise KeyboardInterrupt
        interrupted(number, frame)

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        # The process is about to end; what is told now must not be lost to an impatient third.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise Trouble(stopped(), ending) from None
    finally:
        signal.signal(signal.SIGTERM, before)
