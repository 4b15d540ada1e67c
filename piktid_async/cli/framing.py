"""What every command has around it: exit codes, consoles, and trouble told in one sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

EXIT_CODES = """
Exit codes: 0 all is well; 1 some pictures or jobs failed; 2 the command line or the configuration
is wrong and nothing was sent; 3 the service or the network refused; 130 Ctrl-C,
143 a kill.
"""


def console_on(*, err: bool) -> Console:
    """Return a console on standard error, or on standard output."""
    from rich.console import Console

    return Console(stderr=err)


@contextmanager
def in_one_sentence(*, as_json: bool = False) -> Iterator[None]:
    """Turn trouble into one sentence on standard error, and its exit code."""
    from piktid_async.cli.errors import Exit, Trouble

    try:
        yield
    except KeyboardInterrupt:
        _fail("Stopped.", Exit.INTERRUPTED, as_json=as_json)
    except Trouble as error:
        _fail(str(error), error.code, as_json=as_json)


def _fail(sentence: str, code: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": False, "exit_code": int(code), "error": sentence}, indent=2))
    sys.stdout.flush()
    typer.echo(sentence, err=True)
    raise typer.Exit(int(code))
