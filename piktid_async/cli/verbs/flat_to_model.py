"""`piktid flat-to-model`: garments, worn by a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from piktid_async import FlatToModel, ModelInstruction, OutputOptions
from piktid_async.cli import options as shared
from piktid_async.cli.framing import in_one_sentence
from piktid_async.models.outputs import AspectRatio, Format

if TYPE_CHECKING:
    from piktid_async.cli.order import Inputs, Order


def flat_to_model(
    paths: shared.PathsArgument,
    out: shared.OutOption,
    identity: shared.IdentityOption = None,
    identity_image: shared.IdentityImageOption = None,
    prompt: Annotated[str | None, typer.Option(help="Free text on top.")] = None,
    pose: Annotated[str | None, typer.Option(help='Such as "walking, mid-stride".')] = None,
    expression: Annotated[str | None, typer.Option(help='Such as "a slight smile".')] = None,
    background: Annotated[str | None, typer.Option(help='Such as "white studio".')] = None,
    lighting: Annotated[str | None, typer.Option(help='Such as "soft, from the left".')] = None,
    camera: Annotated[str | None, typer.Option(help='Such as "full body, eye level".')] = None,
    variations: shared.VariationsOption = 1,
    size: shared.SizeOption = None,
    ratio: Annotated[AspectRatio | None, typer.Option(help="Width to height.")] = None,
    format: Annotated[Format | None, typer.Option(help="Of the files.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed, a similar picture.")] = None,
    engine: shared.EngineOption = "auto",
    watermark: Annotated[
        bool, typer.Option("--watermark", help='Burn in an "AI-generated" mark for good.')
    ] = False,
    project: shared.ProjectOption = shared.PROJECT,
    report: shared.ReportOption = None,
    sandbox: shared.SandboxOption = False,
    timeout: shared.TimeoutOption = None,
    overwrite: shared.OverwriteOption = False,
    as_json: shared.JobJsonOption = False,
) -> None:
    """Dress a model in the garments of PATHS, up to 10 pictures, all of them in every result.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.order import Order, checked, checked_identity, one_set
        from piktid_async.cli.work import do

        def build(inputs: Inputs) -> FlatToModel:
            instruction = ModelInstruction(
                prompt=prompt,
                pose=pose,
                expression=expression,
                background=background,
                lighting=lighting,
                camera=camera,
                seed=seed,
                num_variations=variations,
                options=OutputOptions(size=size, ar=ratio, format=format),
            )
            return FlatToModel(
                identity=str(inputs.more.get("identity", identity)),
                project=inputs.project,
                images=inputs.images,
                instructions=[instruction],
                model=engine,
                add_ai_watermark=watermark,
            )

        def place() -> Order:
            code = checked_identity(identity, identity_image)
            return checked(
                Order(
                    sets=one_set(paths),
                    out=out,
                    build=build,
                    target=f"worn by {code or identity_image}",
                    words=("dressing the model", "made"),
                    each=False,
                    identity_image=identity_image,
                    project=project,
                    timeout=timeout,
                    overwrite=overwrite,
                )
            )

        do(place, sandbox=sandbox, page=report, as_json=as_json)
