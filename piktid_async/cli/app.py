"""The program: its commands in groups, and its own options.

The modules named here hold commands and their options; what a command needs is imported when
it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated, cast

import typer

from piktid_async.cli import account_app, jobs_app, tools_app
from piktid_async.cli.batch_app import batch, estimate, worker
from piktid_async.cli.framing import EXIT_CODES, fail
from piktid_async.cli.verbs.flat_to_model import flat_to_model
from piktid_async.cli.verbs.packshot import packshot
from piktid_async.cli.verbs.play import play
from piktid_async.cli.verbs.recolor import recolor
from piktid_async.cli.verbs.swap import swap
from piktid_async.cli.vtryon_app import vtryon
from piktid_async.version import __version__

MAKE, MANY, JOBS, ACCOUNT, TOOLS = (
    "Make pictures",
    "Many products",
    "Jobs and their pictures",
    "The account",
    "Tools",
)

app: typer.Typer = typer.Typer(
    name="piktid",
    help="Product pictures with the PiktID On-Model API, or with a local sandbox.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"piktid-async {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Hold the options of the program itself."""


def _add_commands() -> None:
    """Give each function its command, in its panel."""
    for panel, commands in {
        MAKE: (tools_app.demo, recolor, packshot, flat_to_model, swap, play),
        MANY: (estimate, worker),
        JOBS: (
            account_app.upload,
            account_app.watch,
            jobs_app.jobs,
            jobs_app.results,
            jobs_app.download,
            jobs_app.zip_,
        ),
        ACCOUNT: (account_app.usage,),
        TOOLS: (tools_app.sandbox, tools_app.doctor),
    }.items():
        for command in commands:
            name = command.__name__.strip("_").replace("_", "-")
            app.command(name, epilog=EXIT_CODES, rich_help_panel=panel)(command)


_add_commands()
app.add_typer(batch, name="batch", rich_help_panel=MANY)
app.add_typer(account_app.identities, name="identities", rich_help_panel=ACCOUNT)
app.add_typer(account_app.webhook, name="webhook", rich_help_panel=ACCOUNT)
app.add_typer(vtryon, name="vtryon", rich_help_panel=TOOLS)

# The base of what is wrong with a command line; typer brings its own, or takes click's.
UsageError: type[Exception] = cast("type[Exception]", typer.BadParameter.__base__)


def run() -> None:
    """Run the command line, and end the program with its exit code."""
    try:
        code = app(prog_name="piktid", standalone_mode=False)
    except typer.Abort:
        code = 130
    except UsageError as error:
        code = _misused(error)
    raise SystemExit(code)


def _misused(error: Exception) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        if context is not None:
            typer.echo(context.get_help(), err=True)
        return 2
    path = context.command_path if context is not None else "piktid"
    words = " ".join(getattr(error, "format_message", error.__str__)().split()).rstrip(".")
    try:
        fail(f"Error: {words}. See `{path} --help`.", 2, as_json="--json" in sys.argv)
    except typer.Exit as ended:
        return ended.exit_code
