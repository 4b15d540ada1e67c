"""The front door of the sandbox: what a test or a demo holds in its hand."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.assembly import build
from piktid_async.sandbox.books import Books
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.settings import SandboxLimits, Settings


class Sandbox:
    """A local On-Model server with one account.

    ```python
    async with Sandbox(seconds_per_image=0) as sandbox:
        ...  # talk to sandbox.url with sandbox.token
    ```

    A sandbox is started once; what it holds ends with it, except `books`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "sandbox-token",
        credits: float = 1_000_000.0,
        limits: SandboxLimits | bool | None = True,
        seconds_per_image: float = 0.3,
        image_scale: float = 1.0,
        render: bool = True,
        retention: float = 600.0,
        keepalive: float = 15.0,
        url_life: float = 900.0,
        visible_after: float = 0.0,
        request_delay: float = 0.0,
        max_size: int = 4096,
        max_upload_bytes: int | None = None,
        faults: Faults | None = None,
    ) -> None:
        """Choose how the server behaves; nothing is opened yet.

        - `port`: of the API; the storage takes any free one.
        - `credits`: what the account starts with.
        - `limits`: `True` for the documented ones, `None` or `False` for none.
        - `seconds_per_image`: how long one output takes, beside the work itself.
        - `image_scale`: edge of an output = `processing_size` x this.
        - `render`: `False` gives every output the same tiny JPEG, for load tests.
        - `retention`: seconds that a notification is kept for replay.
        - `keepalive`: seconds of silence before a comment on the stream.
        - `url_life`: seconds that signed URLs and ZIP links are good for.
        - `visible_after`: seconds after the 202 for which the status answers 404.
        - `request_delay`: seconds put before each answer.
        - `max_size`: the largest `processing_size` of the plan; above it 403.
        - `max_upload_bytes`: the largest upload; the documentation names no limit.
        """
        if limits is True:
            limits = SandboxLimits()
        self._settings = Settings(
            host=host,
            port=port,
            token=token,
            credits=credits,
            limits=limits or None,
            seconds_per_image=seconds_per_image,
            image_scale=image_scale,
            render=render,
            retention=retention,
            keepalive=keepalive,
            url_life=url_life,
            visible_after=visible_after,
            request_delay=request_delay,
            max_size=max_size,
            max_upload_bytes=max_upload_bytes,
        )
        self.faults: Faults = faults if faults is not None else Faults()
        """What goes wrong. May be changed at any time."""
        self._started = False
        self._stack = AsyncExitStack()
        self._parts = build(self._settings, self.faults)

    @property
    def token(self) -> str:
        """The only token that this server accepts."""
        return self._settings.token

    @property
    def url(self) -> str:
        """Base URL of the API."""
        if not self._parts.api.url:
            raise RuntimeError("the sandbox has no URL before it is started")
        return self._parts.api.url

    @property
    def books(self) -> Books:
        """What has happened so far; readable while it runs and after it has stopped."""
        return self._parts.books

    async def start(self) -> None:
        """Listen on both origins."""
        if self._started:
            raise RuntimeError("a Sandbox is started once; make a new one")
        self._started = True
        try:
            await self._parts.open(self._settings, self._stack)
        except BaseException:
            await self._stack.aclose()
            raise

    async def stop(self) -> None:
        """End every job, stream and connection, and delete every file. Does nothing twice."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def emit(self, name: str, data: JsonObject) -> int:
        """Make a notification out of nowhere, such as one of somebody else's job."""
        return self._parts.board.emit(name, data)

    async def cut_streams(self) -> None:
        """Hang up on every open event stream, and return when all have gone."""
        await self._parts.streams.cut()

    async def stop_streams(self) -> None:
        """Hang up, and refuse new streams with 503 until `allow_streams`."""
        self.faults.stream_refuse = True
        await self._parts.streams.cut()

    def allow_streams(self) -> None:
        """Take streams again."""
        self.faults.stream_refuse = False
