"""The same with FastAPI under uvicorn: the receiver is mounted as an ASGI application.

PORT is where this program listens, PUBLIC_URL how the service reaches it: https, or http on
loopback for the sandbox. Registering makes a new secret and replaces the account's webhook.
"""

import asyncio
import os
import socket

import uvicorn
from fastapi import FastAPI

from piktid_async import GarmentRecolor, Session
from piktid_async.webhooks import WebhookReceiver

PORT = int(os.environ.get("PORT", "8000"))
PUBLIC_URL = os.environ.get("PUBLIC_URL", f"http://127.0.0.1:{PORT}/webhooks/piktid")

session = Session(stream=False)  # nothing is opened before the first call
receiver = WebhookReceiver(session)
app = FastAPI()
app.mount("/webhooks", receiver.asgi_app)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"stream": session.stream_state}


async def recolor() -> None:
    registration = await session.webhooks.register(PUBLIC_URL)
    receiver.secrets.add(registration.secret)
    project = await session.projects.ensure("webhooks")
    image = await session.upload("front.jpg")
    job = await session.submit(
        GarmentRecolor(project=project, images=[image], reference_text="navy", num_variations=2)
    )
    async for output in job.outputs():
        print(output.image_index, output.group_index, output.status)
    print((await job).status)


async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    listening = socket.create_server(("127.0.0.1", PORT))  # from here on the service gets through
    async with session, asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listening]))
        await recolor()
        server.should_exit = True


asyncio.run(main())
