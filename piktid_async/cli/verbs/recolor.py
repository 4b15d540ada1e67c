"""`piktid recolor`: one garment in a new colour, across a set of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from piktid_async import GarmentRecolor
from piktid_async.cli import options as shared
from piktid_async.cli.framing import in_one_sentence

if TYPE_CHECKING:
    from piktid_async.cli.order import Inputs, Order

WORDS = ("recoloring", "recolored")


def recolor(
    paths: shared.PathsArgument,
    out: shared.OutOption,
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
        Literal["1024", "2048", "4096"],
        typer.Option(help="Long edge in pixels: 3, 5 or 10 credits per result."),
    ] = "2048",
    engine: shared.EngineOption = "auto",
    project: shared.ProjectOption = shared.PROJECT,
    report: shared.ReportOption = None,
    sandbox: shared.SandboxOption = False,
    timeout: shared.TimeoutOption = None,
    overwrite: shared.OverwriteOption = False,
    as_json: shared.JobJsonOption = False,
) -> None:
    """Recolor the garment in PATHS; more than 10 pictures become several jobs.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.work import do

        def place() -> Order:
            return recolor_order(
                paths,
                out=out,
                text=to,
                reference=reference,
                instruction=instruction,
                label=label,
                variations=variations,
                size=int(size),
                engine=engine,
                project=project,
                timeout=timeout,
                overwrite=overwrite,
            )

        do(place, sandbox=sandbox, page=report, as_json=as_json)


def recolor_order(
    paths: Sequence[Path],
    *,
    out: Path,
    text: str | None = None,
    reference: Path | None = None,
    instruction: str | None = None,
    label: str | None = None,
    variations: int = 1,
    size: int = 2048,
    engine: str = "auto",
    project: str = shared.PROJECT,
    timeout: float | None = None,
    overwrite: bool = False,
) -> Order:
    """Check everything that can be checked without the service, and return the order."""
    from piktid_async.cli.errors import Trouble
    from piktid_async.cli.order import Order, checked, in_short, sets_of_each

    if not (text or reference or instruction):
        raise Trouble(
            'No target colour: give --to "forest green", --reference swatch.png or --instruction.'
        )

    def build(inputs: Inputs) -> GarmentRecolor:
        return GarmentRecolor(
            project=inputs.project,
            images=inputs.images,
            garment_label=label,
            reference_image=inputs.more.get("reference"),
            reference_text=text,
            instruction=instruction,
            num_variations=variations,
            processing_size=size,  # type: ignore[arg-type]  # the request checks it
            model=engine,
        )

    return checked(
        Order(
            sets=sets_of_each(paths),
            out=out,
            build=build,
            target=text or (reference.name if reference else in_short(instruction or "")),
            words=WORDS,
            colors=True,
            more={"reference": reference} if reference else {},
            project=project,
            timeout=timeout,
            overwrite=overwrite,
        )
    )
