"""Requests as aiohttp.web hands them over."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

import aiohttp
from aiohttp import web

from piktid_async.transport.incoming import Answer, ClientGoneError

Request: TypeAlias = web.Request
Response: TypeAlias = web.Response


async def answer(request: Request, answer: Answer) -> Response:
    """Let a request be answered; status codes only, no content."""
    try:
        async with aclosing(_blocks(request)) as blocks:
            status = await answer(request.method, request.headers, blocks)
    except ClientGoneError:
        status = 400
    return web.Response(status=status, headers={"Allow": "POST"} if status == 405 else None)


async def _blocks(request: Request) -> AsyncGenerator[bytes, None]:
    try:
        async for block in request.content.iter_any():
            yield block
    except (web.RequestPayloadError, aiohttp.ClientPayloadError, ConnectionError) as error:
        raise ClientGoneError from error
