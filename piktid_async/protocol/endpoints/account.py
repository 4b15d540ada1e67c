"""`/assets`, `/billing` and `/auth`."""

from __future__ import annotations

from collections.abc import Sequence

from piktid_async.models.account import (
    ApiToken,
    Asset,
    CreditUsage,
    Deletion,
    GroupUsage,
    TokenInfo,
    TokenPair,
)
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import Page, call, get, page_of, segment
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_object
from piktid_async.types import JsonObject, Params


def list_assets(page: int, filters: Params) -> Call[Page]:
    """`GET /assets`."""
    return page_of("/assets", "assets", page, filters)


def asset_of_row(row: JsonObject) -> Asset:
    """Read a row of the list."""
    return codec.structure("GET /assets", row, Asset)


def asset(asset_id: str) -> Call[Asset]:
    """`GET /assets/{id}`."""
    return call(get(f"/assets/{segment('asset_id', asset_id)}"), Asset)


def delete_assets(ids: Sequence[str]) -> Call[Deletion]:
    """`POST /assets/bulk-delete`; 1 to 100 ids."""
    request = Request(method="POST", path="/assets/bulk-delete", json={"asset_ids": list(ids)})
    return deletion(request, "failed_ids")


def deletion(request: Request, failed: str) -> Call[Deletion]:
    """Return a call whose answer counts what was deleted, and names what was not."""

    def parse(response: Response) -> Deletion:
        answer = read_object(request, response)
        told = {"deleted_count": answer.get("deleted_count"), "failed": answer.get(failed) or []}
        return codec.structure(request.call, told, Deletion)

    return Call(request, parse)


def credit_usage(params: Params) -> Call[CreditUsage]:
    """`GET /billing/credits`: what was used, whatever the path says."""
    return call(get("/billing/credits", params), CreditUsage)


def group_usage(name: str, params: Params) -> Call[GroupUsage]:
    """`GET /billing/usage/{group}`; for the group's owner alone."""
    return call(get(f"/billing/usage/{segment('name', name)}", params), GroupUsage)


def create_token(expiration: str | float) -> Call[ApiToken]:
    """`POST /auth/token`; the token is shown this once, and there may be 20."""
    request = Request(method="POST", path="/auth/token", json={"expiration": expiration})
    return call(request, ApiToken)


def list_tokens(page: int, filters: Params) -> Call[Page]:
    """`GET /auth/token`."""
    return page_of("/auth/token", "tokens", page, filters)


def token_of_row(row: JsonObject) -> TokenInfo:
    """Read a row of the list."""
    return codec.structure("GET /auth/token", row, TokenInfo)


def login() -> Call[TokenPair]:
    """`POST /auth/login`, to go with HTTP Basic; one more pair of tokens does no harm."""
    return call(Request(method="POST", path="/auth/login", replayable=True), TokenPair)


def refresh(refresh_token: str) -> Call[TokenPair]:
    """`POST /auth/refresh`, to go without a token; it uses the refresh token up: sent once."""
    body: JsonObject = {"refresh_token": refresh_token}
    return call(Request(method="POST", path="/auth/refresh", json=body), TokenPair)
