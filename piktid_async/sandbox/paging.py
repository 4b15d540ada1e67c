"""Query parameters, and lists that come in pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from aiohttp import web

from piktid_async.sandbox.answers import JsonObject, invalid, problem

T = TypeVar("T")


def query_int(request: web.Request, name: str, default: int, *, least: int, most: int) -> int:
    """Read a whole number from the query."""
    text = request.query.get(name)
    if text is None:
        return default
    try:
        number = int(text)
    except ValueError:
        raise invalid(problem(name, "Not a valid integer.", position="query")) from None
    if not least <= number <= most:
        message = f"Must be between {least} and {most}."
        raise invalid(problem(name, message, position="query"))
    return number


def query_number(request: web.Request, name: str, default: float) -> float:
    """Read a number that is not negative from the query."""
    try:
        number = float(request.query.get(name, default))
    except ValueError:
        raise invalid(problem(name, "Not a valid number.", position="query")) from None
    if not 0.0 <= number < math.inf:
        raise invalid(problem(name, "Must not be negative.", position="query"))
    return number


def query_choice(request: web.Request, name: str, allowed: tuple[str, ...]) -> str | None:
    """Read one of a few words from the query; `None` when it is absent."""
    value = request.query.get(name)
    if value is not None and value not in allowed:
        message = f"Must be one of: {', '.join(allowed)}."
        raise invalid(problem(name, message, position="query"))
    return value


def query_flag(request: web.Request, name: str, *, default: bool) -> bool:
    """Read a boolean from the query."""
    text = request.query.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise invalid(problem(name, "Not a valid boolean.", position="query"))
    return text == "true"


def query_list(request: web.Request, name: str) -> set[str] | None:
    """Read a list that is repeated or comma-separated; `None` when it is absent."""
    given = request.query.getall(name, [])
    return {part for text in given for part in text.split(",") if part} or None


def paged(
    request: web.Request, items: Sequence[T], *, order: str = "desc"
) -> tuple[Sequence[T], JsonObject]:
    """Cut the page that was asked for out of `items`, which are oldest first."""
    page = query_int(request, "page", 1, least=1, most=1_000_000)
    per_page = query_int(request, "per_page", 20, least=1, most=100)
    order = request.query.get("order", order)
    if order not in ("asc", "desc"):
        raise invalid(problem("order", "Must be one of: asc, desc.", position="query"))
    ordered = items if order == "asc" else items[::-1]
    pages = -(-len(items) // per_page)
    start = (page - 1) * per_page
    return ordered[start : start + per_page], {
        "page": page,
        "per_page": per_page,
        "total": len(items),
        "pages": pages,
        "has_next": page < pages,
        "has_prev": page > 1,
    }
