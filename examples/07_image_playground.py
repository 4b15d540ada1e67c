"""One picture, edited step by step: each call goes on from the last output."""

import asyncio

from piktid_async import ImagePlayground, Session


async def main() -> None:
    async with Session() as session:
        photo = await session.upload("front.jpg")
        first = await session.submit(
            ImagePlayground(
                prompt="Place it on a wet city street at night with neon reflections.",
                images=[photo],
                size="1K",
                num_variations=2,
            )
        )
        # A conversation is one job to the service, so each generation is awaited by itself.
        for output in (await first).ok:
            print(await output.save(f"street/first-{output.group_index}.jpg"))

        second = await session.submit(
            ImagePlayground(
                prompt="Warm the lighting and add a soft rim light on the left.",
                conversation=first,
                size="1K",
                output_mode="ratio",
                aspect_ratio="4:5",
            )
        )
        for output in (await second).ok:
            print(await output.save(f"street/second-{output.group_index}.jpg"))
        print("one conversation:", second.id == first.id)


asyncio.run(main())
