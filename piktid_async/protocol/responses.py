"""Answers: a value, or the error that fits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from piktid_async.errors import (
    ActiveJobLimitError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IdentityLimitError,
    InsufficientCreditsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StatusError,
)
from piktid_async.protocol.messages import Request, Response
from piktid_async.protocol.parsing import parsed
from piktid_async.types import Json, JsonObject, redact_text

LONGEST_MESSAGE = 500

_BY_STATUS: Mapping[int, type[StatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: InsufficientCreditsError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
}


def read_json(request: Request, response: Response) -> Json:
    """Return the parsed body of a success, or raise what the status means."""
    raise_for_status(request, response)
    return parsed(request.call, response.body)


def read_object(request: Request, response: Response) -> JsonObject:
    """Return the parsed body, which must be an object."""
    value = read_json(request, response)
    if not isinstance(value, dict):
        raise ResponseFormatError(request.call, f"an object, not {type(value).__name__}")
    return value


def raise_for_status(request: Request, response: Response) -> None:
    """Raise the error that the status means; 2xx raises nothing."""
    if not 200 <= response.status < 300:
        raise error_for(request.call, response)


def error_for(call: str, response: Response) -> StatusError:
    """Build the error for an answer that is no success.

    Bodies come as `{"error": text}`, as a validation list, empty, or from a proxy in HTML.
    """
    body = _json_or_none(response.body)
    message = _message(body)
    kind = _BY_STATUS.get(response.status)
    if response.status == 429:
        kind = _kind_of_429(message)
    elif response.status >= 500:
        kind = ServerError
    error = (kind or StatusError)(
        response.status, call, message, _retry_after(response.headers), body
    )
    if response.status == 408:
        # Too slow in coming, as on a connection that had been idle: nothing is wrong with it.
        error.retryable = True
    return error


def _kind_of_429(message: str) -> type[StatusError]:
    # One status, three meanings; only the text tells them apart. Anything unknown is the
    # request rate, the kind that waiting cures soonest.
    words = message.lower()
    if "identit" in words and "maximum" in words:
        return IdentityLimitError
    if "concurrent" in words or "active job" in words:
        return ActiveJobLimitError
    return RateLimitError


def _message(body: Json) -> str:
    if not isinstance(body, dict):
        return ""
    parts = [str(body[key]) for key in ("error", "message") if isinstance(body.get(key), str)][:1]
    detail = body.get("detail")
    if isinstance(detail, str):
        parts.append(detail)
    elif isinstance(detail, list):
        parts += [_field_message(each) for each in detail[:10] if isinstance(each, dict)]
    # The service may quote the URL that it could not fetch, signature and all.
    return redact_text("; ".join(parts))[:LONGEST_MESSAGE]


def _field_message(detail: JsonObject) -> str:
    field, message = detail.get("field"), detail.get("message") or "invalid"
    return f"{field}: {message}" if field else str(message)


def _json_or_none(body: bytes) -> Json:
    try:
        return parsed("", body)
    except ResponseFormatError:
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        seconds = float(value)
        return seconds if math.isfinite(seconds) else None
    at = _date(value)
    if at is None:
        return None
    # The server's own clock, where it tells it: ours may be off.
    now = _date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (at - now).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    # One of the three forms of HTTP dates names no zone: it means GMT.
    return found if found.tzinfo else found.replace(tzinfo=UTC)
