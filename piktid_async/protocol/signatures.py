"""Signatures of webhooks: HMAC-SHA256 over the raw body, as the guides show it.

No time is signed with it, so a body that was once valid stays valid: who receives tells a replay
by the notification's id. https://docs.piktid.com/docs/v2/garment-recolor ("Tracking progress")
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeAlias

from piktid_async.errors import ConfigurationError, WebhookSignatureError

HEADER: Final = "X-Webhook-Signature"
_FORM = re.compile(r"sha256=[0-9a-f]{64}")


class HasItems(Protocol):
    """A mapping, or one of the web frameworks' header classes."""

    def items(self) -> Iterable[tuple[str | bytes, str | bytes]]:
        """Name and value of each header."""


Headers: TypeAlias = HasItems | Iterable[tuple[str | bytes, str | bytes]]
"""Headers of a request in whatever form a framework has them; the case of names is ignored."""


def sign(body: bytes, secret: str) -> str:
    """Return the value of the header `X-Webhook-Signature` for a body."""
    key = checked_secret(secret).encode()
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def checked_secret(value: object) -> str:
    """Return what can be a secret: anybody could sign with an empty one."""
    if not isinstance(value, str) or not value:
        raise ConfigurationError("a webhook secret is a non-empty text, as register() returned it")
    return value


def verify(body: bytes, headers: Headers, secrets: Iterable[str]) -> None:
    """Raise `WebhookSignatureError` unless one of the secrets has signed exactly this body."""
    given = _signature(headers).encode()
    expected = [sign(body, secret).encode() for secret in secrets]
    # All are compared, each in constant time: the time taken tells nothing about any of them.
    matches = [hmac.compare_digest(given, each) for each in expected]
    if not matches:
        raise WebhookSignatureError("there is no secret to verify the signature with")
    if not any(matches):
        raise WebhookSignatureError(
            f"the signature fits none of the {len(matches)} secrets given: the secret is another "
            "one (each registration makes a new one), or these are not the raw bytes that were "
            "sent"
        )


def values(headers: Headers, name: str) -> Iterator[str]:
    """Yield every value of a header, however its name is written."""
    wanted = name.lower()
    for key, value in _pairs(headers):
        if _text(key).lower() == wanted:
            yield _text(value)


def _pairs(headers: Headers) -> list[tuple[str | bytes, str | bytes]]:
    try:
        return [
            (key, value)
            for key, value in (headers.items() if hasattr(headers, "items") else headers)
        ]
    except (TypeError, ValueError):
        raise ConfigurationError(
            "headers are a mapping of names to values, or pairs of them, "
            f"not {type(headers).__name__}"
        ) from None


def _signature(headers: Headers) -> str:
    found = list(values(headers, HEADER))
    if not found:
        raise WebhookSignatureError(f"the header {HEADER} is missing")
    if len(found) > 1:
        raise WebhookSignatureError(f"the header {HEADER} came {len(found)} times")
    if not _FORM.fullmatch(found[0]):
        raise WebhookSignatureError(
            f"the header {HEADER} is not 'sha256=' and 64 hexadecimal digits"
        )
    return found[0]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise ConfigurationError(
            f"names and values of headers are texts or bytes, not {type(value).__name__}"
        )
    return value
