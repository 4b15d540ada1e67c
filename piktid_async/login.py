"""Tokens by e-mail and password, for accounts that have no API token.

Theory of operation
-------------------
The service hands out pairs: a token, and a refresh token that buys the next pair, once. Whoever
asks for a token gets the one at hand while it is good. Once it is near its end, or was refused,
one task gets the next pair for all who ask; it is not ended when one of them is cancelled, for
then a refresh token would be used up and its successor lost.

A refresh token is never sent a second time, as the service may take that for theft and revoke
every token of the account. So when a refresh ends in anything but its answer, the next step is
a login with the password, and not another refresh.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable
from functools import partial

import attrs

from piktid_async.connections import RETRY
from piktid_async.errors import ConfigurationError, PiktidError
from piktid_async.models.account import Profile, TokenPair
from piktid_async.protocol import endpoints
from piktid_async.protocol.endpoints.building import date_or_none
from piktid_async.protocol.messages import Call
from piktid_async.session import BASE_URL_VARIABLE, DEFAULT_BASE_URL
from piktid_async.transport.retrying import Caller
from piktid_async.transport.settings import checked_base_url, positive
from piktid_async.transport.tokens import Tokens
from piktid_async.types import Secret

MARGIN = 60.0
"""Seconds before its end at which a token is replaced, or a tenth of its life if that is less."""
MAX_RETRIES = 3


@attrs.frozen
class _Pair:
    token: Secret
    refresh: Secret | None
    good_until: float | None
    """Unix seconds; None where the service does not tell."""

    def good(self, refused: str | None, now: float) -> bool:
        if refused is not None and refused == self.token.reveal():
            return False
        return self.good_until is None or now < self.good_until


class PasswordLogin:
    """A source of tokens: `Session(PasswordLogin("me@example.com", password))`.

    Nothing is sent when it is built. It can serve several sessions of one event loop at a time.
    Neither password nor tokens show in its repr, in logs or in errors; a wrong password raises
    `AuthenticationError` from whatever call needed the token. The vendor itself advises API
    tokens, see `session.tokens`.

    - `base_url`: absent: that of its session; without one `PIKTID_BASE_URL`, then the service.
      A session of another one is refused: the password goes to one server alone.
    - `timeout`: seconds for one login or refresh. `proxy`: URL of an HTTP proxy. `clock`: Unix
      seconds, for tests.

    https://docs.piktid.com/docs/v2/authentication/login__post
    """

    def __init__(
        self,
        email: str,
        password: str,
        base_url: str | None = None,
        *,
        timeout: float = 60.0,
        proxy: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        hidden = Secret(password) if isinstance(password, str) else password
        del password  # error trackers send the variables of a frame along
        self._basic = _basic(email, hidden)
        self._base_url = base_url and checked_base_url(base_url, DEFAULT_BASE_URL)
        self._timeout = positive("timeout", timeout)
        self._proxy = proxy
        self._clock = clock
        self._pair: _Pair | None = None
        self._pid = os.getpid()
        self._profile: Profile | None = None
        self._renewing: asyncio.Task[_Pair] | None = None

    def __repr__(self) -> str:
        return f"<PasswordLogin {getattr(self, '_base_url', None) or ''}>"

    def serve(self, base_url: str) -> None:
        """Get tokens from this server, and from no other; called by each session.

        Raises `ConfigurationError` if it is for another one already.
        """
        if self._base_url not in (None, base_url):
            raise ConfigurationError(
                f"the login is for {self._base_url}, the session for {base_url}: "
                "give both the same base_url, or none to the login"
            )
        self._base_url = base_url

    @property
    def profile(self) -> Profile | None:
        """What the newest login told of the user, credits included; None before the first."""
        return self._profile

    async def __call__(self) -> str:
        """Return a token that is good now; no request while the last one is."""
        return await self.fresh_token()

    async def fresh_token(self, refused: str | None = None) -> str:
        """Return a token that is good now, and not the one that was refused.

        At most one refresh or login, whoever else asks meanwhile. Raises `AuthenticationError`
        for a wrong password, `StatusError` and `ConnectionFailedError`.
        """
        if self._pid != os.getpid():
            # A fork has copied it; its refresh token is for the parent to use, once.
            self._pid, self._pair = os.getpid(), None
        pair = self._pair
        good = pair is not None and pair.good(refused, self._clock())
        del refused  # error trackers send the variables of a frame along
        if pair is None or not good:
            pair = await self._renewed()
        return pair.token.reveal()

    async def fetch_profile(self) -> Profile:
        """Log in anew and return the user, with the credits that are left; one request.

        No other endpoint is known to tell the balance.
        """
        await self._log_in()
        return self._profile or Profile()

    async def _renewed(self) -> _Pair:
        task = self._renewing
        # One that belongs to a loop that is gone will never end.
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._renewing = asyncio.ensure_future(self._renew())
            task.add_done_callback(_looked_at)
        # Shielded: the others wait for it, too, and its refresh token is used up either way.
        return await asyncio.shield(task)

    async def _renew(self) -> _Pair:
        refresh = self._pair.refresh if self._pair is not None else None
        # Gone before it is sent: it is good for one use.
        self._pair = None
        if refresh is not None:
            try:
                return await self._exchange(endpoints.refresh(refresh.reveal()), _without)
            except PiktidError:
                pass  # expired, revoked, or lost on the way: the password does not depend on it
        return await self._log_in()

    async def _log_in(self) -> _Pair:
        return await self._exchange(endpoints.login(), partial(_with, self._basic))

    async def _exchange(
        self, call: Call[TokenPair], credentials: Callable[[Secret], dict[str, str]]
    ) -> _Pair:
        if not self._base_url:
            self._base_url = checked_base_url(
                os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL, DEFAULT_BASE_URL
            )
        # As in the session: aiohttp costs more to import than all the rest.
        from piktid_async.transport._aiohttp import AiohttpTransport, NetworkConfig

        network = NetworkConfig(
            base_url=self._base_url,
            timeout=self._timeout,
            upload_concurrency=1,
            download_concurrency=1,
            proxy=self._proxy,
            credentials=credentials,
        )
        # Once in hours or days: not worth a connection that somebody would have to close.
        transport = AiohttpTransport(network, Tokens(Secret("")))
        try:
            answer = await Caller(transport, MAX_RETRIES, RETRY).execute(call)
        finally:
            await transport.aclose()
        return self._keep(answer)

    def _keep(self, answer: TokenPair) -> _Pair:
        refresh = None if answer.refresh_token is None else Secret(answer.refresh_token)
        if answer.user is not None:
            self._profile = answer.user
        until = _good_until(answer.expiration_date, self._clock())
        self._pair = _Pair(Secret(answer.token), refresh, until)
        return self._pair


def _looked_at(task: asyncio.Task[_Pair]) -> None:
    if not task.cancelled():
        # Whoever awaits the task gets its error; if nobody does any more, it is not news.
        task.exception()


def _good_until(expiration: str | None, now: float) -> float | None:
    end = date_or_none(expiration)
    if end is None:
        return None
    left = end.timestamp() - now
    # An end in the past means that a clock is off: the service will say when it is over.
    return None if left <= 0 else now + left - min(MARGIN, left / 10)


def _basic(email: object, password: object) -> Secret:
    if not isinstance(email, str) or not email.strip() or ":" in email:
        raise ConfigurationError("email must be a non-empty text without a colon")
    if not isinstance(password, Secret) or not password.reveal():
        raise ConfigurationError("password must be a non-empty text")
    return Secret(base64.b64encode(f"{email}:{password.reveal()}".encode()).decode())


def _with(basic: Secret, _: Secret) -> dict[str, str]:
    return {"Authorization": f"Basic {basic.reveal()}"}


def _without(_: Secret) -> dict[str, str]:
    return {}
