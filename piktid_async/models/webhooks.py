"""The account's webhook."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.types import redact_url


@attrs.frozen(kw_only=True)
class WebhookRegistration:
    """Where notifications are posted from now on, and the secret they are signed with."""

    id: int | str
    url: str = attrs.field(repr=redact_url)
    secret: str = attrs.field(default="", repr=False)
    """Shown this once; the next registration makes another one. Empty if the answer has none."""
    is_active: bool = True
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_response_status: int | None = None
    """What the receiver answered last, where the service tells."""
    last_response_at: datetime | None = None


def checked_webhook_url(url: object) -> str:
    """Return the URL if notifications may be posted to it; it is never shown, it may hold a key."""
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        raise InvalidRequestError("url", "must be a URL such as https://example.com/webhooks")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise InvalidRequestError("url", "must be a URL such as https://example.com/webhooks")
    if parts.scheme == "http" and not _is_loopback(host):
        raise InvalidRequestError("url", "must be https: plain http is for loopback only")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
