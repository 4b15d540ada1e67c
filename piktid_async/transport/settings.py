"""Settings that every session checks when it is built."""

from __future__ import annotations

import ipaddress
import math
from urllib.parse import unquote, urlsplit

from piktid_async.errors import ConfigurationError


def checked_base_url(url: str, example: str) -> str:
    """Return where the API is, without a slash at the end; a key only travels encrypted."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except (ValueError, AttributeError):  # brackets, a port that is none, no text at all
        known = False
    if not known or not url.isprintable() or " " in url:
        raise ConfigurationError("base_url must be an http(s) URL such as " + example)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("base_url takes no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "base_url would send the token unencrypted: use https (http is for loopback only)"
        )
    return url.rstrip("/")


def positive(field: str, value: object) -> float:
    """Return a number of seconds above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (not 0 < value < math.inf):
        raise ConfigurationError(f"{field} must be positive seconds, not {value!r}")
    return float(value)


def count(field: str, value: object, *, at_least: int) -> int:
    """Return a whole number that is large enough."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigurationError(f"{field} must be {at_least} or more, not {value!r}")
    return value


def checked_proxy(proxy: object) -> str | None:
    """Return the proxy's URL as it is; what is no http(s) URL is refused, unseen."""
    if proxy is None:
        return None
    if not isinstance(proxy, str) or not _can_be_proxy(proxy):
        # Its password stays out of this.
        raise ConfigurationError(
            "proxy must be an http(s) URL such as http://user:password@host:3128"
        )
    return proxy


def _can_be_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        user = unquote(parts.username or "")
        # What a Basic header can hold.
        f"{user}:{unquote(parts.password or '')}".encode("latin-1")
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets, a port that is none, letters beyond latin-1
        return False
    return bool(known) and ":" not in user and url.isprintable() and " " not in url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        # Not by the first letters: 127.example.org is anybody's.
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
