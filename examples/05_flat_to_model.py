"""Dress a model in flat-lay photos: all garments together, one picture for each instruction."""

import asyncio

from piktid_async import (
    AnnotatedImage,
    Camera,
    FlatToModel,
    Lighting,
    ModelInstruction,
    OutputOptions,
    Session,
)


async def main() -> None:
    async with Session() as session:
        project = await session.projects.ensure("on-model")
        model = await session.identities.ensure("model.jpg", name="Model A")
        await session.identities.wait(model)  # until it is prepared
        shirt, trousers = await session.upload_many(["front.jpg", "back.jpg"])
        request = FlatToModel(
            identity=model,
            project=project,
            images=[AnnotatedImage(shirt.file_id, "tucked into the trousers"), trousers],
            instructions=[
                ModelInstruction(
                    pose="standing, front-facing",
                    background="white studio",
                    camera=Camera(framing="full body", angle="eye level"),
                    options=OutputOptions(size="1K", ar="9:16"),
                ),
                ModelInstruction(
                    pose="walking, mid-stride",
                    background="rooftop at golden hour",
                    lighting=Lighting(direction="from the left", quality="warm"),
                    options=OutputOptions(size="1K", ar="3:4"),
                ),
            ],
            add_ai_watermark=True,  # burnt in, where the law asks for it
        )
        print(f"{request.total_outputs} pictures, {request.credits:g} credits")
        job = await session.submit(request)
        async for output in job.outputs():
            print(await output.save(f"on-model/{output.image_index}.jpg"))


asyncio.run(main())
