"""Which engine brings tasks to workers, and its tables; another one would be chosen here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Protocol

from piktid_async.errors import ConfigurationError


class Engine(Protocol):
    """Brings the tasks of one batch to a worker, at least once each."""

    async def work(self, step: Callable[[str, str], Awaitable[None]]) -> None:
        """Hand tasks and their products to a step until cancelled; then finish those in hand.

        A task whose step raises is brought again; so is that of a worker that has died.
        """


async def set_up(database: str) -> None:
    """Make what the engine needs in the database, where it is not there yet.

    From then on the ledger's steps put their tasks there, too. Raises `ConfigurationError`.
    """
    from piktid_async.coordination.postgres_line import Line, Schema, checked_database

    try:
        tables = files("procrastinate.sql").joinpath("schema.sql").read_text("utf-8")
    except ImportError as error:
        raise ConfigurationError(
            "a queue needs procrastinate: pip install 'piktid-async[postgres]'"
        ) from error
    ours = files("piktid_async.batch").joinpath("engine_procrastinate.sql").read_text("utf-8")
    text = f"SET LOCAL search_path = piktid_queue;\n{tables}\n{ours}"
    line = Line(
        checked_database(database), Schema("piktid_queue", "engine", 1, "the queue", lambda: text)
    )
    try:
        await line.call("SELECT")
    finally:
        await line.aclose()


async def engine_for(database: str, name: str, *, heartbeat: float, stale: float) -> Engine:
    """Return the engine for one batch, set up. Raises `ConfigurationError`."""
    await set_up(database)
    from piktid_async.batch.engine_procrastinate import ProcrastinateEngine

    return ProcrastinateEngine(database, name, heartbeat=heartbeat, stale=stale)
