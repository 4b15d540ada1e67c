"""Settings that every session checks when it is built."""

from __future__ import annotations

from urllib.parse import urlsplit

from piktid_async.errors import ConfigurationError


def checked_base_url(url: str, example: str) -> str:
    """Return where the API is, without a slash at the end; a key only travels encrypted."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("base_url must be an http(s) URL such as " + example)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("base_url takes no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(
            "base_url would send the token unencrypted: use https (http is for loopback only)"
        )
    return url.rstrip("/")


def positive(field: str, value: object) -> float:
    """Return a number of seconds above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError(f"{field} must be positive seconds, not {value!r}")
    return float(value)


def count(field: str, value: object, *, at_least: int) -> int:
    """Return a whole number that is large enough."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigurationError(f"{field} must be {at_least} or more, not {value!r}")
    return value


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
