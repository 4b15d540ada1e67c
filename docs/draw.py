"""Draw the guides' pictures on the sandbox: what goes into each kind of job, and what comes out.

    python docs/draw.py

They are kept in docs/pictures; run it again when the sandbox draws differently.
"""

import asyncio
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from piktid_async import (
    CreatePackshot,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    JobRequest,
    ModelInstruction,
    ModelSwap,
    OutputOptions,
    PackshotInstruction,
    Session,
)
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.imaging import sample_photos

PICTURES = Path(__file__).parent / "pictures"
HEIGHT, GAP = 400, 12
MOST = 60_000
"""Bytes of a picture."""


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put them in a row, all of one height."""
    row = [
        each.convert("RGB").resize((round(each.width * HEIGHT / each.height), HEIGHT))
        for each in pictures
    ]
    width = sum(each.width for each in row) + GAP * (len(row) - 1)
    sheet = Image.new("RGB", (width, HEIGHT), "white")
    left = 0
    for each in row:
        sheet.paste(each, (left, 0))
        left += each.width + GAP
    return sheet


async def draw(session: Session, name: str, request: JobRequest, *inputs: bytes) -> list[bytes]:
    """Run a job, keep its inputs beside its outputs, and return those."""
    job = await session.submit(request)
    await job
    with tempfile.TemporaryDirectory() as folder:
        made = [path.read_bytes() for path in sorted(await job.download(folder))]
    sheet = side_by_side([Image.open(io.BytesIO(data)) for data in (*inputs, *made)])
    kept = io.BytesIO()
    sheet.save(kept, "WEBP", quality=80, method=6)
    if len(kept.getvalue()) > MOST:
        raise SystemExit(f"{name}: {len(kept.getvalue())} bytes are more than {MOST}")
    (PICTURES / f"{name}.webp").write_bytes(kept.getvalue())
    return made


async def main() -> None:
    photos = [photo.data for photo in sample_photos(4, size=800)]
    async with (
        Sandbox(seconds_per_image=0, image_scale=0.5, limits=False) as sandbox,
        Session(token=sandbox.token, base_url=sandbox.url) as session,
    ):
        project = await session.projects.ensure("guides")
        first, hooded = [
            await session.upload(photos[number], filename=f"photo-{number}.jpg")
            for number in (0, 2)
        ]
        model, other = [
            await session.identities.ensure(photos[number], name=f"Model {number}")
            for number in (2, 3)
        ]
        for each in (model, other):
            await session.identities.wait(each)
        small = OutputOptions(size="1K", ar="3:4")
        recolor = GarmentRecolor(project=project, images=[first], reference_text="forest green")
        await draw(session, "recolor", recolor, photos[0])
        packshot = CreatePackshot(
            project=project,
            images=[first],
            instructions=[
                PackshotInstruction(style="white_cutout", options=small),
                PackshotInstruction(style="ghost_mannequin", options=small),
                PackshotInstruction(style="flat_lay", surface="pale linen", options=small),
            ],
        )
        await draw(session, "packshot", packshot, photos[0])
        on_model = FlatToModel(
            project=project,
            identity=model,
            images=[first],
            instructions=[
                ModelInstruction(pose="standing", background="white studio", options=small),
                ModelInstruction(pose="walking", background="rooftop at dusk", options=small),
            ],
        )
        dressed, _ = await draw(session, "flat-to-model", on_model, photos[0])
        worn = await session.upload(dressed, filename="worn.jpg")
        swap = ModelSwap(project=project, identity=other, images=[worn])
        await draw(session, "model-swap", swap, dressed)
        street = ImagePlayground(
            prompt="Place it on a wet city street at night with neon reflections.",
            images=[hooded],
            size="1K",
            num_variations=2,
        )
        await draw(session, "playground", street, photos[2])


if __name__ == "__main__":
    asyncio.run(main())
