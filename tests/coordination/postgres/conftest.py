"""Coordinators on a real PostgreSQL, and a look into it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from piktid_async import AccountLimits
from piktid_async.coordination.postgres import PostgresCoordinator

NOTHING_HELD_BACK = AccountLimits.unlimited()


@pytest.fixture
async def sql(database: str) -> AsyncIterator[Callable[..., object]]:
    """Look into the database, past the package."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:

        async def execute(statement: str, *values: object) -> list[tuple[object, ...]]:
            cursor = await connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

        yield execute


@pytest.fixture
def account() -> str:
    """One that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture
async def make_coordinator(
    database: str, account: str
) -> AsyncIterator[Callable[..., PostgresCoordinator]]:
    made: list[PostgresCoordinator] = []

    def make(limits: AccountLimits = NOTHING_HELD_BACK, **options: object) -> PostgresCoordinator:
        chosen = {"account": account, "limits": limits, **options}
        made.append(PostgresCoordinator(database, **chosen))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for coordinator in made:
        await coordinator.close()
