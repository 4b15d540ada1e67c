"""The front door of the sandbox: what a test or a demo holds in its hand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

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
        - `credits`: what the account starts with.
        - `limits`: `True` for the documented ones, `None` or `False` for none.
        - `seconds_per_image`: how long one output takes, beside the work itself.
        - `image_scale`: edge of an output = its documented size x this; an exact size, too.
        - `render`: `False` gives every output the same tiny JPEG, for load tests.
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
        self._started = False
        self._stack = AsyncExitStack()
        self._parts = build(self._settings, self.faults)

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
