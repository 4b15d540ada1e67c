"""The account's webhook: its notifications are posted to it, signed, one after the other.

Documented: `PUT /webhooks` makes a new secret each time and shows it once, a `ping` is sent on
save, bodies are notifications, and the signature's header and algorithm.
https://docs.piktid.com/docs/v2/webhooks/upsert_webhook__put

Invented, for lack of a word about it: the order, the time-out, the retries, and the body of the
ping, which is the usual one with an id of its own. URLs beyond loopback are registered, and
nothing is ever sent to them.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import aiohttp
import attrs
from yarl import URL

from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.notifications import Filter, Notification, NotificationBoard, Subscription

_log = logging.getLogger(__name__)

TIMEOUT = 5.0
"""Seconds for one delivery."""
PING_WAIT = 0.5
"""Seconds that a registration waits at most for its ping, which is sent before the answer."""
PAUSES = (0.05, 0.2, 0.8)
"""Seconds between the tries of one delivery; then it is given up."""


@attrs.define(kw_only=True, eq=False)
class Webhook:
    """The one webhook of the account."""

    number: int
    url: URL
    secret: str = attrs.field(repr=False)
    created: float
    updated: float
    last_response_status: int | None = None
    last_response: float | None = None


class WebhookSender:
    """Posts what happens to the registered URL, and knows what was taken."""

    def __init__(
        self,
        *,
        board: NotificationBoard,
        faults: Faults,
        ledger: Ledger | None = None,
        timeout: float = TIMEOUT,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._ledger = ledger or Ledger()
        self._ledger.keep("webhook", self._kept, self._restore)
        self._board = board
        self._faults = faults
        self._timeout = timeout
        self._pauses = pauses
        self._hook: Webhook | None = None
        self._stack = ExitStack()
        self._subscription: Subscription | None = None
        self._worker: asyncio.Task[None] | None = None
        self._busy = False
        self._moved = asyncio.Event()
        self._pinged = asyncio.Event()
        self.delivered: list[int] = []
        """Ids in the order in which they were answered with 2xx."""
        self.given_up: list[int] = []
        """Ids that were not, in all their tries, or that would have left this machine."""

    def _kept(self) -> object:
        hook = self._hook and attrs.asdict(self._hook) | {"url": str(self._hook.url)}
        return hook, self.delivered, self.given_up

    def _restore(self, kept: tuple[dict[str, Any] | None, list[int], list[int]]) -> None:
        hook, self.delivered, self.given_up = kept
        if hook is not None:
            self._hook = Webhook(**hook | {"url": URL(hook["url"])})

    @property
    def hook(self) -> Webhook | None:
        """What is registered."""
        return self._hook

    def register(self, url: URL) -> Webhook:
        """Send to this URL from now on, signed with a new secret, and a ping before all else."""
        now = time.time()
        secret = secrets.token_hex(32)
        if self._hook is None:
            self._hook = Webhook(number=1, url=url, secret=secret, created=now, updated=now)
        else:
            self._hook.url, self._hook.secret, self._hook.updated = url, secret, now
        subscription = self._listen()[1] if self._subscription is None else self._subscription
        if not _is_loopback(url):
            _log.warning("%s is not on this machine: nothing is sent to it", url.origin())
        self._pinged = asyncio.Event()
        subscription.offer(self._board.unlisted("ping", {}))
        return self._hook

    async def pinged(self) -> None:
        """Return when the ping was sent once, or could have been."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_WAIT):
                await self._pinged.wait()

    def resume(self) -> None:
        """Go on after `close`, with what is outstanding and was not delivered."""
        if self._hook is None:
            return
        done = {*self.delivered, *self.given_up}
        backlog, subscription = self._listen()
        for note in backlog:
            if note.id not in done:
                subscription.offer(note)

    def _listen(self) -> tuple[list[Notification], Subscription]:
        backlog, subscription = self._stack.enter_context(self._board.subscribe(Filter()))
        self._subscription = subscription
        self._worker = asyncio.create_task(self._run(subscription), name="sandbox hook")
        return backlog, subscription

    async def idle(self) -> None:
        """Return when everything so far was delivered or given up."""
        while self._busy or (self._subscription is not None and self._subscription.waiting):
            self._moved.clear()
            await self._moved.wait()

    async def close(self) -> None:
        """Stop; what was not delivered yet never is."""
        self._stack.close()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._subscription, self._busy = None, False
        self._moved.set()

    async def _run(self, subscription: Subscription) -> None:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout), cookie_jar=aiohttp.DummyCookieJar()
        ) as http:
            while (note := await subscription.next()) is not None:
                self._busy = True
                for each in await self._jumbled(note, subscription):
                    await self._deliver(http, each)
                    self._ledger.touch("webhook")
                self._busy = False
                self._moved.set()
        self._moved.set()

    async def _jumbled(self, note: Notification, subscription: Subscription) -> list[Notification]:
        if subscription.waiting and self._faults.take("webhook_reorder"):
            following = await subscription.next()
            return [note] if following is None else [following, note]
        if self._faults.take("webhook_duplicate"):
            return [note, note]
        return [note]

    async def _deliver(self, http: aiohttp.ClientSession, note: Notification) -> None:
        hook = self._hook
        assert hook is not None
        for pause in (*self._pauses, None):
            # Asked each time: the webhook may have moved meanwhile.
            if not _is_loopback(hook.url):
                self._pinged.set()
                break
            if await self._post(http, hook, note):
                self.delivered.append(note.id)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        self.given_up.append(note.id)

    async def _post(self, http: aiohttp.ClientSession, hook: Webhook, note: Notification) -> bool:
        status = None
        try:
            async with http.post(
                hook.url,
                data=note.json,
                headers={
                    "Content-Type": "application/json",
                    "X-Webhook-Signature": _signature(hook.secret, note.json),
                },
                allow_redirects=False,
            ) as response:
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.info("the webhook did not answer: %s", error)
        hook.last_response_status, hook.last_response = status, time.time()
        if note.name == "ping":
            self._pinged.set()
        return status is not None and 200 <= status < 300


def _signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _is_loopback(url: URL) -> bool:
    try:
        return url.host == "localhost" or ipaddress.ip_address(url.host or "").is_loopback
    except ValueError:
        return False
