from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from piktid_async import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    PermissionDeniedError,
    Session,
)
from piktid_async.login import PasswordLogin
from piktid_async.sandbox import Sandbox
from tests.transport.servers import Exchange, serve

LOGIN, REFRESH = "POST /auth/login", "POST /auth/refresh"
PASSWORD = "correct horse: battery ñ"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(render=False, limits=None, password=PASSWORD) as running:
        yield running


class Clock:
    """Unix seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).timestamp()

    def __call__(self) -> float:
        return self.now


def login_to(sandbox: Sandbox, **options: object) -> PasswordLogin:
    return PasswordLogin(sandbox.email, PASSWORD, sandbox.url, **options)  # type: ignore[arg-type]


async def names(session: Session) -> list[str]:
    return [project.project_name async for project in session.projects.list()]


async def test_a_session_works_with_email_and_password_and_logs_in_once(sandbox: Sandbox) -> None:
    async with Session(login_to(sandbox), base_url=sandbox.url) as session:
        await asyncio.gather(*(session.projects.ensure(f"project {n}") for n in range(20)))
        assert len(await names(session)) == 20
    assert sandbox.books.api_requests[LOGIN] == 1
    assert REFRESH not in sandbox.books.api_requests


async def test_nothing_is_sent_before_a_token_is_needed(sandbox: Sandbox) -> None:
    login = login_to(sandbox)
    assert login.profile is None
    assert sandbox.books.api_requests == {}


async def test_twenty_refused_at_once_are_served_by_one_refresh(sandbox: Sandbox) -> None:
    async with Session(login_to(sandbox), base_url=sandbox.url) as session:
        await names(session)
        sandbox.expire_tokens()
        await asyncio.gather(*(names(session) for _ in range(20)))
    assert (sandbox.books.api_requests[LOGIN], sandbox.books.api_requests[REFRESH]) == (1, 1)


async def test_a_token_near_its_end_is_replaced_before_it_is_refused(sandbox: Sandbox) -> None:
    clock = Clock()
    async with Session(login_to(sandbox, clock=clock), base_url=sandbox.url) as session:
        await names(session)
        clock.now += 30 * 86400 - 61
        await names(session)
        assert REFRESH not in sandbox.books.api_requests
        clock.now += 2
        await asyncio.gather(*(names(session) for _ in range(5)))
    assert (sandbox.books.api_requests[LOGIN], sandbox.books.api_requests[REFRESH]) == (1, 1)


async def test_each_refresh_uses_the_token_of_the_one_before(sandbox: Sandbox) -> None:
    async with Session(login_to(sandbox), base_url=sandbox.url) as session:
        for _ in range(4):
            await names(session)
            sandbox.expire_tokens()
        await names(session)
    # the sandbox revokes everything when a refresh token comes a second time
    assert (sandbox.books.api_requests[LOGIN], sandbox.books.api_requests[REFRESH]) == (1, 4)


async def test_two_sessions_share_one_login(sandbox: Sandbox) -> None:
    login = login_to(sandbox)
    async with (
        Session(login, base_url=sandbox.url) as one,
        Session(login, base_url=sandbox.url) as two,
    ):
        await asyncio.gather(names(one), names(two))
        sandbox.expire_tokens()
        await asyncio.gather(names(one), names(two))
    assert (sandbox.books.api_requests[LOGIN], sandbox.books.api_requests[REFRESH]) == (1, 1)


async def test_the_event_stream_is_opened_with_the_token_of_the_login(sandbox: Sandbox) -> None:
    async with (
        Session(login_to(sandbox), base_url=sandbox.url) as session,
        session.notifications() as feed,
    ):
        number = sandbox.emit("something", {})
        assert (await anext(feed)).id == number


async def test_a_cancelled_caller_does_not_cost_the_others_their_refresh(sandbox: Sandbox) -> None:
    login = login_to(sandbox)
    old = await login()
    first = asyncio.create_task(login.fresh_token(old))
    second = asyncio.create_task(login.fresh_token(old))
    await asyncio.sleep(0)
    first.cancel()
    new = await second
    assert new != old
    assert await login.fresh_token(old) == new
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (sandbox.books.api_requests[LOGIN], sandbox.books.api_requests[REFRESH]) == (1, 1)


async def test_a_wrong_password_is_an_authentication_error_that_shows_no_secret(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = PasswordLogin(sandbox.email, "secret-0815", sandbox.url)
    async with Session(login, base_url=sandbox.url) as session:
        with pytest.raises(AuthenticationError, match="/auth/login") as caught:
            await names(session)
        shown = f"{login!r} {session!r} {caplog.text} " + "".join(
            traceback.format_exception(caught.value)
        )
    assert "secret-0815" not in shown
    assert sandbox.email not in repr(login)


async def test_the_credits_that_are_left_are_told_by_a_login(sandbox: Sandbox) -> None:
    profile = await login_to(sandbox).fetch_profile()
    assert (profile.email, profile.credits) == (sandbox.email, 1_000_000.0)


def test_one_login_serves_one_loop_after_another() -> None:
    async def ask(login: PasswordLogin) -> str:
        return await login()

    async def main() -> None:
        async with Sandbox(render=False, limits=None, port=0) as sandbox:
            login = PasswordLogin(sandbox.email, sandbox.password, sandbox.url)
            first = await login()
            # a loop of its own, in a thread, while this one serves
            second = await asyncio.to_thread(lambda: asyncio.run(ask(login)))
            assert first == second
            sandbox.expire_tokens()
            third = await asyncio.to_thread(lambda: asyncio.run(login.fresh_token(first)))
            assert third != first

    asyncio.run(main())


async def test_a_refresh_whose_answer_was_lost_is_followed_by_the_password() -> None:
    sent: list[str] = []

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        sent.append(exchange.target)
        if exchange.target == "/auth/refresh":
            exchange.reset()
            return
        await exchange.answer_json(
            {"token": f"token-{len(sent)}", "refresh_token": f"refresh-{len(sent)}"}
        )

    async with serve(answer) as server:
        login = PasswordLogin("me@example.com", "secret", server.url)
        first = await login()
        assert await login.fresh_token(first) == "token-3"
    assert sent == ["/auth/login", "/auth/refresh", "/auth/login"]


async def test_a_refresh_token_whose_fate_is_unknown_is_never_sent_again() -> None:
    sent: list[str] = []

    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        sent.append(exchange.target)
        if len(sent) == 1:
            await exchange.answer_json({"token": "token-1", "refresh_token": "refresh-1"})
        elif exchange.target == "/auth/refresh":
            exchange.reset()
        elif len(sent) == 3:
            await exchange.answer_json({"error": "down for maintenance"}, 403)
        else:
            await exchange.answer_json({"token": "token-2"})

    async with serve(answer) as server:
        login = PasswordLogin("me@example.com", "secret", server.url)
        first = await login()
        with pytest.raises(PermissionDeniedError):
            await login.fresh_token(first)
        assert await login.fresh_token(first) == "token-2"
    assert sent == ["/auth/login", "/auth/refresh", "/auth/login", "/auth/login"]


async def test_the_token_goes_to_no_login_and_the_password_to_nothing_else() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json({"token": "token-1", "refresh_token": "refresh-1"})

    async with serve(answer) as server:
        login = PasswordLogin("me@example.com", "secret", server.url)
        await login.fresh_token(await login())
        first, second = server.requests
    # RFC 7617: base64 of me@example.com:secret
    assert first.header("Authorization") == "Basic bWVAZXhhbXBsZS5jb206c2VjcmV0"
    assert first.content == b""
    assert second.header("Authorization") is None
    assert second.json() == {"refresh_token": "refresh-1"}


async def test_a_service_that_is_away_is_a_connection_error_and_later_a_token() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.body()
        if len(server.requests) <= 4:
            exchange.reset()
        else:
            await exchange.answer_json({"token": "token-1"})

    async with serve(answer) as server:
        login = PasswordLogin("me@example.com", "secret", server.url)
        with pytest.raises(ConnectionFailedError):
            await login()
        assert await login() == "token-1"


@pytest.mark.parametrize("expiration", [None, "tomorrow", "2001-01-01T00:00:00Z"])
async def test_a_token_whose_end_is_unknown_is_kept_until_it_is_refused(
    expiration: str | None,
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json({"token": "token-1", "expiration_date": expiration})

    async with serve(answer) as server:
        login = PasswordLogin("me@example.com", "secret", server.url)
        assert await login() == await login() == "token-1"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("email", "password", "url", "words"),
    [
        ("", "secret", "https://example.com", "email"),
        ("a:b@example.com", "secret", "https://example.com", "email"),
        ("me@example.com", "", "https://example.com", "password"),
        ("me@example.com", "secret", "http://example.com", "https"),
    ],
)
def test_what_cannot_log_in_is_refused_when_built(
    email: str, password: str, url: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        PasswordLogin(email, password, url)
    assert "secret" not in str(caught.value)


async def test_a_login_without_an_address_goes_to_the_server_of_its_session(
    sandbox: Sandbox,
) -> None:
    login = PasswordLogin(sandbox.email, PASSWORD)
    async with Session(login, base_url=sandbox.url) as session:
        assert await names(session) == []
    assert sandbox.books.api_requests[LOGIN] == 1
    assert repr(login) == f"<PasswordLogin {sandbox.url}>"


async def test_a_login_goes_to_one_server_alone(sandbox: Sandbox) -> None:
    for login in (login_to(sandbox), PasswordLogin(sandbox.email, PASSWORD)):
        Session(login, base_url=sandbox.url)
        Session(login, base_url=f"{sandbox.url}/")  # the same, written otherwise
        with pytest.raises(ConfigurationError, match="give both the same base_url") as caught:
            Session(login, base_url="https://elsewhere.example")
        assert PASSWORD not in str(caught.value)
    assert LOGIN not in sandbox.books.api_requests
