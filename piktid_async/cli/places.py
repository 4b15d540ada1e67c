"""Where a batch is kept: a journal on this machine, or a database for many."""

from __future__ import annotations

import shlex
from pathlib import Path

import attrs

from piktid_async.batch.stores import DEFAULT_NAME, is_database
from piktid_async.cli.errors import Trouble, clean
from piktid_async.cli.inputs import shown


@attrs.frozen
class Place:
    """One batch."""

    journal: Path | None
    database: str | None = attrs.field(default=None, repr=False)
    name: str = DEFAULT_NAME

    @property
    def title(self) -> str:
        """What it is called."""
        return shown(self.journal) if self.journal is not None else clean(f"batch {self.name}")

    @property
    def argument(self) -> str:
        """How a command names it; a database without its password."""
        if self.journal is not None:
            return shlex.quote(str(self.journal))
        return f"--database URL --name {shlex.quote(clean(self.name))}"


def place_of(journal: Path | None, database: str | None, name: str) -> Place:
    """Choose; a journal that is named counts more than a database of the environment."""
    if journal is not None:
        return Place(journal)
    return in_database(database, name)


def in_database(database: str | None, name: str) -> Place:
    """Check the URL, which stays unknown to all messages."""
    if not database:
        raise Trouble("Name a journal, or --database URL (or set PIKTID_DATABASE).")
    if not is_database(database):
        raise Trouble("--database: give a URL like postgresql://host/name.")
    if not name.strip():
        raise Trouble("--name: the name is empty.")
    return Place(None, database, name)
