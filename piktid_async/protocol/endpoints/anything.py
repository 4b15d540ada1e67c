"""Endpoints that are not modelled."""

from __future__ import annotations

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import raise_for_status, read_json
from piktid_async.types import Json, Params


def anything(method: str, path: str, *, json: Json, params: Params | None) -> Call[Json]:
    """Return a call to an endpoint that is not modelled; only GET is sent again after a fault."""
    if not isinstance(path, str) or not isinstance(method, str):
        raise InvalidRequestError("path", "method and path must be texts")
    strange = any(each <= " " or each in "\\?#\x7f" for each in path)
    if strange or not path.startswith("/") or path.startswith("//"):
        raise InvalidRequestError(
            "path", f"must be a path on the API such as '/gallery/by-job', not {path!r}"
        )
    verb = method.upper()
    if not verb.isascii() or not verb.isalpha():
        raise InvalidRequestError("method", f"must be a verb such as GET, not {method!r}")
    body = rules.as_json("json", json)
    request = Request(method=verb, path=path, json=body, params=params, replayable=verb == "GET")

    def parse(response: Response) -> Json:
        raise_for_status(request, response)
        return read_json(request, response) if response.body else None

    return Call(request, parse)
