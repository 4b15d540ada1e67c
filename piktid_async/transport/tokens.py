"""Where the token comes from, and when it is asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from piktid_async.errors import ConfigurationError
from piktid_async.types import Secret

TokenSource: TypeAlias = "Secret | LiveSource | Callable[[], Awaitable[str]]"


@runtime_checkable
class LiveSource(Protocol):
    """A source that knows its token's age, so that it is asked before each request."""

    async def __call__(self) -> str:
        """Return a token to use now."""

    async def fresh_token(self, refused: str | None = None) -> str:
        """Return a token to use now, and not the one that was refused."""


@runtime_checkable
class BoundSource(Protocol):
    """A source that gets its tokens from one server, and must be told which."""

    def serve(self, base_url: str) -> None:
        """Take note of the server that the tokens are for; raise if they are another's."""


class Tokens:
    """Hand out the current token; renew it once for all who were refused with the same one."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        # Once: to compare with a protocol costs as much as half a request.
        self._live = source if isinstance(source, LiveSource) else None
        self._current = source if isinstance(source, Secret) else None
        self._lock = asyncio.Lock()

    async def current(self) -> Secret:
        """Return the token, asking its source the first time, or always if it is a live one."""
        if self._live is not None:
            return checked_token(await self._live.fresh_token())
        return self._current or await self._ask(stale=None)

    async def renew(self, stale: Secret) -> Secret | None:
        """Return a newer token than the refused one; None if the source is a fixed text."""
        if isinstance(self._source, Secret):
            return None
        if self._live is not None:
            return checked_token(await self._live.fresh_token(refused=stale.reveal()))
        return await self._ask(stale=stale)

    async def _ask(self, stale: Secret | None) -> Secret:
        async with self._lock:
            if self._current is not None and self._current is not stale:
                return self._current
            assert not isinstance(self._source, Secret)
            self._current = checked_token(await self._source())
            return self._current


def bearer(token: Secret) -> dict[str, str]:
    """Return the header that carries the token to the On-Model API."""
    return {"Authorization": f"Bearer {token.reveal()}"}


def checked_token(token: object) -> Secret:
    """Return the token as a secret; what cannot stand in a header is refused, unseen."""
    secret = Secret(token) if isinstance(token, str) else token
    del token  # error trackers send the variables of a frame along
    if not isinstance(secret, Secret) or not secret.reveal().strip():
        raise ConfigurationError("the token must be a non-empty text, or an async function of one")
    if not fits_a_header(secret.reveal()):
        raise ConfigurationError("the token holds characters that no token has (line end? space?)")
    return secret


def fits_a_header(text: str) -> bool:
    """Whether a token or key holds nothing that a header's value may not."""
    return text.isascii() and text.isprintable() and " " not in text
