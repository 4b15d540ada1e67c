"""Image work, off the event loop."""

from __future__ import annotations

import asyncio
import base64
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

import attrs

from piktid_async.sandbox.spool import Spool, StoredObject
from piktid_async.sandbox.state import Output
from piktid_async.sandbox.work import Work

# Rendering cannot be interrupted. A sandbox that stops waits this long for what is being
# rendered, then leaves the thread to end by itself and throws its picture away.
_GRACE = 0.3

# A marked picture has its uuid so often behind its end, where no program looks.
_MARKS = 256

# The most variations that one instruction can have.
_VARIATIONS = 8

# One grey pixel.
PLAIN_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERX"
    "RTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
PLAIN_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


class RenderError(Exception):
    """This picture cannot be made; the text is for the user."""


@attrs.frozen
class Picture:
    """A picture in the format that was asked for, and its thumbnail, a JPEG."""

    full: bytes
    thumbnail: bytes


class Renderer:
    """Makes pictures in a small thread pool."""

    def __init__(self, *, spool: Spool, scale: float, enabled: bool | Literal["marked"]) -> None:
        self._spool = spool
        self._scale = scale
        self._enabled = enabled
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sandbox-render")
        self._running: set[Future[Picture]] = set()

    async def render(self, output: Output) -> Picture:
        """Make one picture, or raise `RenderError`."""
        shot = output.shot
        if self._enabled is not True:
            await asyncio.sleep(0)
            mark = uuid.UUID(output.uuid).bytes * _MARKS if self._enabled == "marked" else b""
            plain = PLAIN_PNG if shot.format == "png" else PLAIN_JPEG
            return Picture(plain + mark, PLAIN_JPEG + mark)
        working = [output.working_key] if output.working_key is not None else []
        keys = [*working, *(source.object_key for source in shot.sources)]
        work = Work(
            shot=shot,
            sources=tuple(self._stored(key) for key in keys),
            extra=tuple(self._stored(each.object_key) for each in shot.drawing.extra),
            variation=output.group_index + _VARIATIONS * output.version,
            scale=self._scale,
        )
        future = self._pool.submit(_draw, work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Wait a moment for what is being rendered, and let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = [asyncio.wrap_future(future) for future in list(self._running)]
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await asyncio.gather(*running, return_exceptions=True)
        if not self._running:
            self._pool.shutdown()

    def _stored(self, key: str) -> StoredObject:
        stored = self._spool.find(key)
        if stored is None:
            raise RenderError("Image not found")
        return stored


def _draw(work: Work) -> Picture:
    # Imported late: a sandbox that renders nothing needs neither Pillow nor NumPy.
    from piktid_async.sandbox.drawing import draw
    from piktid_async.sandbox.imaging import ImagingError

    try:
        return Picture(*draw(work))
    except ImagingError as error:
        raise RenderError(str(error)) from error
