"""The front door of the sandbox: what a test or a demo holds in its hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.assembly import build
from piktid_async.sandbox.books import Books
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.settings import SandboxLimits, Settings

EMAIL = "sandbox@example.com"


class Sandbox:
    """A local On-Model server with one account.

    ```python
    async with Sandbox(seconds_per_image=0) as sandbox:
        ...  # talk to sandbox.url with sandbox.token
    ```

    It can be killed and started again on the same state and the same ports; once it is stopped,
    what it holds is gone, except `books`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        state: str | os.PathLike[str] | None = None,
        token: str = "sandbox-token",
        credits: float = 1_000_000.0,
        limits: SandboxLimits | bool | None = True,
        seconds_per_image: float = 0.3,
        image_scale: float = 1.0,
        render: bool | Literal["marked"] = True,
        retention: float = 600.0,
        keepalive: float = 15.0,
        url_life: float = 900.0,
        visible_after: float = 0.0,
        request_delay: float = 0.0,
        max_size: int = 4096,
        max_upload_bytes: int | None = None,
        custom_dimensions: bool = True,
        blocked_words: Iterable[str] = (),
        post_process_seconds: float = 0.0,
        password: str = "sandbox-password",
        login_life: float = 30 * 86400.0,
        vtryon_key: str = "sandbox-vtryon-key",
        vtryon_seconds: float = 1.0,
        faults: Faults | None = None,
    ) -> None:
        """Choose how the server behaves; nothing is opened yet.

        - `port`: of the API; the storage takes any free one.
        - `state`: a folder of its own, made if need be, that keeps everything: a sandbox that is
          stopped or killed goes on there where it ended, in a new process, too. It holds the
          tokens that were made; books begin anew, jobs, credits and notifications do not.
        - `credits`: what the account starts with.
        - `limits`: `True` for the documented ones, `None` or `False` for none.
        - `seconds_per_image`: how long one output takes, beside the work itself.
        - `image_scale`: edge of an output = its documented size x this; an exact size, too.
        - `render`: `False` gives every output the same tiny picture, for load tests, and
          `"marked"` a tiny one that differs from all others.
        - `retention`: seconds that a notification is kept for replay.
        - `keepalive`: seconds of silence before a comment on the stream.
        - `url_life`: seconds that signed URLs and ZIP links are good for.
        - `visible_after`: seconds after the 202 for which the status answers 404.
        - `request_delay`: seconds put before each answer.
        - `max_size`: the largest size of the plan, 1024, 2048 or 4096; above it 403.
        - `max_upload_bytes`: the largest upload; the documentation names no limit.
        - `custom_dimensions`: whether the plan allows outputs of an exact size; if not 403.
        - `blocked_words`: words of an Image Playground prompt that answer 403.
        - `post_process_seconds`: how long post-processing goes on after a job has completed.
        - `password`: for a login with the address `sandbox.email`.
        - `login_life`: seconds that the token of a login is good for.
        - `vtryon_seconds`: how long a Vtryon task takes, beside the work itself.
        """
        if limits is True:
            limits = SandboxLimits()
        self._settings = Settings(
            host=host,
            port=port,
            state=state,
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
            custom_dimensions=custom_dimensions,
            blocked_words=blocked_words,
            post_process_seconds=post_process_seconds,
            email=EMAIL,
            password=password,
            login_life=login_life,
            vtryon_key=vtryon_key,
            vtryon_seconds=vtryon_seconds,
        )
        self.faults: Faults = faults if faults is not None else Faults()
        """What goes wrong. May be changed at any time."""
        self._state: Literal["new", "running", "killed", "stopped"] = "new"
        self._changing = asyncio.Lock()
        self._lasting = AsyncExitStack()
        self._running = AsyncExitStack()
        self._restarting: asyncio.Task[None] | None = None
        self._parts = build(self._settings, self.faults, self._restart_soon)

    @property
    def token(self) -> str:
        """A token that never expires. Those made by `POST /auth/token` are accepted, too."""
        return self._settings.token

    @property
    def email(self) -> str:
        """The address that logs in."""
        return self._settings.email

    @property
    def password(self) -> str:
        """The password that goes with it."""
        return self._settings.password

    @property
    def url(self) -> str:
        """Base URL of the API."""
        if not self._parts.api.url:
            raise RuntimeError("the sandbox has no URL before it is started")
        return self._parts.api.url

    @property
    def vtryon_key(self) -> str:
        """The only key that the Vtryon API accepts."""
        return self._settings.vtryon_key

    @property
    def vtryon_url(self) -> str:
        """Base URL of the Vtryon API, an origin of its own."""
        if not self._parts.vtryon.url:
            raise RuntimeError("the sandbox has no URL before it is started")
        return self._parts.vtryon.url

    @property
    def books(self) -> Books:
        """What has happened so far; readable while it runs and after it has stopped."""
        return self._parts.books

    async def start(self) -> None:
        """Listen on all origins; after `kill` on the same ports, and the jobs go on.

        Raises `RuntimeError` when it runs already or was stopped, `OSError` when a port is taken
        or the folder `state` cannot be used.
        """
        async with self._changing:
            await self._start()

    async def stop(self) -> None:
        """End every job, stream and connection, and delete every file without `state`.

        Does nothing twice.
        """
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        async with self._changing:
            await self._close()

    async def kill(self) -> None:
        """Reset every connection and stop every job where it is, as if the process had been killed.

        Until `start` all ports refuse connections. Does nothing to a sandbox that does not run.
        """
        async with self._changing:
            if self._state == "running":
                self._state = "killed"
                await self._parts.kill()
                await self._running.aclose()

    async def restart(self, *, down: float = 0.0) -> None:
        """Kill it, and start it again on the same state and ports after `down` seconds."""
        await self.kill()
        await asyncio.sleep(down)
        await self.start()

    async def _start(self) -> None:
        if self._state not in ("new", "killed"):
            raise RuntimeError("a Sandbox is started once, or again after kill(); make a new one")
        try:
            if self._state == "new":
                self._parts.open(self._settings, self._lasting)
            self._state = "running"
            await self._parts.run(self._settings, self._running)
        except BaseException:
            await self._close()
            raise

    async def _close(self) -> None:
        if self._state != "new":
            self._state = "stopped"
        await self._running.aclose()
        await self._lasting.aclose()

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

    def _restart_soon(self) -> None:
        async def away() -> None:
            await self.kill()
            await asyncio.sleep(self.faults.down_seconds)
            async with self._changing:
                if self._state == "killed":  # else its user was quicker
                    await self._start()

        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.create_task(away(), name="sandbox restart")

    def emit(self, name: str, data: JsonObject) -> int:
        """Make a notification out of nowhere, such as one of somebody else's job."""
        return self._parts.board.emit(name, data)

    async def webhooks_idle(self) -> None:
        """Return when the webhook has had everything so far, or would not take it."""
        await self._parts.webhooks.idle()

    def expire_tokens(self) -> None:
        """Let every token that was made here expire now; `token` and refresh tokens do not."""
        self._parts.tokens.expire()

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
