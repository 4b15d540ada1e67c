"""Webhooks: registering one, verifying what is posted to it, and feeding it to a session.

A receiver is a second ear beside the event stream. Both feed the same dispatcher, so each
notification counts once whichever way it came, and is acknowledged the same way: a posted
notification is also in the account's list, and would be replayed on the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, MutableSet
from typing import TYPE_CHECKING, Protocol

from piktid_async.errors import (
    ConfigurationError,
    ResponseFormatError,
    SessionClosedError,
    WebhookSignatureError,
)
from piktid_async.logs import about
from piktid_async.models.notifications import Notification, WireNotification
from piktid_async.models.webhooks import WebhookRegistration, checked_webhook_url
from piktid_async.protocol import codec, endpoints, signatures
from piktid_async.protocol.feed import NO_ID, read_webhook
from piktid_async.protocol.signatures import Headers
from piktid_async.runtime import Runtime
from piktid_async.transport.asgi import AsgiApp
from piktid_async.transport.incoming import Blocks, read_bounded

if TYPE_CHECKING:
    from piktid_async.transport._aiohttp_web import Request, Response

__all__ = [
    "MAX_BODY",
    "Headers",
    "Secrets",
    "WebhookReceiver",
    "WebhookRegistration",
    "Webhooks",
    "sign",
    "unwrap",
]

_log = logging.getLogger("piktid_async.webhooks")

MAX_BODY = 1_048_576
"""Bytes of a body that are read at most; documented notifications have a few hundred."""


def sign(body: bytes, secret: str) -> str:
    """Return the value of `X-Webhook-Signature` for a body, for tests of your own receiver."""
    return signatures.sign(body, secret)


def unwrap(body: bytes, headers: Headers, *secrets: str) -> Notification:
    """Verify a posted notification, and only then read it.

    `body` is the raw request body, byte for byte; `headers` a mapping in any case, a framework's
    header object, or pairs. Several secrets are accepted while one is being rotated. Raises
    `WebhookSignatureError` if none has signed the body, or if it is longer than `MAX_BODY`;
    `ResponseFormatError` if it is signed and no notification all the same.

    A `ping`, whose body is not documented, is a notification too: its `id` is "" and its
    `timestamp` 0 where it has none. No time is signed: tell replays by the `id`, or let a
    `WebhookReceiver` do it. `note.ack()` needs a session, so it raises here.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise ConfigurationError(
            f"unwrap needs the raw body as bytes, not {type(body).__name__}: "
            "parsed and written again it has another signature"
        )
    try:
        return codec.notification(_verified(bytes(body), headers, secrets, MAX_BODY))
    except (WebhookSignatureError, ResponseFormatError, ConfigurationError) as error:
        failure = error.with_traceback(None)
    # Error trackers send the variables of a frame along.
    del body, headers, secrets
    raise failure


class Secrets(MutableSet[str]):
    """The secrets a receiver accepts: `add` the new one, later `discard` the old one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets: dict[str, None] = {}
        for secret in secrets:
            self.add(secret)

    def add(self, value: str) -> None:
        """Accept what is signed with this one, too."""
        self._secrets[signatures.checked_secret(value)] = None

    def discard(self, value: str) -> None:
        """Accept it no more."""
        self._secrets.pop(value, None)

    def __contains__(self, value: object) -> bool:
        return value in self._secrets

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._secrets))

    def __len__(self) -> int:
        return len(self._secrets)

    def __repr__(self) -> str:
        return f"<{len(self)} webhook secrets>"


class Webhooks:
    """`session.webhooks`: the account's one webhook."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def register(self, url: str) -> WebhookRegistration:
        """Have the account's notifications posted to `url`; one request, and not a harmless one.

        - Each call makes a new secret, also for the same URL. The old one is void at once: every
          other program that verifies with it refuses what comes from then on.
        - An account has one webhook. This one replaces whatever was registered before.
        - The service posts a `ping` before it answers, so before its secret is known here. A
          receiver refuses that with 401, which does no harm.

        So call it once for an account, not in each process at its start, and keep the secret.
        `url` must be https; http is accepted for loopback, where the sandbox is. The call is
        repeated only if it certainly never left, or if you repeat it: after a time-out the
        secret may or may not have changed, and calling again makes a known one. Raises
        `InvalidRequestError`, `ConnectionFailedError`, `StatusError`.
        https://docs.piktid.com/docs/v2/webhooks/upsert_webhook__put
        """
        call = endpoints.register_webhook(checked_webhook_url(url))
        return await self._runtime.connect().caller.execute(call)


class HasWebhooks(Protocol):
    """A `Session`, as far as a receiver needs one."""

    @property
    def webhooks(self) -> Webhooks:
        """The session's webhook calls, which know what jobs and feeds it has."""


class WebhookReceiver:
    """Take posted notifications, and feed them to a session's jobs and feeds.

    ```python
    receiver = WebhookReceiver(session, secret)
    app.router.add_post("/webhooks/piktid", receiver.aiohttp_handler)   # aiohttp.web
    app.mount("/webhooks", receiver.asgi_app)                           # FastAPI, Starlette
    ```

    It answers 204 for what is taken in, also for a replay; 401 without a right signature; 400
    for a signed body that is no notification; 405 for all but POST; 413 past `max_body`; 503
    while the session is closed or in use in another running loop. It never says more.

    It works beside the stream, and in its place: with `Session(stream=False)` jobs live on
    webhooks, and on a status call now and then in case one is lost. Without a secret everything
    is refused; `secrets` may be changed at any time.
    """

    def __init__(self, session: HasWebhooks, *secrets: str, max_body: int = MAX_BODY) -> None:
        self._runtime = session.webhooks._runtime
        self._max_body = max_body
        self.secrets: Secrets = Secrets(secrets)
        """Accepted secrets; two while one is being rotated."""
        self.asgi_app: AsgiApp = AsgiApp(self._answer)
        """An ASGI 3 application, to be mounted or served by itself; it answers on every path."""

    async def aiohttp_handler(self, request: Request) -> Response:
        """Answer a request of aiohttp.web."""
        from piktid_async.transport import _aiohttp_web

        return await _aiohttp_web.answer(request, self._answer)

    async def _answer(self, method: str, headers: Headers, blocks: Blocks) -> int:
        if method != "POST":
            return 405
        body = await read_bounded(headers, blocks, self._max_body)
        if body is None:
            return 413
        try:
            wire = _verified(body, headers, self.secrets, self._max_body)
        except WebhookSignatureError as error:
            _log.info("a webhook was refused: %s", error, extra=about(status=401))
            return 401
        except ResponseFormatError as error:
            _log.warning("a signed webhook was left out: %s", error, extra=about(status=400))
            return 400
        return self._take(wire)

    def _take(self, wire: WireNotification) -> int:
        if wire.id == NO_ID:
            return 204  # a ping that cannot be told from the next one, nor acknowledged
        runtime = self._runtime
        try:
            # Acknowledgements need the connections of this loop; it may be the first use in it.
            runtime.connect()
        except (SessionClosedError, ConfigurationError) as error:
            _log.warning("a webhook could not be taken in: %s", error, extra=about(status=503))
            return 503
        runtime.dispatcher.receive(wire, runtime.clock())
        runtime.pump()
        return 204


def _verified(body: bytes, headers: Headers, secrets: Iterable[str], most: int) -> WireNotification:
    if len(body) > most:
        raise WebhookSignatureError(f"not verified: the body has more than {most} bytes")
    signatures.verify(body, headers, secrets)
    return read_webhook(body)
