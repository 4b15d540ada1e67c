"""Rows as tables keep them: texts and numbers, with JSON for what is neither."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from piktid_async.batch.ledger import Row, SavedFile, State

COLUMNS: tuple[str, ...] = tuple(field.name for field in attrs.fields(Row))
JSON_COLUMNS = frozenset({"images", "input_ids", "result", "files", "error"})
NUMBERS = frozenset({"seq", "attempt", "total_outputs", "made", "missed"})
REALS = frozenset({"estimate", "credits_used", "sunk"})


def values(row: Row) -> tuple[Any, ...]:
    """Return a row's values in the order of `COLUMNS`."""
    return tuple(_out(name, getattr(row, name)) for name in COLUMNS)


def row_of(found: Sequence[Any]) -> Row:
    """Build a row from its values in the order of `COLUMNS`."""
    told = dict(zip(COLUMNS, found, strict=True))
    told["state"] = State(told["state"])
    for name in JSON_COLUMNS:
        if told[name] is not None:
            told[name] = _in(name, json.loads(told[name]))
    return Row(**told)


def _out(name: str, value: Any) -> Any:
    if name == "state":
        return value.value
    if name not in JSON_COLUMNS or value is None:
        return value
    plain = [attrs.asdict(each) for each in value] if name == "files" else value
    return json.dumps(plain, separators=(",", ":"))


def _in(name: str, plain: Any) -> Any:
    if name == "files":
        return tuple(SavedFile(**each) for each in plain)
    return tuple(plain) if name in ("images", "input_ids") else plain
