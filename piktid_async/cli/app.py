"""The commands and their options. Everything heavy is imported when a command runs."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piktid_async.cli.batch_app import batch, estimate, worker
from piktid_async.cli.framing import EXIT_CODES, console_on, in_one_sentence
from piktid_async.version import __version__

if TYPE_CHECKING:
    from piktid_async.cli.report import Report

app: typer.Typer = typer.Typer(
    name="piktid",
    help="Recolor garments in product photos, with the PiktID On-Model API or a local sandbox.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


vtryon: typer.Typer = typer.Typer(
    help="Vtryon's Recolor API, for images that Vtryon has made.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)
app.add_typer(batch, name="batch")
app.command(epilog=EXIT_CODES)(estimate)
app.command(epilog=EXIT_CODES)(worker)
app.add_typer(vtryon, name="vtryon")


class Quality(StrEnum):
    """Size of a Vtryon result."""

    two = "2k"
    four = "4k"


class Size(StrEnum):
    """Long edge of the results in pixels."""

    small = "1024"
    medium = "2048"
    large = "4096"


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


@app.command(epilog=EXIT_CODES)
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the photos and the page.")] = Path(
        "piktid-demo"
    ),
    to: Annotated[str, typer.Option(help='The new colour: a name or "#2E5A3B".')] = "forest green",
    count: Annotated[int, typer.Option(min=1, max=50, help="Sample photos to draw.")] = 6,
    show: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page, where there is a desktop.")
    ] = True,
) -> None:
    """Recolor sample photos on a local sandbox and leave a before/after page. Needs no token."""
    with in_one_sentence():
        from piktid_async.cli.needs import check_sandbox

        check_sandbox()
        from piktid_async.cli.demo import run_demo, show_in_browser

        report = run_demo(out=out, color=to, count=count, console=console_on(err=True))
        _tell(report)
        if show and report.page:
            show_in_browser(report.page)
        raise typer.Exit(report.code)


@app.command(epilog=EXIT_CODES)
def recolor(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATHS", help="Pictures (JPEG, PNG, WebP), or folders of them."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results; made if need be.")],
    to: Annotated[str | None, typer.Option(help='The new colour: a name or "#2E5A3B".')] = None,
    reference: Annotated[
        Path | None, typer.Option(help="A swatch of the new colour or pattern.")
    ] = None,
    instruction: Annotated[str | None, typer.Option(help="What to do, in free text.")] = None,
    label: Annotated[
        str | None, typer.Option(help='Which garment, such as "jacket"; found if left out.')
    ] = None,
    variations: Annotated[
        int, typer.Option(min=1, max=8, help="Results per picture, each paid for.")
    ] = 1,
    size: Annotated[
        Size, typer.Option(help="Long edge in pixels: 3, 5 or 10 credits per result.")
    ] = Size.medium,
    project: Annotated[
        str, typer.Option(help="Project at the service; made if need be.")
    ] = "piktid-cli",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Use a local sandbox instead of the service.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Leave a before/after page beside the results.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longest wait for one job.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an older run.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")
    ] = False,
) -> None:
    """Recolor the garment in PATHS; more than 10 pictures become several jobs.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_sandbox, check_service

        (check_sandbox if sandbox else check_service)()
        from piktid_async.cli.order import place_order
        from piktid_async.cli.recolor import carry_out

        order = place_order(
            paths,
            out=out,
            text=to,
            reference=reference,
            instruction=instruction,
            label=label,
            variations=variations,
            size=int(size.value),
            project=project,
            timeout=timeout,
            overwrite=overwrite,
        )
        report = carry_out(order, sandbox=sandbox, page=page, console=console_on(err=True))
        _tell(report, as_json=as_json)
        raise typer.Exit(report.code)


@app.command(epilog=EXIT_CODES)
def results(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The id of a job.")],
    out: Annotated[Path, typer.Option(help="Folder for its pictures; made if need be.")],
    kind: Annotated[str, typer.Option(help="The service's name for its kind.")] = "garment_recolor",
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longest wait for its end.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace files of the same name.")
    ] = False,
) -> None:
    """Wait for a job that was made before, and save its pictures. Costs no credits.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL.
    """
    with in_one_sentence():
        from piktid_async.cli.needs import check_service

        check_service()
        from piktid_async.cli.results import fetch

        saved = fetch(
            job,
            kind=kind,
            out=out,
            timeout=timeout,
            overwrite=overwrite,
            console=console_on(err=True),
        )
        typer.echo("\n".join(map(str, saved)))


@app.command(epilog=EXIT_CODES)
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
    state: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep everything in this folder and go on there."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help='Such as "acks_fail=3" or "reset_after=5%".'),
    ] = None,
) -> None:
    """Run a local server that behaves like the service, until Ctrl-C."""
    with in_one_sentence():
        from piktid_async.cli.needs import check_sandbox
        from piktid_async.cli.serve import serve

        check_sandbox()
        serve(
            host=host,
            port=port,
            token=token,
            limits=limits,
            seconds_per_image=seconds_per_image,
            state=state,
            faults=fault or (),
            console=console_on(err=False),
        )


@vtryon.command("recolor", epilog=EXIT_CODES)
def vtryon_recolor(
    change: Annotated[
        list[str],
        typer.Option(metavar="GARMENT=COLOUR", help='Such as "blouse=royal blue"; repeatable.'),
    ],
    out: Annotated[Path, typer.Option(help="File for the result.")],
    pose: Annotated[
        int | None, typer.Option(metavar="ID", help="The pose task that made the image.")
    ] = None,
    model: Annotated[
        int | None, typer.Option(metavar="ID", help="The model task that made the image.")
    ] = None,
    quality: Annotated[Quality, typer.Option(help="Size of the result.")] = Quality.two,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Use a local sandbox; it has poses 936 to 940.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longest wait for the task.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")
    ] = False,
) -> None:
    """Recolor garments in an image that Vtryon has made, and save it.

    Uses VTRYON_API_KEY and VTRYON_BASE_URL. May cost credits, except with --sandbox.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.needs import check_sandbox, check_vtryon

        (check_sandbox if sandbox else check_vtryon)()
        from piktid_async.cli.vtryon import carry_out, place_order

        order = place_order(
            change,
            pose=pose,
            model=model,
            quality=quality.value,
            out=out,
            timeout=timeout,
            overwrite=overwrite,
        )
        done = carry_out(order, sandbox=sandbox, console=console_on(err=True))
        typer.echo(json.dumps(done.as_json(), indent=2) if as_json else "\n".join(done.lines()))


def _tell(report: Report, *, as_json: bool = False) -> None:
    """Print the outcome; the page's path comes last, alone on its line."""
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
        return
    for line in report.lines():
        typer.echo(line)
    if report.page:
        typer.echo(str(report.page.resolve()))
