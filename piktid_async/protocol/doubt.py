"""Whether the server may have acted on a request that ended in an error."""

from __future__ import annotations

from piktid_async.errors import (
    ConnectionFailedError,
    PiktidError,
    ResponseFormatError,
    ServerError,
    StatusError,
)

# The server may have acted before it answered so. Every other 4xx is a plain refusal; a redirect
# is none: it may lead to what was made.
AMBIGUOUS = frozenset({408, 409})


def certainly_not_taken(error: PiktidError) -> bool:
    """Return whether it is sure that the request had no effect."""
    match error:
        case ConnectionFailedError():
            return not error.sent
        case ServerError() | ResponseFormatError():
            return False
        case StatusError():
            return 400 <= error.status < 500 and error.status not in AMBIGUOUS
        case _:
            return True
