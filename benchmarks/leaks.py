"""What a program leaves behind: descriptors, tasks and futures, counted before and after."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

DESCRIPTORS = Path("/proc/self/fd")


def open_descriptors() -> Counter[str]:
    """Count the open descriptors by what they are; sockets and pipes are all alike."""
    found: Counter[str] = Counter()
    for entry in DESCRIPTORS.iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # the one that lists the folder
            continue
        found[target.partition(":")[0] if ":[" in target else target] += 1
    return found


def tasks_alive() -> set[str]:
    """Name the tasks of the running loop, but for the one that asks."""
    alive = asyncio.all_tasks() - {asyncio.current_task()}
    return {task.get_name() for task in alive if task is not None}


def futures_waiting() -> int:
    """Count the futures of the running loop on which somebody may still wait; slow."""
    gc.collect()
    loop = asyncio.get_running_loop()
    futures = (each for each in gc.get_objects() if isinstance(each, asyncio.Future))
    return sum(
        not future.done() and not isinstance(future, asyncio.Task) and future.get_loop() is loop
        for future in futures
    )
