import asyncio
from piktid_async import GarmentRecolor, Session

async def main():
    async with Session() as session:                  # PIKTID_API_TOKEN, PIKTID_BASE_URL
        project = await session.projects.ensure("spring-drop")
        images = await session.upload_many(["front.jpg", "back.jpg"])
        job = await session.submit(GarmentRecolor(project=project, images=images, reference_text="forest green"))
        async for output in job.outputs():            # each image the moment it is ready
            print(output.image_index, output.url)
        result = await job.result(timeout=900)        # or simply: result = await job
        await job.download("out/")

asyncio.run(main())
