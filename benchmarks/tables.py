"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

WIDTH = 11
BESIDE = 24


def line(cells: Sequence[object]) -> str:
    """Set one row of a table that is printed as it grows."""
    return "  ".join(str(cell).rjust(WIDTH) for cell in cells)


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Set rows under their head, everything to the right."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def side_by_side(found: Sequence[attrs.AttrsInstance], *more: tuple[str, Sequence[object]]) -> str:
    """Set books of one kind beside each other, a line for each of their fields, then `more`."""
    fields = [field.name for field in attrs.fields(type(found[0]))]
    rows = [(name, [getattr(books, name) for books in found]) for name in fields]
    lines = []
    for name, values in (*rows, *more):
        told = [f"{value:.0f}" if isinstance(value, float) else str(value) for value in values]
        lines.append(f"{name.replace('_', ' '):{BESIDE}}" + "".join(f"{x:>{BESIDE}}" for x in told))
    return "\n".join(lines)
