from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.sandbox.conftest import Caller


async def log_in(caller: Caller, password: str | None = None) -> tuple[int, Any]:
    sandbox = caller.sandbox
    header = aiohttp.encode_basic_auth(sandbox.email, password or sandbox.password)
    return await caller.call("POST", "/auth/login", headers={"Authorization": header})


async def opens(caller: Caller, token: str) -> bool:
    status, _ = await caller.call("GET", "/project", headers={"Authorization": f"Bearer {token}"})
    return status == 200


async def test_a_login_opens_the_door_until_it_expires(caller: Caller) -> None:
    status, pair = await log_in(caller)
    assert status == 200
    assert pair["user"]["credits"] == caller.sandbox.books.credits_left
    assert await opens(caller, pair["token"])
    caller.sandbox.expire_tokens()
    assert not await opens(caller, pair["token"])
    assert await opens(caller, caller.sandbox.token)


async def test_a_wrong_password_is_a_401(caller: Caller) -> None:
    assert (await log_in(caller, "wrong"))[0] == 401


async def test_a_refresh_token_is_good_once_and_its_second_use_revokes_everything(
    caller: Caller,
) -> None:
    _, pair = await log_in(caller)
    body = {"refresh_token": pair["refresh_token"]}
    status, second = await caller.post("/auth/refresh", body)
    assert status == 200
    assert await opens(caller, second["token"])
    assert not await opens(caller, pair["token"])
    assert (await caller.post("/auth/refresh", body))[0] == 401
    assert not await opens(caller, second["token"])


@pytest.mark.parametrize(
    "life", [3600, 3600.5, "P4Y", "PT1H", "1d,01:02:03.000004", "1D01:02:03.000004", "01:02:03"]
)
async def test_a_token_is_made_for_every_documented_form_of_its_life(
    caller: Caller, life: object
) -> None:
    status, body = await caller.post("/auth/token", {"expiration": life})
    assert status == 200, body
    assert await opens(caller, body["token"])


@pytest.mark.parametrize("life", [3599, "PT59M", "P5Y", -1, 0, None, "soon", True, "-1D"])
async def test_a_life_against_the_rules_is_a_400(caller: Caller, life: object) -> None:
    assert (await caller.post("/auth/token", {"expiration": life}))[0] == 400


async def test_there_may_be_twenty_tokens_and_a_list_shows_none_of_them(caller: Caller) -> None:
    made = [(await caller.post("/auth/token", {"expiration": 3600}))[1] for _ in range(20)]
    assert (await caller.post("/auth/token", {"expiration": 3600}))[0] == 400
    _, body = await caller.get("/auth/token", per_page="15")
    assert (len(body["tokens"]), body["pagination"]["total"]) == (15, 20)
    shown = {each["token_id"] for each in body["tokens"]}
    assert not shown & {each["token"] for each in made}
    caller.sandbox.expire_tokens()
    _, body = await caller.get("/auth/token", include_expired="true")
    assert body["pagination"]["total"] == 20
    assert (await caller.post("/auth/token", {"expiration": 3600}))[0] == 200
