"""Answers of the storage behind signed URLs: S3's manner, XML errors."""

from __future__ import annotations

import re

from piktid_async.errors import StatusError
from piktid_async.protocol.messages import Response
from piktid_async.protocol.responses import error_for
from piktid_async.types import redact_text

STORAGE_CALL = "PUT <signed URL>"
"""How errors name an upload: the URL itself is a secret while it lives."""

# Two fields are wanted, and the others echo the signature: no XML parser is needed for that.
_FIELD = re.compile(rb"<(Code|Message)>([^<]{0,300})</\1>")
# A 400 by its number, but nothing is wrong with the request: its bytes came too slowly.
_TOO_SLOW = b"RequestTimeout"


def storage_error(response: Response) -> StatusError:
    """Build the error for a refused upload, in the storage's own words."""
    error = error_for(STORAGE_CALL, response)
    found: dict[bytes, bytes] = dict(_FIELD.findall(response.body[:65536]))
    words = [found[name] for name in (b"Code", b"Message") if name in found]
    error.message = redact_text(b": ".join(words).decode("utf-8", "replace")) or error.message
    error.retryable = error.retryable or found.get(b"Code") == _TOO_SLOW
    return error
