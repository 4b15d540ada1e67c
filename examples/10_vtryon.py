"""Recolor garments in an image that Vtryon has made, then tidy up.

Vtryon is a service of its own: VTRYON_API_KEY is its key, VTRYON_BASE_URL the host of its API.
936 is a pose task of your account; the sandbox has 936 to 940.
"""

import asyncio

from piktid_async import JobTimeoutError
from piktid_async.vtryon import ColorChange, Recolor, VtryonSession


async def main() -> None:
    async with VtryonSession() as session:
        task = await session.recolor(
            Recolor(
                pose_image_generation_id=936,
                color_changes=[
                    ColorChange("blouse", "royal blue"),
                    ColorChange("lehenga", "#1f6b3a"),
                ],
            )
        )
        try:
            result = await task.result(timeout=0.001)
        except JobTimeoutError:
            print("not yet; the task goes on, and can be awaited again")
            result = await task
        print(result.status, await task.download("look.jpg"))

        async for each in session.tasks(page_size=10):
            print(each.id, each.status)
        await session.delete(task)


asyncio.run(main())
