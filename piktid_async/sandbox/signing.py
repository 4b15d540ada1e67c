"""Signed URLs in the manner of S3, and the XML errors of those that do not verify.

The signature covers the raw request target, so a client that decodes and re-encodes the URL is
found out; the targets hold characters that such a client would change.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import attrs

_SIGNATURE = "&X-Amz-Signature="
# A life this long is written in whole seconds, as S3 does; tests ask for shorter, exact ones.
_WHOLE_SECONDS = 60.0
# How far two clocks may be apart, as S3 has it.
_MOST_SKEW = 900.0


@attrs.define(slots=False, eq=False)
class StorageError(Exception):
    """An answer of the storage that is not the object."""

    status: int
    code: str
    message: str
    details: Mapping[str, str] = attrs.field(factory=dict)

    def xml(self) -> str:
        """Write the error as S3 does."""
        parts = {
            "Code": self.code,
            "Message": self.message,
            **self.details,
            "RequestId": secrets.token_hex(8).upper(),
            "HostId": secrets.token_urlsafe(24),
        }
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts.items())
        return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'


class UrlSigner:
    """Signs request targets and verifies them."""

    def __init__(self) -> None:
        self.key: bytes = secrets.token_bytes(32)

    def sign(
        self, method: str, path: str, *, life: float, content_type: str = "", ahead: float = 0.0
    ) -> str:
        """Return `path` with a signed query. A `life` of zero or less has expired already.

        The clock that signs goes `ahead` seconds before the one that verifies.
        """
        now = time.time() + ahead
        date = datetime.fromtimestamp(int(now), UTC)
        lasts = int(life) if life >= _WHOLE_SECONDS else now + life - int(now)
        headers = "content-type%3Bhost" if content_type else "host"
        target = (
            f"{path}?X-Amz-Algorithm=SANDBOX-HMAC-SHA256"
            f"&X-Amz-Credential=sandbox%2F{date:%Y%m%d}%2Fs3%2Faws4_request"
            f"&X-Amz-Date={date:%Y%m%dT%H%M%SZ}&X-Amz-Expires={lasts}"
            f"&X-Amz-SignedHeaders={headers}&x-amz-meta-note=%28leave+it+as~is%29"
        )
        return target + _SIGNATURE + self._signature(method, target, content_type).decode()

    def verify(self, method: str, raw_target: str, *, content_type: str = "") -> str:
        """Return the path of a target that this signer signed and that has not expired."""
        target, found, signature = raw_target.rpartition(_SIGNATURE)
        if not found:
            raise StorageError(403, "AccessDenied", "Access Denied")
        expected = self._signature(method, target, content_type)
        if not hmac.compare_digest(expected, signature.encode(errors="surrogateescape")):
            raise StorageError(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
            )
        path, _, query = target.partition("?")
        _refuse_wrong_time(parse_qs(query))
        return path

    def _signature(self, method: str, target: str, content_type: str) -> bytes:
        text = f"{method}\n{target}\n{content_type}".encode(errors="surrogateescape")
        return hmac.new(self.key, text, "sha256").hexdigest().encode()


def _refuse_wrong_time(query: Mapping[str, list[str]]) -> None:
    date, lasts = query["X-Amz-Date"][0], query["X-Amz-Expires"][0]
    signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    now, expires = time.time(), signed + float(lasts)
    if signed > now + _MOST_SKEW:
        raise StorageError(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            {
                "RequestTime": date,
                "ServerTime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "MaxAllowedSkewMilliseconds": str(int(_MOST_SKEW * 1000)),
            },
        )
    if now < expires:
        return
    raise StorageError(
        403,
        "AccessDenied",
        "Request has expired",
        {
            "X-Amz-Expires": lasts,
            "Expires": datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "ServerTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    )
