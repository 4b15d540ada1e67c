"""One defect for each check of the books: a check that misses its own is worth nothing."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from chaos_items import Item
from chaos_weather import Weather

from piktid_async import Session

_kept: list[object] = []


async def spoil(
    session: Session, items: list[Item], weather: Weather, delivered: Counter[int]
) -> None:
    """Do what a careless program does."""
    saved = [path for item in items for gen in item.generations for path in gen.saved]
    altered, lost = saved[0], saved[1]
    altered.write_bytes(altered.read_bytes()[:-1])
    lost.unlink()
    items[-1].sources[0].write_bytes(b"another picture")
    (altered.parent / ".piktid-half.part").touch()
    foreign = weather.speak_of_others()
    await session.request("DELETE", f"/notifications/{foreign}")
    delivered[foreign] += 1
    _kept.append(asyncio.create_task(asyncio.Event().wait(), name="a task that nobody ends"))
    _kept.append(asyncio.get_running_loop().create_future())
    _kept.append(os.open(os.devnull, os.O_RDONLY))
