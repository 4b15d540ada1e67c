"""The notifications that the processes of an account share, in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import attrs
import orjson

from piktid_async.coordination.base import Item, Page
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.feed import SYNCED, Synced

if TYPE_CHECKING:
    from piktid_async.coordination.postgres_desk import Desk

KEPT = 660.0
"""Seconds that notifications are kept: the service's ten minutes, and one more."""
PAGE = 500
FIELDS = [field.name for field in attrs.fields(WireNotification)]


class PostgresInbox:
    """One reader's view."""

    def __init__(self, account: str, lease: float, desk: Callable[[], Desk]) -> None:
        self.lease = lease
        self._account = account
        self._desk = desk
        self._after = 0
        self._news = False
        self._waiting: asyncio.Future[None] | None = None

    def rang(self) -> None:
        """Hear that something may be new."""
        self._news = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self) -> Page:
        """Return what has come since the last call; first, all that is kept."""
        self._news = False
        found = await self._call(
            "SELECT epoch, until > clock_timestamp(), live FROM piktid.lease WHERE account = %s",
            self._account,
        )
        epoch, held, live = found[0] if found else (0, False, False)
        rows = await self._call(
            "SELECT seq, body FROM piktid.inbox WHERE account = %s AND seq > %s "
            "ORDER BY seq LIMIT %s",
            *(self._account, self._after, PAGE),
        )
        if rows:
            self._after = rows[-1][0]
        return Page(
            [_item(body) for _, body in rows], len(rows) == PAGE, epoch, held, held and live
        )

    async def changed(self, timeout: float) -> None:
        """Wait until something may be new, or time is up."""
        if not self._news:
            self._waiting = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._waiting], timeout=timeout)
            self._waiting = None

    async def lead(self) -> int | None:
        """Take the lead when nobody has it: return the epoch."""
        found = await self._value("lead", uuid4(), self.lease)
        return None if found is None else int(found)

    async def renew(self, epoch: int) -> bool:
        """Keep the lead; False: it is lost."""
        return bool(await self._value("renew", epoch, self.lease, KEPT))

    async def show(self, epoch: int, *, live: bool) -> bool:
        """Tell everybody whether the stream is up."""
        return bool(await self._value("show", epoch, live))

    async def deliver(self, epoch: int, items: Sequence[Item]) -> bool:
        """Append what is new to the log; False: the lead is lost, and nothing was written."""
        ids = [None if isinstance(each, Synced) else _text(each.id) for each in items]
        bodies = [None if isinstance(each, Synced) else _body(each) for each in items]
        return bool(await self._value("deliver", epoch, ids, bodies))

    async def resign(self, epoch: int) -> None:
        """Give the lead up."""
        await self._value("resign", epoch)

    async def orphans(self) -> list[tuple[str, float]]:
        """Take some jobs that hold a slot and are followed by nobody, and their ages in seconds."""
        rows = await self._call("SELECT * FROM piktid.orphans(%s, %s)", self._account, self.lease)
        return [(str(job_id), float(age)) for job_id, age in rows]

    async def _value(self, function: str, *values: object) -> Any:
        places = ", ".join(["%s"] * (len(values) + 1))
        rows = await self._call(f"SELECT piktid.{function}({places})", self._account, *values)
        return rows[0][0]

    async def _call(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return await self._desk().call(statement, *values)


def _text(value: object) -> str:
    # A number and a text are different ids; and no text of JSON holds a NUL.
    return orjson.dumps(value).decode()


def _body(wire: WireNotification) -> str:
    return _text({name: getattr(wire, name) for name in FIELDS})


def _item(body: str | None) -> Item:
    return SYNCED if body is None else WireNotification(**orjson.loads(body))
