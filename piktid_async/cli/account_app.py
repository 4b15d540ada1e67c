"""`piktid upload`, `watch`, `identities`, `usage` and `webhook`: the commands and their options."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from piktid_async.cli.framing import EXIT_CODES, in_one_sentence, tell, tell_table
from piktid_async.cli.options import JsonLinesOption, JsonOption, PathsArgument

if TYPE_CHECKING:
    from piktid_async import Notification

DAYS = ["%Y-%m-%d"]

identities: typer.Typer = typer.Typer(
    help="The people that pictures are made of.", epilog=EXIT_CODES
)
webhook: typer.Typer = typer.Typer(
    help="The account's one webhook.", epilog=EXIT_CODES, no_args_is_help=True
)

SearchOption = Annotated[str | None, typer.Option(help="Only names that fit.")]
LimitOption = Annotated[int, typer.Option(min=1, help="How many at most.")]
CountOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="End after so many; else with Ctrl-C.")
]


def upload(paths: PathsArgument, as_json: JsonOption = False) -> None:
    """Upload pictures, and print the ids that programs and other tools name them by.

    Costs no credits. Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_service
        from piktid_async.cli.sending import send

        check_service(sandbox=False)
        sent = send(paths)
        tell(sent.as_json() if as_json else sent.lines())
        raise typer.Exit(sent.code)


def watch(
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help='Only these, such as "image_result"; repeatable.'),
    ] = None,
    job: Annotated[
        list[str] | None, typer.Option(metavar="JOB", help="Only of these jobs; repeatable.")
    ] = None,
    count: CountOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Show every event of the account as it comes, until Ctrl-C.

    Begins with those of the last ten minutes that nobody has acknowledged, and acknowledges
    none. Costs no credits. Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.watching import watch as follow

        follow(lambda note: _show(note, as_json=as_json), names=name, jobs=job, most=count)


@identities.callback(invoke_without_command=True, epilog=EXIT_CODES)
def list_identities(
    context: typer.Context,
    search: SearchOption = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List the people that pictures are made of, or add one. Costs no credits.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    if context.invoked_subcommand is not None:
        return
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import listings

        found = listings.identities(search=search, limit=limit)
        if as_json:
            tell(listings.identities_json(found))
            return
        if found:
            tell_table(listings.identities_table(found))
        typer.echo(listings.how_many(len(found), limit, "identity"), err=True)


@identities.command("add", epilog=EXIT_CODES)
def add_identity(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture of one person.")],
    name: Annotated[str | None, typer.Option(help="Its name; else the file's.")] = None,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longest wait for the preparation.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an identity of a picture, wait until it can be used, and print its code.

    Takes one of the account's slots, if there is none of that name yet. Uses PIKTID_API_TOKEN
    and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import listings
        from piktid_async.cli.needs import check_service

        check_service(sandbox=False)
        made = listings.add_identity(picture, name=name, timeout=timeout)
        tell(listings.identities_json([made]) if as_json else [made.identity_code])


def usage(
    since: Annotated[
        datetime | None, typer.Option(formats=DAYS, metavar="DATE", help="First day, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=DAYS, metavar="DATE", help="Last day, in UTC.")
    ] = None,
    by: Annotated[Literal["day", "week", "month"], typer.Option(help="Summed up by.")] = "day",
    as_json: JsonOption = False,
) -> None:
    """Show the credits that were used; what is left only the web app tells.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import listings

        found = listings.usage(since=since, until=until, resolution=by)
        if as_json:
            tell(listings.usage_json(found))
        else:
            tell_table(listings.usage_table(found))


@webhook.command("register", epilog=EXIT_CODES)
def register(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to post: https.")],
    as_json: JsonOption = False,
) -> None:
    """Have all notifications of the account posted to URL, and print the new secret, once.

    Replaces the webhook that was there: its secret is void at once. The secret is stored
    nowhere. Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import hooks

        made = hooks.register(url)
        tell(hooks.registration_json(made) if as_json else [made.secret])
        typer.echo(hooks.WARNING, err=True)


@webhook.command("listen", epilog=EXIT_CODES)
def listen(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8081,
    count: CountOption = None,
    as_json: JsonLinesOption = False,
) -> None:
    """Receive webhooks, and show those that are signed with the secret, until Ctrl-C.

    Uses PIKTID_WEBHOOK_SECRET, and needs no token. What is posted must reach this machine: on
    the internet that takes a tunnel or a proxy with TLS.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli import hooks

        hooks.listen(lambda note: _show(note, as_json=as_json), host=host, port=port, most=count)


def _show(note: Notification, *, as_json: bool) -> None:
    from piktid_async.cli.watching import json_of, line_of

    tell([json.dumps(json_of(note)) if as_json else line_of(note)])
