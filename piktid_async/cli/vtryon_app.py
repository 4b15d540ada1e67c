"""`piktid vtryon`: the commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from piktid_async.cli.framing import EXIT_CODES, console_on, in_one_sentence, tell
from piktid_async.cli.options import JsonOption

vtryon: typer.Typer = typer.Typer(
    help="Vtryon's Recolor API, for images that Vtryon has made.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
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
    quality: Annotated[Literal["2k", "4k"], typer.Option(help="Size of the result.")] = "2k",
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Use a local sandbox; it has poses 936 to 940.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Longest wait for the task.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it exists.")
    ] = False,
    as_json: JsonOption = False,
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
            quality=quality,
            out=out,
            timeout=timeout,
            overwrite=overwrite,
        )
        done = carry_out(order, sandbox=sandbox, console=console_on(err=True))
        tell(done.as_json() if as_json else done.lines())
