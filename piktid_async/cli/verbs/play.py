"""`piktid play`: pictures from words, pictures and people, step by step."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from piktid_async import ImagePlayground
from piktid_async.cli import options as shared
from piktid_async.cli.framing import in_one_sentence
from piktid_async.models.image_playground import Ratio

if TYPE_CHECKING:
    from piktid_async.cli.order import Inputs, Order

NAMES = {"images": "--image", "prompt": "PROMPT"}
"""What this command calls some fields."""


def play(
    out: shared.OutOption,
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="What to make, in free text.")
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A picture; the first is edited, the others are references; repeatable.",
        ),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Who is to be seen; at most two."),
    ] = None,
    continue_: Annotated[
        str | None,
        typer.Option("--continue", metavar="JOB", help="Go on from the last picture of this job."),
    ] = None,
    variations: Annotated[int, typer.Option(min=1, max=4, help="Results, each paid for.")] = 1,
    size: Annotated[
        shared.Size,
        typer.Option(help="3, 5 or 10 credits per result; 2K and 4K need a paid plan."),
    ] = "2K",
    ratio: Annotated[
        Ratio | None, typer.Option(help="Width to height; as the picture's if left out.")
    ] = None,
    engine: shared.EngineOption = "auto",
    report: shared.ReportOption = None,
    sandbox: shared.SandboxOption = False,
    timeout: shared.TimeoutOption = None,
    overwrite: shared.OverwriteOption = False,
    as_json: shared.JobJsonOption = False,
) -> None:
    """Make or edit a picture in the image playground, and go on from it with --continue.

    Uses PIKTID_API_TOKEN and, if set, PIKTID_BASE_URL. Costs credits, except with --sandbox. A
    conversation is continued from one place at a time.
    """
    with in_one_sentence(as_json=as_json):
        from piktid_async.cli.errors import OPTIONS, Trouble
        from piktid_async.cli.inputs import find_images
        from piktid_async.cli.order import Order, checked, in_short
        from piktid_async.cli.work import do

        def build(inputs: Inputs) -> ImagePlayground:
            return ImagePlayground(
                prompt=prompt,
                images=inputs.images,
                identities=tuple(identity or ()),
                model=engine,
                size=size,
                num_variations=variations,
                output_mode="ratio" if ratio else "auto",
                aspect_ratio=ratio,
                conversation=continue_,
            )

        def place() -> Order:
            if sandbox and continue_:
                raise Trouble(
                    "--continue: a sandbox of one command has no earlier job: run `piktid sandbox` "
                    "and set its variables instead of --sandbox."
                )
            folder = shlex.quote(str(out)).replace("{", "{{").replace("}", "}}")
            return checked(
                Order(
                    sets=[tuple(find_images(image or ()))],
                    out=out,
                    build=build,
                    target=in_short(prompt or "without words"),
                    words=("making pictures", "made"),
                    each=False,
                    project=None,
                    timeout=timeout,
                    overwrite=overwrite,
                    next_step=""
                    if sandbox
                    else f'To go on from it: piktid play --continue {{job}} --out {folder} "..."',
                ),
                options={**OPTIONS, **NAMES},
                beside=continue_ is not None,
            )

        do(place, sandbox=sandbox, page=report, as_json=as_json)
