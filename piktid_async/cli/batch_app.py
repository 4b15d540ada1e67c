"""`piktid batch` and `piktid estimate`: the commands and their options."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from piktid_async.cli.framing import EXIT_CODES, console_on, in_one_sentence
from piktid_async.cli.options import ReportOption

DEFAULT_NAME = "default"

batch: typer.Typer = typer.Typer(
    help="Any number of products, with a journal that survives any crash.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)


class Kind(StrEnum):
    """The service's names for the jobs that products can become."""

    RECOLOR = "garment_recolor"
    PACKSHOT = "create_packshot"
    FLAT_TO_MODEL = "flat_2_model"
    SWAP = "model_swap"
    PLAYGROUND = "edit_chat"


SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SOURCE",
        help="A CSV with the columns key and images (several parted by ;), JSON Lines with the "
        "same fields, or a folder: each folder in it that holds pictures is a product.",
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option(help='The new colour: a name or "#2E5A3B"; "{colour}" takes it from a column.'),
]
KindOption = Annotated[Kind, typer.Option(help="What every product becomes.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help='A setting of the kind, such as "processing_size=1024"; JSON where it is no text; '
        '"{column}" is replaced by each row\'s; repeatable.',
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")
]
LimitsOption = Annotated[
    bool, typer.Option("--limits/--no-limits", help="Keep the documented account limits.")
]
JournalArgument = Annotated[
    Path | None,
    typer.Argument(metavar="[JOURNAL]", help="The batch's journal, unless it is in a database."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="PIKTID_DATABASE",
        show_envvar=False,
        help="PostgreSQL where the batch is kept for many workers; else PIKTID_DATABASE.",
    ),
]
NameOption = Annotated[str, typer.Option(help="Which batch in the database.")]


@batch.command("run", epilog=EXIT_CODES)
def run_batch(
    source: SourceArgument,
    out: Annotated[Path, typer.Option(help="Folder for the results, a folder a product.")],
    journal: Annotated[
        Path | None, typer.Option(help="File that remembers every step; the same one goes on.")
    ] = None,
    database: DatabaseOption = None,
    name: NameOption = DEFAULT_NAME,
    to: ToOption = None,
    kind: KindOption = Kind.RECOLOR,
    settings: SetOption = None,
    max_credits: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, help="Submit nothing that would pass it, over all runs."),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Project at the service, made if need be; else one for this journal."),
    ] = None,
    limits: LimitsOption = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell counts, credits and time; send nothing.")
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option(
            "--sandbox", help="Use a local sandbox, which goes on in a folder by the journal."
        ),
    ] = False,
    report: ReportOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the pictures of every product in SOURCE, and save them.

    Stopped or crashed, it goes on when it is run again: nothing is paid twice. Uses
    PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox.
    With --database the products are put into a queue for `piktid worker`, on any machines that
    see the same files, and their progress is shown until all is done.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_sandbox, check_service

        if not dry_run:
            (check_sandbox if sandbox else check_service)()
        from piktid_async.cli.batch import carry_out, place_order
        from piktid_async.cli.errors import Trouble
        from piktid_async.cli.places import in_database
        from piktid_async.cli.products import find_products

        if journal is not None and _on_the_line(database):
            raise Trouble("Give --journal or --database, not both.")
        if journal is None and not limits and not sandbox and not dry_run:
            raise Trouble("--no-limits is for the workers that submit: piktid worker --no-limits.")
        products = find_products(source, kind=kind.value, to=to, settings=settings or ())
        if journal is None and not sandbox and not dry_run:
            from piktid_async.cli.batch_queue import enqueue

            queued = enqueue(
                products,
                in_database(database, name),
                out=out,
                project=project,
                max_credits=max_credits,
                console=console_on(err=True),
            )
            _print(queued.as_json() if as_json else queued.lines())
            raise typer.Exit(queued.code)
        if journal is None:
            raise Trouble("--journal: --sandbox and --dry-run need one.")
        order = place_order(
            products,
            journal=journal,
            out=out,
            project=project,
            max_credits=max_credits,
            limits=limits,
            page=report,
        )
        if dry_run:
            from piktid_async.cli.batch_plan import forecast

            told = forecast(products, journal=journal, limits=limits, max_credits=max_credits)
            _print(told.as_json() if as_json else told.lines())
            raise typer.Exit(told.code)
        done = carry_out(order, sandbox=sandbox, console=console_on(err=True))
        _print(done.as_json() if as_json else done.lines())
        raise typer.Exit(done.code)


@batch.command("status", epilog=EXIT_CODES)
def status(
    journal: JournalArgument = None,
    database: DatabaseOption = None,
    name: NameOption = DEFAULT_NAME,
    live: Annotated[
        bool, typer.Option("--watch", help="Go on showing it, of a batch in a database.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a batch stands, also while it runs. Sends nothing."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.errors import Trouble
        from piktid_async.cli.journals import read, standing_json, standing_table, watch
        from piktid_async.cli.places import place_of

        place = place_of(journal, database, name)
        if live and (place.journal is not None or as_json):
            raise Trouble("--watch is for a batch in a database, and without --json.")
        if live:
            watch(place, console_on(err=False))
            return
        standing = read(place)
        if as_json:
            _print(standing_json(standing))
        else:
            console_on(err=False).print(standing_table(standing, place))


@batch.command("doubts", epilog=EXIT_CODES)
def doubts(
    journal: JournalArgument = None,
    database: DatabaseOption = None,
    name: NameOption = DEFAULT_NAME,
    as_json: JsonOption = False,
) -> None:
    """List the submissions that may have made a job. Sends nothing."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.journals import doubts_json, doubts_lines, read
        from piktid_async.cli.places import place_of

        place = place_of(journal, database, name)
        standing = read(place)
        _print(doubts_json(standing) if as_json else doubts_lines(standing, place))


@batch.command("settle", epilog=EXIT_CODES)
def settle(
    which: Annotated[
        list[str],
        typer.Argument(
            metavar="[JOURNAL] KEY",
            help="The batch's journal, unless it is in a database; and the product in doubt.",
        ),
    ],
    job: Annotated[
        str | None, typer.Option(metavar="ID", help="This job is the product's.")
    ] = None,
    resubmit: Annotated[
        bool,
        typer.Option(
            "--resubmit", help="There is no job: submit it again. If there is, it is paid twice."
        ),
    ] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="Count it as failed.")] = False,
    database: DatabaseOption = None,
    name: NameOption = DEFAULT_NAME,
    as_json: JsonOption = False,
) -> None:
    """End a doubt by what you know; the next run goes on with it. Sends nothing."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.errors import Trouble
        from piktid_async.cli.journals import settle as settled
        from piktid_async.cli.places import place_of

        *journals, key = which
        if len(journals) > 1:
            raise Trouble("Give one journal and one key; or a key and --database.")
        place = place_of(Path(journals[0]) if journals else None, database, name)
        told = settled(place, key, job=job, resubmit=resubmit, give_up=give_up)
        _print({"ok": True, "exit_code": 0, "key": key, "told": told} if as_json else [told])


def worker(
    database: DatabaseOption = None,
    name: NameOption = DEFAULT_NAME,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results; else the one of `batch run`.")
    ] = None,
    active_jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Jobs at once that the account allows, if not 5."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Submissions a minute that it allows for each kind, if not the documented ones.",
        ),
    ] = None,
    limits: LimitsOption = True,
) -> None:
    """Make what `piktid batch run --database` has put into a queue, until Ctrl-C.

    Any number of workers, on any machines, share the account's limits: give them all the same.
    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits.
    """
    with in_one_sentence():
        from piktid_async.cli.needs import check_service
        from piktid_async.cli.places import in_database

        place = in_database(database, name)
        check_service()
        from piktid_async.cli.batch_queue import limits_of, work

        allowed = limits_of(kept=limits, active_jobs=active_jobs, per_minute=per_minute)
        work(place, out=out, limits=allowed, console=console_on(err=True))


def estimate(
    source: SourceArgument,
    to: ToOption = None,
    kind: KindOption = Kind.RECOLOR,
    settings: SetOption = None,
    limits: LimitsOption = True,
    as_json: JsonOption = False,
) -> None:
    """Tell what a batch of SOURCE would cost, in credits and in time. Sends nothing."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.batch_plan import forecast
        from piktid_async.cli.products import find_products

        products = find_products(source, kind=kind.value, to=to, settings=settings or ())
        told = forecast(products, limits=limits)
        _print(told.as_json() if as_json else told.lines())
        raise typer.Exit(told.code)


def _on_the_line(database: str | None) -> bool:
    return database is not None and database != os.environ.get("PIKTID_DATABASE")


def _print(told: object) -> None:
    if isinstance(told, dict):
        typer.echo(json.dumps(told, indent=2))
        return
    assert not isinstance(told, str)
    for line in told:  # type: ignore[attr-defined]  # lines, one by one
        typer.echo(line)
