"""Which journal a batch has: a file on this machine, or a database for many."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from piktid_async.batch.products import safe_name
from piktid_async.batch.sqlite import SqliteStore
from piktid_async.errors import ConfigurationError

if TYPE_CHECKING:
    from piktid_async.batch.postgres import PostgresStore

AnyStore: TypeAlias = "SqliteStore | PostgresStore"

DEFAULT_NAME = "default"


def is_database(journal: str | PathLike[str]) -> bool:
    """Tell a database's URL from a path."""
    return isinstance(journal, str) and journal.startswith(("postgresql://", "postgres://"))


def store_for(journal: str | PathLike[str], name: str | None) -> AnyStore:
    """Return the journal, not open yet; raises `ConfigurationError`."""
    if is_database(journal):
        return database_store(str(journal), DEFAULT_NAME if name is None else name)
    if name is not None:
        raise ConfigurationError("name is for batches in a database: a file holds one batch")
    return SqliteStore(Path(journal))


def database_store(url: str, name: str, *, make: bool = True) -> PostgresStore:
    """Return a batch of a database, not open yet; raises `ConfigurationError`."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigurationError(f"name must be a non-empty text, not {name!r}")
    try:
        from piktid_async.batch.postgres import PostgresStore
    except ImportError as error:
        raise ConfigurationError(
            "a batch in a database needs psycopg: pip install 'piktid-async[postgres]'"
        ) from error
    return PostgresStore(url, name, make=make)


def results_directory(journal: str | PathLike[str], name: str | None) -> Path:
    """Return where results go unless told otherwise."""
    if is_database(journal):
        return Path(safe_name(name or DEFAULT_NAME))
    path = Path(journal)
    directory = path.with_suffix("")
    return path.with_name(path.name + "-results") if directory == path else directory
