"""Follow a job by webhooks alone, with aiohttp.web: serve, register, submit, wait.

PORT is where this program listens, PUBLIC_URL how the service reaches it: https, or http on
loopback for the sandbox. Registering makes a new secret and replaces the account's webhook.
"""

import asyncio
import os

from aiohttp import web

from piktid_async import GarmentRecolor, Session
from piktid_async.webhooks import WebhookReceiver

PORT = int(os.environ.get("PORT", "8000"))
PUBLIC_URL = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{PORT}/webhooks/piktid")


async def recolor(session: Session) -> None:
    project = await session.projects.ensure("webhooks")
    image = await session.upload("front.jpg")
    job = await session.submit(
        GarmentRecolor(project=project, images=[image], reference_text="navy", num_variations=2)
    )
    async for output in job.outputs():
        print(output.image_index, output.group_index, output.status)
    print((await job).status)


async def main() -> None:
    async with Session(stream=False) as session:
        receiver = WebhookReceiver(session)
        app = web.Application()
        app.router.add_post("/webhooks/piktid", receiver.aiohttp_handler)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", PORT).start()
            registration = await session.webhooks.register(PUBLIC_URL)
            receiver.secrets.add(registration.secret)
            await recolor(session)
        finally:
            await runner.cleanup()


asyncio.run(main())
