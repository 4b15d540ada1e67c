"""Image work, off the event loop."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import attrs

from piktid_async.sandbox.spool import Spool, StoredObject
from piktid_async.sandbox.state import Output, RecolorRequest

# Rendering cannot be interrupted. A sandbox that stops waits this long for what is being
# rendered, then leaves the thread to end by itself and throws its picture away.
_GRACE = 0.3

# One grey pixel.
PLAIN_JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERX"
    "RTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAA"
    "AAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)


class RenderError(Exception):
    """This picture cannot be made; the text is for the user."""


@attrs.frozen
class Picture:
    """A JPEG and its thumbnail."""

    full: bytes
    thumbnail: bytes


@attrs.frozen(kw_only=True)
class _Work:
    request: RecolorRequest
    source: StoredObject
    reference: StoredObject | None
    variation: int
    size: int


class Renderer:
    """Recolours uploaded images in a small thread pool."""

    def __init__(self, *, spool: Spool, scale: float, enabled: bool) -> None:
        self._spool = spool
        self._scale = scale
        self._enabled = enabled
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="sandbox-render")
        self._running: set[Future[Picture]] = set()

    async def render(self, request: RecolorRequest, output: Output) -> Picture:
        """Make one picture, or raise `RenderError`."""
        if not self._enabled:
            await asyncio.sleep(0)
            return Picture(PLAIN_JPEG, PLAIN_JPEG)
        swatch = request.reference_image
        work = _Work(
            request=request,
            source=self._stored(output.source.object_key),
            reference=self._stored(swatch.object_key) if swatch is not None else None,
            variation=output.group_index,
            size=max(1, round(request.processing_size * self._scale)),
        )
        future = self._pool.submit(_recolor, work)
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


def _recolor(work: _Work) -> Picture:
    # Imported late: a sandbox that renders nothing needs neither Pillow nor NumPy.
    from piktid_async.sandbox.imaging import ImagingError, recolor

    request = work.request
    try:
        rendered = recolor(
            work.source.path.read_bytes(),
            reference_text=request.reference_text,
            reference_image=work.reference.path.read_bytes()
            if work.reference is not None
            else None,
            instruction=request.instruction,
            garment_label=request.garment_label,
            size=work.size,
            variation=work.variation,
            watermark=request.add_ai_watermark,
        )
    except ImagingError as error:
        raise RenderError(str(error)) from error
    return Picture(rendered.full, rendered.thumbnail)
