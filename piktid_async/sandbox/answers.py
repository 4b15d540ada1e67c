"""JSON answers of the API, good and bad."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import attrs
import orjson
from aiohttp import web

JsonObject = dict[str, Any]


@attrs.define(slots=False, eq=False)
class ApiError(Exception):
    """An answer that ends the request: `{"error": "<text>", ...}`."""

    status: int
    body: JsonObject
    headers: Mapping[str, str] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return f"{self.status} {self.body.get('error')}"


def refuse(status: int, error: str, **more: Any) -> ApiError:
    """Build the error for everything that is not a malformed field."""
    return ApiError(status, {"error": error, **more})


def invalid(*problems: JsonObject) -> ApiError:
    """Build the error for malformed fields, as the API reference shows it."""
    return ApiError(400, {"error": "Invalid request", "detail": list(problems)})


def problem(field: str | None, message: str, *, position: str = "body") -> JsonObject:
    """Describe one malformed field."""
    return {"field": field, "message": message, "position": position}


def json_answer(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON."""
    return web.Response(
        body=orjson.dumps(body), status=status, headers=headers, content_type="application/json"
    )


async def json_object(request: web.Request, *, optional: bool = False) -> JsonObject:
    """Read the body as a JSON object."""
    raw = await request.read()
    if not raw and optional:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid(problem(None, "Body is not valid JSON")) from None
    if not isinstance(body, dict):
        raise invalid(problem(None, "Body must be a JSON object"))
    return body


class Streamed(web.StreamResponse):
    """An answer whose body is made block by block, while it is sent."""

    def __init__(
        self,
        blocks: AsyncGenerator[bytes, None],
        *,
        size: int | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status=status, headers=headers)
        self.blocks: AsyncGenerator[bytes, None] = blocks
        self.content_length = size

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body, and end it."""
        async with aclosing(self.blocks) as blocks:
            async for block in blocks:
                await self.write(block)
        await super().write_eof(data)
