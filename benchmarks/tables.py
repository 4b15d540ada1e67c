"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 11


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
