"""Packshots from raw photos: one job, several looks, each with its own size and variations."""

import asyncio

from piktid_async import (
    AnnotatedImage,
    CreatePackshot,
    DesignValue,
    OutputOptions,
    PackshotInstruction,
    Session,
)


async def main() -> None:
    async with Session() as session:
        project = await session.projects.ensure("packshots")
        front, back = await session.upload_many(["front.jpg", "back.jpg"])
        large = OutputOptions(size="2K", ar="3:4", format="jpg")
        small = OutputOptions(size="1K", ar="1:1", format="png")
        request = CreatePackshot(
            project=project,
            images=[
                AnnotatedImage(front.file_id, "front view, hero angle"),
                AnnotatedImage(back.file_id, "back view, same garment"),
            ],
            instructions=[
                PackshotInstruction(
                    style="ghost_mannequin", shadow="contact", num_variations=2, options=large
                ),
                PackshotInstruction(style="white_cutout", angle="front", options=small),
                PackshotInstruction(
                    style="flat_lay",  # always seen from above
                    surface=DesignValue("pale linen"),
                    shadow="natural",
                    options=small,
                ),
            ],
        )
        print(f"{request.total_outputs} pictures, {request.credits:g} credits")
        job = await session.submit(request)
        for path in await job.download("packshots"):
            print(path)


asyncio.run(main())
