"""`piktid demo`, `sandbox` and `doctor`: the commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from piktid_async.cli.framing import console_on, in_one_sentence, tell
from piktid_async.cli.options import JsonOption


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the photos and the page.")] = Path(
        "piktid-demo"
    ),
    to: Annotated[str, typer.Option(help='The new colour: a name or "#2E5A3B".')] = "forest green",
    count: Annotated[int, typer.Option(min=1, max=50, help="Sample photos to draw.")] = 6,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page, where there is a desktop.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Recolor sample photos on a local sandbox and leave a before/after page. Needs no token."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_sandbox

        check_sandbox()
        from piktid_async.cli.demo import run_demo, show_in_browser
        from piktid_async.cli.work import tell_report

        report = run_demo(out=out, color=to, count=count, console=console_on(err=True))
        tell_report(report, as_json=as_json)
        if show and report.page:
            show_in_browser(report.page)
        raise typer.Exit(report.code)


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 0,
    token: Annotated[str, typer.Option(help="The only token it accepts.")] = "sandbox-token",
    limits: Annotated[
        bool, typer.Option("--limits/--no-limits", help="Keep the documented account limits.")
    ] = True,
    seconds_per_image: Annotated[
        float, typer.Option(min=0, help="How long one result takes.")
    ] = 0.3,
    drawing: Annotated[
        bool,
        typer.Option(
            "--drawing/--no-drawing", help="Draw results; else each is one small plain picture."
        ),
    ] = True,
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep everything in this folder and go on there."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help='Such as "acks_fail=3" or "reset_after=5%".'),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print addresses and keys as JSON on standard output.")
    ] = False,
) -> None:
    """Run a local server that behaves like the service, until Ctrl-C."""
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_sandbox
        from piktid_async.cli.serve import serve

        check_sandbox()
        serve(
            host=host,
            port=port,
            token=token,
            limits=limits,
            seconds_per_image=seconds_per_image,
            drawing=drawing,
            state=state,
            faults=fault or (),
            as_json=as_json,
            console=console_on(err=False),
        )


def doctor(as_json: JsonOption = False) -> None:
    """Look at token, network, TLS, clock, proxies, limits and versions, and say what to do.

    Exit code 0 if a run can begin, 1 if something may get in its way, 2 if the token is missing or
    malformed or the address is wrong, 3 if the service cannot be reached or refuses the token. Uses
    PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL and PIKTID_PROXY. Costs no credits.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.doctor import Check, examine

        def show(check: Check) -> None:
            if not as_json:
                tell([check.line()])

        found = examine(show)
        if as_json:
            tell(found.as_json())
        raise typer.Exit(found.code)
