from __future__ import annotations

import asyncio

import pytest

from piktid_async.errors import ConfigurationError
from piktid_async.transport.tokens import Tokens, checked_token
from piktid_async.types import Secret


async def test_source_is_asked_once_by_twenty_at_once() -> None:
    asked: list[int] = []

    async def source() -> str:
        asked.append(1)
        await asyncio.sleep(0)
        return "one"

    tokens = Tokens(source)
    found = await asyncio.gather(*(tokens.current() for _ in range(20)))
    assert {each.reveal() for each in found} == {"one"}
    assert len(asked) == 1


async def test_late_complaint_about_an_old_token_does_not_renew_the_new_one() -> None:
    given = iter(["one", "two", "three"])

    async def source() -> str:
        return next(given)

    tokens = Tokens(source)
    old = await tokens.current()
    new = await tokens.renew(stale=old)
    assert new is not None
    assert new.reveal() == "two"
    assert await tokens.renew(stale=old) is new


async def test_cancelled_asker_leaves_the_next_one_to_ask() -> None:
    begun = asyncio.Event()
    asked: list[int] = []

    async def source() -> str:
        asked.append(1)
        if len(asked) == 1:
            begun.set()
            await asyncio.Event().wait()
        return "two"

    tokens = Tokens(source)
    first = asyncio.create_task(tokens.current())
    await begun.wait()
    second = asyncio.create_task(tokens.current())
    first.cancel()
    assert (await second).reveal() == "two"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_fixed_token_cannot_be_renewed() -> None:
    token = Secret("one")
    tokens = Tokens(token)
    assert await tokens.current() is token
    assert await tokens.renew(stale=token) is None


@pytest.mark.parametrize("bad", ["", "  ", None, 7, b"bytes", "two words", "line\nend", "ümlaut"])
async def test_bad_token_is_refused_unseen(bad: object) -> None:
    async def source() -> object:
        return bad

    with pytest.raises(ConfigurationError) as raised:
        checked_token(bad)
    assert not isinstance(bad, str) or not bad.strip() or bad not in str(raised.value)
    with pytest.raises(ConfigurationError):
        await Tokens(source).current()  # type: ignore[arg-type]  # that is the point
