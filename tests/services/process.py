"""What a test may measure of its own process."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def open_files() -> list[str]:
    """List the regular files that are open, by path."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            path = str(descriptor.readlink())
        except FileNotFoundError:  # the descriptor that lists the others
            continue
        if path.startswith("/") and not path.startswith(("/dev/", "/proc/")):
            found.append(path)
    return sorted(found)


def descriptors() -> int:
    """Count open descriptors of every kind."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    """Return the resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def threads() -> int:
    """Count the threads."""
    return threading.active_count()


def tasks(name: str) -> list[str]:
    """List this loop's tasks whose name begins so."""
    return [each.get_name() for each in asyncio.all_tasks() if each.get_name().startswith(name)]


async def turns(condition: Callable[[], bool], most: int = 1000) -> None:
    """Let the loop turn until something holds that no event tells of."""
    for _ in range(most):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to hold")
