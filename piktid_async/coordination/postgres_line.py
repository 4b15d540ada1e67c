"""One connection to PostgreSQL; the only module that imports psycopg."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from importlib.resources import files
from typing import Any, TypeAlias

import attrs
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from piktid_async.errors import ConfigurationError, ConnectionFailedError, ResponseFormatError

_log = logging.getLogger("piktid_async.postgres")

MAKING = 0x70696B746964  # "piktid", as the lock's number
DEFAULTS: dict[str, str | int] = {
    "application_name": "piktid",
    "connect_timeout": 10,
    # A link that died without a word is noticed, and made again.
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

Row = tuple[Any, ...]
Statement: TypeAlias = tuple[str, tuple[object, ...]]
"""One statement, and its values."""


@attrs.frozen
class Schema:
    """Tables and functions, made by whoever needs them first."""

    name: str
    table: str
    """Holds the version."""
    version: int
    """Another one lives in another version of this package."""
    what: str
    text: Callable[[], str] = attrs.field(repr=False)


SHARED_LIMITS = Schema(
    "piktid",
    "coordination",
    1,
    "the shared limits",
    lambda: files("piktid_async.coordination").joinpath("postgres.sql").read_text("utf-8"),
)


def checked_database(url: object) -> dict[str, Any]:
    """Return what to connect with; raise `ConfigurationError` for what is no PostgreSQL URL."""
    if not isinstance(url, str) or not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("the database is named by a text like postgresql://host/name")
    try:
        return {**DEFAULTS, **conninfo_to_dict(url)}
    except psycopg.Error:  # its words may hold the password
        raise ConfigurationError("the database's URL cannot be read") from None


def is_away(error: object) -> bool:
    """Whether a call failed because the connection did, not because of what was asked."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


class Line:
    """One connection, made anew after it was lost; one call at a time.

    `setup` returns what each new connection begins with.
    """

    def __init__(
        self,
        database: dict[str, Any],
        schema: Schema = SHARED_LIMITS,
        setup: Callable[[], Iterable[Statement]] = tuple,
    ) -> None:
        self._database = database
        self._schema = schema
        self._setup = setup
        self._connection: psycopg.AsyncConnection[Row] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def call(self, statement: str, *values: object) -> list[Row]:
        """Execute one statement, in a transaction of its own.

        Raises `ConnectionFailedError` when the database is away or refuses, and
        `ResponseFormatError` for a value that it cannot hold.
        """
        async with self._one_at_a_time:
            try:
                connection = await self._open()
                cursor = await connection.execute(statement.encode(), values)
                return await cursor.fetchall() if cursor.description else []
            except psycopg.DataError as error:
                raise ResponseFormatError("database", _words(error)) from None
            except psycopg.Error as error:
                await self._close()
                raise _failed(error) from None

    async def aclose(self) -> None:
        """Disconnect; the next call connects again."""
        async with self._one_at_a_time:
            await self._close()

    async def bells(self, channel: str) -> AsyncGenerator[str, None]:
        """Listen, and yield an empty text once that is so, then what rings."""
        try:
            connection = await self._open()
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            yield ""
            async with aclosing(connection.notifies()) as rings:
                async for ring in rings:
                    yield ring.payload
        except psycopg.Error as error:
            raise _failed(error) from None
        finally:
            await self._close()

    async def _open(self) -> psycopg.AsyncConnection[Row]:
        found = self._connection
        if found is None or found.closed:
            found = self._connection = await psycopg.AsyncConnection.connect(
                autocommit=True, prepare_threshold=None, **self._database
            )
            # Counting under a lock needs each statement to see what was committed before it.
            await found.execute("SET default_transaction_isolation TO 'read committed'")
            await _make_tables(found, self._schema)
            for statement, values in self._setup():
                await found.execute(statement.encode(), values)
        return found

    async def _close(self) -> None:
        found, self._connection = self._connection, None
        if found is not None:
            await found.close()


async def _make_tables(connection: psycopg.AsyncConnection[Row], schema: Schema) -> None:
    found = await _version(connection, schema)
    if found is None:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING])
            found = await _version(connection, schema)
            if found is None:
                _log.info("making the tables of schema %s", schema.name)
                await connection.execute(_making(schema))
                found = schema.version
    if found != schema.version:
        await connection.close()
        raise ConfigurationError(
            f"the database holds version {found} of {schema.what}, and this is "
            f"{schema.version}: use the same version of piktid-async everywhere"
        )


async def _version(connection: psycopg.AsyncConnection[Row], schema: Schema) -> int | None:
    # Not `to_regclass`: it may remember that there was none, from before the lock was granted.
    cursor = await connection.execute(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        [schema.name, schema.table],
    )
    if await cursor.fetchone() is None:
        return None
    table = sql.Identifier(schema.name, schema.table)
    cursor = await connection.execute(sql.SQL("SELECT version FROM {}").format(table))
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


def _making(schema: Schema) -> bytes:
    return (
        f"CREATE SCHEMA IF NOT EXISTS {schema.name};\n"
        f"CREATE TABLE {schema.name}.{schema.table} AS SELECT {schema.version} AS version;\n"
        f"{schema.text()}"
    ).encode()


def _failed(error: psycopg.Error) -> ConnectionFailedError:
    return ConnectionFailedError("PostgreSQL", _words(error), False)


def _words(error: psycopg.Error) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
