"""What every command has around it: exit codes, consoles, and trouble told in one sentence."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

NARROW = 72
"""Columns below which a table is told as lines."""
WIDE = 240
"""Columns of a table that goes into a file or a pipe."""
EXIT_CODES = (
    "Exit codes: 0 all is well; 1 something failed or is not complete; 2 the command line or the "
    "configuration is wrong, and nothing was sent; 3 the service or the network refused; "
    "130 Ctrl-C; 143 a kill."
)


def console_on(*, err: bool) -> Console:
    """Return a console on standard error, or on standard output."""
    from rich.console import Console

    return Console(stderr=err)


@contextmanager
def in_one_sentence(*, as_json: bool = False) -> Iterator[None]:
    """Turn trouble into one sentence on standard error, and its exit code."""
    from piktid_async.cli.errors import Exit, Trouble, trouble_from
    from piktid_async.errors import PiktidError

    try:
        yield
    except KeyboardInterrupt:
        fail("Stopped.", Exit.INTERRUPTED, as_json=as_json)
    except Trouble as error:
        fail(str(error), error.code, as_json=as_json, **error.details)
    except (PiktidError, OSError) as error:
        trouble = trouble_from(error)
        fail(str(trouble), trouble.code, as_json=as_json)


def tell(told: Mapping[str, Any] | Iterable[str]) -> None:
    """Print an outcome: a mapping as one JSON document, anything else line by line."""
    text = json.dumps(told, indent=2) if isinstance(told, Mapping) else "\n".join(told)
    with to_standard_output():
        if text:
            typer.echo(text)


def tell_table(rows: Table) -> None:
    """Print a table, in full where nobody looks at it."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    with to_standard_output():
        if console.width >= NARROW:
            console.print(rows)
            return
        for text in _stacked(rows):
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _stacked(rows: Table) -> Iterator[str]:
    """Tell a table without columns: each row as lines, and what stands under them all."""
    for cells in zip(*(column.cells for column in rows.columns), strict=True):
        told = zip(rows.columns, cells, strict=True)
        yield "\n".join(f"{column.header}: {cell}" for column, cell in told if cell) + "\n"
    if rows.show_footer:
        yield "\n".join(f"{each.header}: {each.footer}" for each in rows.columns if each.footer)


@contextmanager
def to_standard_output() -> Iterator[None]:
    """Turn a full disk behind standard output into trouble."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:  # `piktid jobs | head`: whoever reads has had enough
        _drop_output()
        raise typer.Exit(0) from None
    except OSError as error:
        from piktid_async.cli.errors import Exit, Trouble

        _drop_output()
        raise Trouble(
            f"Cannot write to standard output ({error.strerror}): send it somewhere else.",
            Exit.INCOMPLETE,
        ) from error


def _drop_output() -> None:
    """Let the rest go nowhere: Python would complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(sentence: str, code: int, *, as_json: bool, **details: Any) -> NoReturn:
    """Say what is wrong and end the program."""
    from piktid_async.cli.errors import Trouble

    if as_json:
        with suppress(Trouble):
            tell({"ok": False, "exit_code": int(code), "error": sentence, **details})
    typer.echo(sentence, err=True)
    raise typer.Exit(int(code))
