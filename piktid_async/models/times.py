"""Moments and durations, as the service writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TypeAlias

from piktid_async.errors import InvalidRequestError

Moment: TypeAlias = "datetime | date | str"
"""A datetime with its time zone, a day (from its midnight, UTC), or ISO 8601 text."""

SHORTEST_TOKEN = timedelta(hours=1)
LONGEST_TOKEN = timedelta(days=4 * 365 + 1)

# https://docs.piktid.com/docs/v2/authentication/generate_new_token__post
_DAYS_AND_CLOCK = re.compile(
    r"(?P<minus>-)?(?:(?P<days>\d+)[dD],?)?"
    r"(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):)?(?P<seconds>\d+(?:\.\d+)?)?"
)
_ISO_8601 = re.compile(
    r"(?P<minus>-)?P(?:(?P<weeks>\d+)W|(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?)"
)
_SECONDS = {
    "years": 365 * 86400,
    "months": 30 * 86400,
    "weeks": 7 * 86400,
    "days": 86400,
    "hours": 3600,
    "minutes": 60,
    "seconds": 1,
}


def utc_text(field: str, value: Moment) -> str:
    """Return a moment as the service takes it; a datetime without a zone is refused."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidRequestError(
                field, f"needs a time zone, for the service counts in UTC: {value!r}"
            )
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidRequestError(
            field, f"must be a datetime, a date or ISO 8601 text, not {value!r}"
        ) from None
    return value


def token_life(value: timedelta | str | float) -> str | int | float:
    """Return a token's life as the service takes it; it must be from 1 hour to 4 years."""
    life: timedelta | None = None
    if isinstance(value, timedelta):
        life = value
    elif isinstance(value, str):
        life = _parsed(value)
    elif not isinstance(value, bool) and isinstance(value, int | float):
        # NaN and what no timedelta can hold are out of bounds anyway.
        life = timedelta(seconds=value) if 0 < value < 1e12 else timedelta()
    if life is None:
        raise InvalidRequestError(
            "expiration",
            f"must be a timedelta, seconds, 'P30D' or '30D' and the like, not {value!r}",
        )
    if not SHORTEST_TOKEN <= life <= LONGEST_TOKEN:
        raise InvalidRequestError("expiration", f"must be from 1 hour to 4 years, not {value!r}")
    if not isinstance(value, timedelta):
        return value
    seconds = life.total_seconds()
    return int(seconds) if seconds.is_integer() else seconds


def _parsed(text: str) -> timedelta | None:
    found = _ISO_8601.fullmatch(text) or _DAYS_AND_CLOCK.fullmatch(text)
    parts = {name: part for name, part in found.groupdict().items() if part} if found else {}
    minus = parts.pop("minus", None)
    if not parts:
        return None
    seconds = sum(float(part) * _SECONDS[name] for name, part in parts.items())
    return timedelta(seconds=min(seconds, 1e12) * (-1 if minus else 1))
