"""The state of a sandbox in a folder, so that it outlives the process.

What has changed is written in one transaction before anything that follows from it leaves the
process: an answer, a notification. A process that is killed loses nothing that it has told.
"""

from __future__ import annotations

import asyncio
import io
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs

_FORMAT = 1
_PARTS = "part"
_PLAIN = frozenset({"set", "frozenset"})


class StateError(OSError):
    """The folder cannot be used; the text says why, and what to do."""


@attrs.frozen
class _Part:
    get: Callable[[], Any]
    put: Callable[[Any], None]


class Ledger:
    """Remembers objects by kind and key, or nothing at all as long as it has no folder."""

    def __init__(self) -> None:
        self._database: sqlite3.Connection | None = None
        self._changed: dict[tuple[str, str], Callable[[], Any] | None] = {}
        self._parts: dict[str, _Part] = {}

    def keep(self, name: str, get: Callable[[], Any], put: Callable[[Any], None]) -> None:
        """Keep something small that is written as a whole; `put` is given what was read."""
        self._parts[name] = _Part(get, put)

    def open(self, folder: Path) -> None:
        """Read what is there; raise `StateError` if it is in use or not to be read."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"{folder} cannot be made ({error.strerror}).") from error
        database = sqlite3.connect(folder / "state.sqlite", timeout=0)
        try:
            # Readers are locked out, too: two servers on one state would tear it apart.
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS objects "
                "(kind TEXT, key TEXT, object BLOB, PRIMARY KEY (kind, key))"
            )
            (found,) = database.execute("PRAGMA user_version").fetchone()
            if found not in (0, _FORMAT):
                raise StateError(
                    f"The state in {folder} is of another version: choose another folder."
                )
            database.execute(f"PRAGMA user_version={_FORMAT}")
            database.commit()
        except sqlite3.Error as error:
            database.close()
            raise StateError(
                f"The state in {folder} cannot be used ({error}): "
                "end the sandbox that runs on it, or choose another folder."
            ) from error
        except BaseException:
            database.close()
            raise
        self._database = database
        for name, value in self.load(_PARTS).items():
            if name in self._parts:
                self._parts[name].put(value)

    def load(self, kind: str) -> dict[str, Any]:
        """Return all objects of a kind, in the order in which they were first saved."""
        if self._database is None:
            return {}
        rows = self._database.execute(
            "SELECT key, object FROM objects WHERE kind = ? ORDER BY rowid", (kind,)
        )
        try:
            return {key: _Reader(io.BytesIO(blob)).load() for key, blob in rows}
        except Exception as error:  # whatever a strange pickle raises
            raise StateError(
                f"The state cannot be read ({error}): choose another folder."
            ) from error

    def save(self, kind: str, key: object, value: Any) -> None:
        """Write an object, as it will be when the present step of the loop is done."""
        self._change(kind, key, lambda: value)

    def drop(self, kind: str, key: object) -> None:
        """Forget an object."""
        self._change(kind, key, None)

    def touch(self, part: str | None = None) -> None:
        """Write one part anew, or all of them."""
        for name in self._parts if part is None else (part,):
            self._change(_PARTS, name, self._parts[name].get)

    def commit(self) -> None:
        """Write what has changed."""
        if self._database is None or not self._changed:
            return
        changed, self._changed = self._changed, {}
        with self._database:
            for (kind, key), get in changed.items():
                if get is None:
                    self._database.execute(
                        "DELETE FROM objects WHERE kind = ? AND key = ?", (kind, key)
                    )
                    continue
                self._database.execute(
                    "INSERT INTO objects VALUES (?, ?, ?) "
                    "ON CONFLICT (kind, key) DO UPDATE SET object = excluded.object",
                    (kind, key, pickle.dumps(get(), protocol=5)),
                )

    def close(self) -> None:
        """Write the rest, and let go of the folder."""
        if self._database is not None:
            self.touch()
            self.commit()
            self._database.close()
            self._database = None

    def _change(self, kind: str, key: object, get: Callable[[], Any] | None) -> None:
        if self._database is None:
            return
        if not self._changed:
            with suppress(RuntimeError):  # without a loop, `commit` is called by hand
                asyncio.get_running_loop().call_soon(self.commit)
        self._changed[kind, str(key)] = get


class _Reader(pickle.Unpickler):
    """Reads the sandbox's own values: a folder that somebody else has filled runs nothing."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("piktid_async.sandbox.") or (module == "builtins" and name in _PLAIN):
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a state")
