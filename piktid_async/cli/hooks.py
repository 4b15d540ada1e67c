"""`piktid webhook`: register the account's one webhook, and receive what is posted to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import attrs
from aiohttp import web

from piktid_async import Notification, Session, WebhookSignatureError
from piktid_async.cli import stopping
from piktid_async.cli.asking import ask
from piktid_async.cli.errors import Exit, Trouble, clean, trouble_from
from piktid_async.cli.framing import console_on
from piktid_async.cli.progress import Lines, view_on
from piktid_async.errors import ConfigurationError, InvalidRequestError, ResponseFormatError
from piktid_async.models.webhooks import WebhookRegistration, checked_webhook_url
from piktid_async.webhooks import MAX_BODY, unwrap

SECRET_VARIABLE = "PIKTID_WEBHOOK_SECRET"

WARNING = (
    "This secret is shown this once and stored nowhere: keep it where your receiver reads it, for "
    f"example as {SECRET_VARIABLE}. Whatever verified with an older one refuses what comes now."
)


def register(url: str) -> WebhookRegistration:
    """Have the account's notifications posted to `url`; each call makes a new secret."""
    try:
        checked_webhook_url(url)
    except InvalidRequestError as error:
        raise trouble_from(error) from error

    async def work(session: Session, _: Lines) -> WebhookRegistration:
        return await session.webhooks.register(url)

    return ask(
        work,
        what="registering",
        stopped=lambda: "Stopped; the secret may have changed: run it again to have a known one.",
    )


def registration_json(made: WebhookRegistration) -> dict[str, Any]:
    """Tell programs, the secret included: there is no other place to have it from."""
    return {
        "ok": True,
        "exit_code": 0,
        "id": made.id,
        "url": made.url,
        "secret": made.secret,
        "is_active": made.is_active,
    }


def listen(show: Callable[[Notification], None], *, host: str, port: int, most: int | None) -> None:
    """Receive until Ctrl-C, or until there were so many; only what is signed is shown."""
    secret = os.environ.get(SECRET_VARIABLE, "").strip()
    if not secret:
        raise Trouble(
            f"No secret: {SECRET_VARIABLE} is not set. `piktid webhook register URL` shows a new "
            "one, once."
        )
    with view_on(console_on(err=True)) as view:
        receiver = _Receiver(secret, show, view, most)
        try:
            stopping.run(receiver.serve(host, port), lambda: "Stopped.")
        except Trouble as error:
            if error.code not in (Exit.INTERRUPTED, Exit.TERMINATED):
                raise
        except OSError as error:
            raise Trouble(
                f"Cannot listen on {host}:{port} ({error.strerror or error}): "
                "choose another --port."
            ) from error


@attrs.define
class _Receiver:
    secret: str = attrs.field(repr=False)
    show: Callable[[Notification], None]
    view: Lines
    most: int | None
    enough: asyncio.Event = attrs.field(factory=asyncio.Event)
    failure: BaseException | None = None

    async def serve(self, host: str, port: int) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self.receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            place = f"http://{host}:{runner.addresses[0][1]}/"
            self.view.note(f"listening on {place}, any path; Ctrl-C ends it")
            await self.enough.wait()
        finally:
            await runner.cleanup()
        if self.failure is not None:
            raise self.failure

    async def receive(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        body = await request.read()
        try:
            note = unwrap(body, request.headers, self.secret)
        except WebhookSignatureError as error:
            self.view.note(clean(f"refused: {error}"), style="yellow")
            return web.Response(status=401)
        except (ResponseFormatError, ConfigurationError) as error:
            self.view.note(clean(f"left out: {error}"), style="yellow")
            return web.Response(status=400)
        if not self.enough.is_set():
            self._take(note)
        return web.Response(status=204)

    def _take(self, note: Notification) -> None:
        try:
            with self.view.aside():
                self.show(note)
        except Exception as error:  # standard output is gone: nothing can be shown any more
            self.failure = error
            self.enough.set()
            return
        if self.most is not None:
            self.most -= 1
            if self.most <= 0:
                self.enough.set()
