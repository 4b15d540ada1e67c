"""Makes one output: the waiting, the engine, the picture, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.orders import Format
from piktid_async.sandbox.rendering import Renderer, RenderError
from piktid_async.sandbox.state import Job, Output
from piktid_async.sandbox.storage import Storage, result_key

_log = logging.getLogger(__name__)

CONTENT_TYPES: dict[Format, str] = {"jpg": "image/jpeg", "png": "image/png"}

# The engine that runs for "auto", as the sample answers of the guides name it.
_DEFAULT_ENGINE = {"garment_recolor": "nano_banana_2", "edit_chat": "nano_banana_2"}
_USUAL_ENGINE = "nano_banana_pro"
_FALLBACK_ENGINE = "seedream"


class Maker:
    """Brings outputs from `pending` to their end."""

    def __init__(
        self, *, storage: Storage, renderer: Renderer, faults: Faults, seconds_per_image: float
    ) -> None:
        self._storage = storage
        self._renderer = renderer
        self._faults = faults
        self._seconds_per_image = seconds_per_image
        self._given_up: dict[Output, asyncio.Event] = {}

    async def make(self, job: Job, output: Output) -> bool:
        """Make an output, or let it fail; false when it was given up meanwhile."""
        started = time.monotonic()
        output.status, output.updated = "processing", time.time()
        await self._take_time(output)
        error = None if output.ended else await self._try(job, output)
        if output.ended:
            return False
        output.status, output.error_message = ("failed", error) if error else ("completed", None)
        output.processing_time = round(time.monotonic() - started, 3)
        output.updated = time.time()
        return True

    def give_up(self, output: Output, message: str | None) -> None:
        """Let an output fail now."""
        output.status, output.updated = "failed", time.time()
        output.error_message = message or "Marked as failed"
        if output in self._given_up:
            self._given_up[output].set()

    async def _take_time(self, output: Output) -> None:
        stuck = self._faults.take("images_stuck")
        if not stuck and not self._seconds_per_image:
            await asyncio.sleep(0)
            return
        self._given_up[output] = asyncio.Event()
        try:
            with suppress(TimeoutError):
                most = self._faults.stuck_seconds if stuck else self._seconds_per_image
                async with asyncio.timeout(most):
                    await self._given_up[output].wait()
        finally:
            del self._given_up[output]

    async def _try(self, job: Job, output: Output) -> str | None:
        """Return what went wrong, if anything."""
        try:
            engine = self._engine(job, output)
            if self._faults.take("images_fail"):
                raise RenderError("The image could not be generated")
            await self._draw(job, output)
        except RenderError as error:
            return str(error)
        except Exception:
            _log.exception("rendering image %d of %s", output.image_index, job.job_id)
            return "Internal error"
        output.model_used = engine
        return None

    def _engine(self, job: Job, output: Output) -> str:
        # The guides: auto has a safety fallback, an engine asked for by name has none.
        asked = output.shot.model
        if self._faults.take("content_refused"):
            if asked != "auto":
                raise RenderError(f"The content was refused by {asked}")
            return _FALLBACK_ENGINE
        return _DEFAULT_ENGINE.get(job.request.kind, _USUAL_ENGINE) if asked == "auto" else asked

    async def _draw(self, job: Job, output: Output) -> None:
        picture = await self._renderer.render(output)
        suffix = output.shot.format
        stem = f"{output.image_index}_{output.group_index}_v{output.version}"
        full = result_key(job.job_id, f"{stem}.{suffix}")
        thumbnail = result_key(job.job_id, f"{stem}_thumbnail.jpg")
        spool = self._storage.spool
        await spool.put(full, picture.full, content_type=CONTENT_TYPES[suffix])
        await spool.put(thumbnail, picture.thumbnail, content_type="image/jpeg")
        if not output.ended:
            output.full_key, output.thumbnail_key = full, thumbnail
