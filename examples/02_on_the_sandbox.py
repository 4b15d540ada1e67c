"""The same on the sandbox, in one file: no token, no service, real pictures.

A test of your own program looks like this, too: start a sandbox, point the session at it.
Needs the extra: pip install 'piktid-async[sandbox]'
"""

import asyncio
from pathlib import Path

from piktid_async import GarmentRecolor, Session
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.imaging import sample_photos


async def main() -> None:
    async with (
        Sandbox() as sandbox,
        Session(token=sandbox.token, base_url=sandbox.url) as session,
    ):
        project = await session.projects.ensure("sandbox")
        photos = [
            await session.upload(photo.data, filename=photo.name) for photo in sample_photos(2)
        ]
        request = GarmentRecolor(
            project=project,
            images=photos,
            reference_text="navy",
            num_variations=2,
            processing_size=1024,
        )
        print(f"{request.total_outputs} pictures, {request.credits:g} credits")
        result = await session.run(request)
        for output in result.ok:
            name = f"{output.image_index}-{output.group_index}.jpg"
            print(await output.save(Path("navy") / name))


asyncio.run(main())
