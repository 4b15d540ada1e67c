"""`/auth`: API tokens, login and refresh."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from datetime import UTC, datetime
from typing import Any

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import (
    JsonObject,
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
)
from piktid_async.sandbox.paging import paged, query_flag
from piktid_async.sandbox.state import Account, iso
from piktid_async.sandbox.tokens import MOST_TOKENS, Pair, Token, TokenBook

LOGIN_PATH = "/auth/login"
REFRESH_PATH = "/auth/refresh"

_HOUR = 3600.0
_SHORTEST, _LONGEST = _HOUR, (4 * 365 + 1) * 24 * _HOUR

# The two forms that the reference names beside a number of seconds.
_CLOCK = re.compile(r"(?:(\d+)[dD],?)?(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)?")
_ISO = re.compile(
    r"P(?:(\d+)W|(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?)"
)
_DAY = 24 * _HOUR
_ISO_UNITS = (7 * _DAY, 365 * _DAY, 30 * _DAY, _DAY, _HOUR, 60.0, 1.0)
_CLOCK_UNITS = (_DAY, _HOUR, 60.0, 1.0)


@attrs.frozen(kw_only=True)
class TokenRoutes:
    """`/auth/...`."""

    account: Account
    tokens: TokenBook
    email: str
    password: str

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/auth/token", self.create),
            web.get("/auth/token", self.list),
            web.post(LOGIN_PATH, self.login),
            web.post(REFRESH_PATH, self.refresh),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make an API token, and show it this once."""
        life = _seconds((await json_object(request)).get("expiration"))
        if life is None:
            raise invalid(problem("expiration", "Not a valid duration."))
        if not _SHORTEST <= life <= _LONGEST:
            raise invalid(problem("expiration", "Must be between 1 hour and 4 years."))
        if len(self.tokens.active()) >= MOST_TOKENS:
            # The reference names the number, and not the answer.
            raise refuse(400, f"A maximum of {MOST_TOKENS} active API tokens are allowed.")
        token = self.tokens.make(life)
        return json_answer({"token": token.value, "expiration_date": _exact(token)})

    async def list(self, request: web.Request) -> web.Response:
        """List what is known of the API tokens."""
        expired = query_flag(request, "include_expired", default=False)
        page, pagination = paged(request, self.tokens.made if expired else self.tokens.active())
        rows = [{"token_id": each.token_id, "expiration_date": _exact(each)} for each in page]
        return json_answer({"pagination": pagination, "tokens": rows})

    async def login(self, request: web.Request) -> web.Response:
        """Hand out a pair for e-mail and password."""
        if not self._right(request.headers.get("Authorization", "")):
            raise refuse(401, "Invalid email or password")
        return json_answer({**_shown(self.tokens.log_in()), "user": self._user()})

    async def refresh(self, request: web.Request) -> web.Response:
        """Hand out the next pair."""
        value = (await json_object(request)).get("refresh_token")
        if not isinstance(value, str):
            raise invalid(problem("refresh_token", "Missing data for required field."))
        pair = self.tokens.refresh(value)
        if pair is None:
            raise refuse(401, "Invalid or expired refresh token")
        return json_answer(_shown(pair))

    def _right(self, header: str) -> bool:
        scheme, _, encoded = header.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return False
        return hmac.compare_digest(given, f"{self.email}:{self.password}".encode())

    def _user(self) -> JsonObject:
        return {
            "username": "sandbox",
            "email": self.email,
            "name": "Sand",
            "surname": "Box",
            "verified": True,
            "credits": self.account.credits_left,
            "contract": "sandbox",
            "affiliation": "sandbox",
            "address": None,
            "country": None,
            "vat_num": None,
            "groups": ["sandbox"],
            "last_active": iso(datetime.now(UTC).timestamp()),
        }


def _shown(pair: Pair) -> JsonObject:
    return {
        "token": pair.access.value,
        "expiration_date": _exact(pair.access),
        "refresh_token": pair.refresh.value,
        "refresh_expiration": _exact(pair.refresh),
    }


def _exact(token: Token) -> str:
    return datetime.fromtimestamp(token.expires, UTC).isoformat().replace("+00:00", "Z")


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    if found := _ISO.fullmatch(value):
        return _summed(found, _ISO_UNITS)
    found = _CLOCK.fullmatch(value)
    return _summed(found, _CLOCK_UNITS) if found else None


def _summed(found: re.Match[str], units: tuple[float, ...]) -> float | None:
    parts = [float(part) * unit for part, unit in zip(found.groups(), units, strict=True) if part]
    return sum(parts) if parts else None
