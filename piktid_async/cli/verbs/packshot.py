"""`piktid packshot`: clean pictures of one product, from any photos of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from piktid_async import CreatePackshot, OutputOptions, PackshotInstruction
from piktid_async.cli import options as shared
from piktid_async.cli.framing import in_one_sentence
from piktid_async.models.create_packshot import Angle, Framing, Shadow, Style
from piktid_async.models.outputs import AspectRatio, Format

if TYPE_CHECKING:
    from piktid_async.cli.order import Inputs, Order


def packshot(
    paths: shared.PathsArgument,
    style: Annotated[Style, typer.Option(help="What kind of packshot.")],
    out: shared.OutOption,
    prompt: Annotated[str | None, typer.Option(help="Free text on top.")] = None,
    background: Annotated[str | None, typer.Option(help='Such as "warm grey".')] = None,
    surface: Annotated[
        str | None, typer.Option(help="What it lies on; for flat_lay alone.")
    ] = None,
    props: Annotated[
        str | None, typer.Option(help="Things around it; for marketing_ready alone.")
    ] = None,
    framing: Annotated[Framing | None, typer.Option(help="How it fills the picture.")] = None,
    angle: Annotated[Angle | None, typer.Option(help="Seen from where.")] = None,
    shadow: Annotated[Shadow | None, typer.Option(help="Under the product.")] = None,
    variations: shared.VariationsOption = 1,
    size: shared.SizeOption = None,
    ratio: Annotated[AspectRatio | None, typer.Option(help="Width to height.")] = None,
    format: Annotated[Format | None, typer.Option(help="Of the files.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed, a similar picture.")] = None,
    engine: shared.EngineOption = "auto",
    project: shared.ProjectOption = shared.PROJECT,
    report: shared.ReportOption = None,
    sandbox: shared.SandboxOption = False,
    timeout: shared.TimeoutOption = None,
    overwrite: shared.OverwriteOption = False,
    as_json: shared.JobJsonOption = False,
) -> None:
    """Make packshots of the one product that PATHS show, up to 10 pictures of it.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.order import Order, checked, one_set
        from piktid_async.cli.work import do

        def build(inputs: Inputs) -> CreatePackshot:
            instruction = PackshotInstruction(
                style=style,
                prompt=prompt,
                background=background,
                surface=surface,
                props=props,
                framing=framing,
                angle=angle,
                shadow=shadow,
                seed=seed,
                num_variations=variations,
                options=OutputOptions(size=size, ar=ratio, format=format),
            )
            return CreatePackshot(
                project=inputs.project,
                images=inputs.images,
                instructions=[instruction],
                model=engine,
            )

        def place() -> Order:
            return checked(
                Order(
                    sets=one_set(paths),
                    out=out,
                    build=build,
                    target=style,
                    words=("making packshots", "made"),
                    each=False,
                    project=project,
                    timeout=timeout,
                    overwrite=overwrite,
                )
            )

        do(place, sandbox=sandbox, page=report, as_json=as_json)
