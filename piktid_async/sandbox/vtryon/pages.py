"""Answers that all lists and errors of the second service share."""

from __future__ import annotations

from aiohttp import web

from piktid_async.sandbox.answers import ApiError

_PAGE_SIZE = 10
_LARGEST_PAGE = 100


def detail(status: int, text: str) -> ApiError:
    """Build an error; their bodies are not documented."""
    return ApiError(status, {"detail": text})


def page(request: web.Request, rows: list[dict[str, object]]) -> dict[str, object]:
    """Cut one page out of all rows."""
    number = _positive(request, "page", 1)
    size = min(_positive(request, "page_size", _PAGE_SIZE), _LARGEST_PAGE)
    start = (number - 1) * size
    if number > 1 and start >= len(rows):
        raise detail(404, "Invalid page.")
    here = request.url.without_query_params("page", "page_size")

    def link(to: int) -> str:
        return str(here.update_query({"page": to, "page_size": size}))

    return {
        "count": len(rows),
        "next": link(number + 1) if start + size < len(rows) else None,
        "previous": link(number - 1) if number > 1 else None,
        "results": rows[start : start + size],
    }


def _positive(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise detail(404, "Invalid page.") if name == "page" else detail(400, f"{name}: invalid.")
    return int(text)
