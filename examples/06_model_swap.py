"""The same photos with another person: one output for each image, all with one identity."""

import asyncio

from piktid_async import ModelSwap, Session


async def main() -> None:
    async with Session() as session:
        project = await session.projects.ensure("swaps")
        model = await session.identities.ensure("model.jpg", name="Model A")
        await session.identities.wait(model)  # until it is prepared
        photos = await session.upload_many(["front.jpg", "back.jpg"])
        request = ModelSwap(identity=model, project=project, images=photos)
        # No page tells the price of a swap, so there is no estimate, either.
        print(f"{request.total_outputs} pictures, credits: {request.credits}")
        result = await session.run(request, timeout=900)
        for output in result.ok:
            print(await output.save(f"swaps/{output.image_index}.jpg"))
        result.raise_for_failures()


asyncio.run(main())
