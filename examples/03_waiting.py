"""Wait for jobs: a time limit that loses nothing, a failed image, a job from another program."""

import asyncio

from piktid_async import GarmentRecolor, JobError, JobTimeoutError, Session


async def main() -> None:
    async with Session() as session:
        project = await session.projects.ensure("waiting")
        image = await session.upload("front.jpg")
        job = await session.submit(
            GarmentRecolor(project=project, images=[image], reference_text="#7a1f2b")
        )
        try:
            result = await job.result(timeout=0.001)
        except JobTimeoutError:
            print("not yet; the job goes on, and can be awaited again")
            result = await job
        except JobError as error:
            print(f"gave up: {error}")
            return
        for failed in result.failed:  # a job can end well and still hold failed images
            print(f"image {failed.image_index}: {failed.error_message}")

        # Another program, or this one after a restart, needs only the id.
        again = session.job(job.id, kind="garment_recolor", total_outputs=1)
        print((await again).status, again.progress.percent)


asyncio.run(main())
