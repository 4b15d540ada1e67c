"""Servers on loopback for a webhook receiver: aiohttp.web, and uvicorn for ASGI."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import uvicorn
from aiohttp import web

from piktid_async.webhooks import WebhookReceiver

Serve = Callable[[WebhookReceiver], AbstractAsyncContextManager[str]]
PATH = "/webhooks/piktid"


@asynccontextmanager
async def serve_aiohttp(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Serve a receiver with aiohttp.web; yield its URL."""
    app = web.Application()
    app.router.add_route("*", PATH, receiver.aiohttp_handler)
    # aiohttp reads on for a while what is not wanted, so that its sender sees the answer.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05, lingering_time=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_asgi(receiver: WebhookReceiver) -> AsyncIterator[str]:
    """Serve a receiver by itself with uvicorn, its lifespan protocol included; yield its URL."""
    config = uvicorn.Config(
        receiver.asgi_app, lifespan="on", log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
    finally:
        server.should_exit = True
        await task
