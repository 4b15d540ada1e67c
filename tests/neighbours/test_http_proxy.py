"""Everything by way of an HTTP proxy."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import Any

import pytest

from piktid_async import (
    ConfigurationError,
    ConnectionFailedError,
    DownloadError,
    GarmentRecolor,
    Session,
    SubmissionUnknownError,
    UploadError,
)
from piktid_async.errors import PiktidError
from piktid_async.sandbox import Sandbox
from tests.neighbours.conftest import PICTURE, QUICK
from tests.neighbours.http_proxy import HttpProxy, http_proxy
from tests.transport.authority import Authority
from tests.transport.servers import Exchange, Server, free_port, serve

USER = "me@work:pass/wörd:2"
IN_URL = "me%40work:pass%2Fw%C3%B6rd%3A2"
BASIC = "bWVAd29yazpwYXNzL3f2cmQ6Mg=="


def through(proxy: HttpProxy, credentials: str = "") -> str:
    return proxy.url.replace("://", f"://{credentials}@") if credentials else proxy.url


@pytest.fixture(autouse=True)
def environment_that_points_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these is used: a connection to them would be refused."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("user", "credentials"), [(None, ""), (USER, IN_URL)])
async def test_a_whole_job_goes_through_the_proxy(
    user: str | None,
    credentials: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        Sandbox(render=False, seconds_per_image=0.01, limits=False, keepalive=0.1) as sandbox,
        http_proxy(user) as proxy,
    ):
        async with Session(
            sandbox.token, base_url=sandbox.url, proxy=through(proxy, credentials), stream=QUICK
        ) as session:
            project = await session.projects.ensure("proxied")
            file = await session.upload(PICTURE)
            request = GarmentRecolor(project=project, images=[file], reference_text="navy")
            job = await session.submit(request)
            assert len([output.key async for output in job.outputs()]) == 1
            assert len(await job.download(tmp_path)) == 1
            shown = repr(session)
        methods = {each.split(" ")[0] for each in proxy.forwarded}
        assert methods == {"GET", "POST", "PUT", "DELETE"}
        assert sandbox.books.jobs_created == 1
        assert not sandbox.books.notifications_outstanding
        assert not sandbox.books.authorization_seen_by_storage
    assert_discreet(caplog.text + shown)


def assert_discreet(*told: str) -> None:
    for text in told:
        for secret in (BASIC, IN_URL, USER, "pass%2F", "pass/"):
            assert secret not in text


async def test_https_goes_through_a_tunnel_that_the_proxy_cannot_look_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = Authority()
    authority.be_trusted(monkeypatch)

    async def hand_out(exchange: Exchange) -> None:
        await exchange.body()
        assert exchange.header("Proxy-Authorization") is None
        ticket = {"file_id": "f", "filename": "n.png", "content_type": "image/png"}
        await exchange.answer_json({**ticket, "upload_url": f"{storage.url}/a?X-Sig=c0ffee"})

    async def take(exchange: Exchange) -> None:
        assert exchange.header("Proxy-Authorization") is None
        await exchange.answer()

    tls = authority.server()
    async with (
        serve(take, tls=tls) as storage,
        serve(hand_out, tls=tls) as api,
        http_proxy(USER) as proxy,
    ):
        async with Session(
            "t0p-s3cret", base_url=api.url, proxy=through(proxy, IN_URL), stream=False
        ) as session:
            await session.upload(PICTURE)
        assert storage.requests[0].content == PICTURE
        assert proxy.tunnels == [each.url.removeprefix("https://") for each in (api, storage)]
        assert not proxy.forwarded
        seen = "".join(proxy.heads)
        assert "t0p-s3cret" not in seen
        assert "c0ffee" not in seen


async def accept(exchange: Exchange) -> None:
    await exchange.answer_json({})


async def test_a_certificate_is_checked_inside_the_tunnel() -> None:
    async with serve(accept, tls=Authority().server()) as api, http_proxy() as proxy:
        error = await failure(api, proxy.url)
        assert not api.requests
    assert "not trusted" in str(error)
    assert not error.retryable


async def failure(api: Server, proxy: str, **options: Any) -> ConnectionFailedError:
    """Return what a submission by way of this proxy raises; it must say that nothing left."""
    async with Session(
        "t0p-s3cret", base_url=api.url, proxy=proxy, stream=False, **{"max_retries": 1, **options}
    ) as session:
        with pytest.raises(ConnectionFailedError) as raised:
            await session.submit(GarmentRecolor(project="p", images=["a"], reference_text="navy"))
    assert not raised.value.sent
    chain = "".join(traceback.format_exception(raised.value))
    assert_discreet(str(raised.value), repr(raised.value), chain)
    return raised.value


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("credentials", ["", "me:wrong%2Fpass"])
async def test_a_proxy_that_wants_other_credentials_is_named(credentials: str, https: bool) -> None:
    tls = Authority().server() if https else None
    async with serve(accept, tls=tls) as api, http_proxy(USER) as proxy:
        error = await failure(api, through(proxy, credentials))
        assert not api.requests
        assert len(proxy.heads) == 1  # the same credentials would be refused again
    assert "the proxy refused the connection: 407 Proxy Authentication Required" in str(error)
    assert "wrong" not in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "words", "attempts"),
    [
        (403, "403 Forbidden", 1),
        (407, "407 Proxy Authentication Required", 1),
        (502, "502 Bad Gateway", 2),
        (504, "504 Gateway Timeout", 2),
        (599, "599", 2),
    ],
)
async def test_a_tunnel_that_the_proxy_does_not_open_is_told_and_tried_again_if_it_may_pass(
    status: int, words: str, attempts: int
) -> None:
    async with serve(accept, tls=Authority().server()) as api, http_proxy(refuse=status) as proxy:
        error = await failure(api, proxy.url)
        assert len(proxy.heads) == attempts
        assert not api.connections
    assert str(error).startswith(
        f"POST /garment-recolor: the proxy refused the connection: {words}"
    )
    assert error.retryable == (attempts > 1)


async def test_a_proxy_that_hangs_up_before_the_tunnel_is_open_has_passed_nothing_on() -> None:
    async with serve(accept, tls=Authority().server()) as api, http_proxy() as proxy:
        proxy.speechless = True
        error = await failure(api, proxy.url)
        assert len(proxy.heads) == 2
        assert not api.connections
    assert "the server closed the connection (on the way through the proxy)" in str(error)
    assert error.retryable


async def test_a_proxy_that_hangs_up_on_a_plain_submission_leaves_it_in_doubt() -> None:
    request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
    async with serve(accept) as api, http_proxy() as proxy:
        proxy.speechless = True
        async with Session("t", base_url=api.url, proxy=proxy.url, stream=False) as session:
            with pytest.raises(SubmissionUnknownError, match="through the proxy"):
                await session.submit(request)
        assert len(proxy.heads) == 1


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
async def test_a_proxy_that_is_not_there_is_told(https: bool) -> None:
    tls = Authority().server() if https else None
    port = free_port()
    async with serve(accept, tls=tls) as api:
        error = await failure(api, f"http://{IN_URL}@127.0.0.1:{port}", max_retries=0)
        assert not api.connections
    assert f"no connection to the proxy 127.0.0.1:{port}: " in str(error)
    assert error.retryable


async def test_uploads_and_downloads_say_that_it_was_the_proxy(tmp_path: Path) -> None:
    async with (
        Sandbox(render=False, seconds_per_image=0.01, limits=False) as sandbox,
        http_proxy(USER) as proxy,
        Session(
            sandbox.token, base_url=sandbox.url, proxy=through(proxy, IN_URL), stream=QUICK
        ) as session,
    ):
        project = await session.projects.ensure("proxied")
        request = GarmentRecolor(
            project=project, images=[await session.upload(PICTURE)], reference_text="navy"
        )
        job = await session.submit(request)
        await job
        proxy.refuse, proxy.refuse_to = 407, sandbox._parts.storage.origin
        errors: list[PiktidError] = []
        with pytest.raises(UploadError, match="the proxy refused") as upload:
            await session.upload(PICTURE)
        errors.append(upload.value)
        with pytest.raises(DownloadError, match="the proxy refused") as download:
            await job.download(tmp_path)
        errors.append(download.value)
    for error in errors:
        assert "X-Amz" not in str(error)
        assert_discreet(str(error), repr(error), "".join(traceback.format_exception(error)))


@pytest.mark.parametrize(
    "proxy",
    [
        "http://",
        "http://me:sekrit@",
        "http://me:sekrit@host:99999",
        "http://me:sekrit@host:0",
        "http://me:sekrit@[::1",
        "http://me:sekrit@ho st",
        "http://me:sekrit@host\r\nX: y",
        "http://me:sekrit%E6%BC%A2%E5%AD%97@host",
        "http://m%3Ae:sekrit@host",
        "socks5://me:sekrit@host",
        "me:sekrit@host:3128",
        b"http://host",
        7,
    ],
)
def test_what_cannot_be_a_proxy_is_refused_unseen(proxy: Any) -> None:
    with pytest.raises(ConfigurationError, match="proxy must be an http") as raised:
        Session("t", proxy=proxy)
    told = "".join(traceback.format_exception(raised.value))
    assert "sekrit" not in told.replace(str(__file__), "")
