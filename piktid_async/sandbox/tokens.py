"""Tokens that are good for a while, and the pairs that a login hands out. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

import attrs

from piktid_async.sandbox.ledger import Ledger

# https://docs.piktid.com/docs/v2/authentication/generate_new_token__post
MOST_TOKENS = 20


@attrs.define(kw_only=True, eq=False)
class Token:
    """Something that opens the door until it expires."""

    value: str
    expires: float

    @property
    def token_id(self) -> str:
        """What a list shows of it."""
        return hashlib.sha256(self.value.encode()).hexdigest()

    @property
    def expired(self) -> bool:
        """Whether it is of no more use."""
        return time.time() >= self.expires


@attrs.frozen(kw_only=True)
class Pair:
    """What a login or a refresh hands out."""

    access: Token
    refresh: Token


class TokenBook:
    """Every token of the account."""

    def __init__(
        self, *, permanent: str, login_life: float, refresh_life: float, ledger: Ledger
    ) -> None:
        ledger.keep("tokens", lambda: (self.made, self._logins, self._used), self._restore)
        self._permanent = permanent
        self._login_life = login_life
        self._refresh_life = refresh_life
        self.made: list[Token] = []
        """API tokens, oldest first."""
        self._logins: list[Pair] = []
        self._used: set[str] = set()

    def _restore(self, kept: tuple[list[Token], list[Pair], set[str]]) -> None:
        self.made, self._logins, self._used = kept

    def accepts(self, value: str) -> bool:
        """Tell whether a bearer may pass."""
        given = value.encode(errors="surrogateescape")
        if hmac.compare_digest(given, self._permanent.encode()):
            return True
        known = [*self.made, *(pair.access for pair in self._logins)]
        return any(
            hmac.compare_digest(given, token.value.encode()) and not token.expired
            for token in known
        )

    def active(self) -> list[Token]:
        """List the API tokens that are still good."""
        return [token for token in self.made if not token.expired]

    def make(self, life: float) -> Token:
        """Make an API token."""
        token = _token("api", life)
        self.made.append(token)
        return token

    def log_in(self) -> Pair:
        """Make a pair."""
        access, refresh = _token("access", self._login_life), _token("refresh", self._refresh_life)
        pair = Pair(access=access, refresh=refresh)
        self._logins.append(pair)
        return pair

    def refresh(self, value: str) -> Pair | None:
        """Give a new pair for a refresh token, once.

        A second use revokes every login, as the first version of the API says it does; of this
        one nothing is known, and a client does well to fear the worse.
        """
        if value in self._used:
            self._logins.clear()
            return None
        for pair in self._logins:
            if pair.refresh.value == value and not pair.refresh.expired:
                self._used.add(value)
                self._logins.remove(pair)
                return self.log_in()
        return None

    def expire(self) -> None:
        """Let every token but the permanent one expire now; refresh tokens stay good."""
        for token in [*self.made, *(pair.access for pair in self._logins)]:
            token.expires = min(token.expires, time.time())


def _token(kind: str, life: float) -> Token:
    return Token(value=f"{kind}-{secrets.token_urlsafe(32)}", expires=time.time() + life)
