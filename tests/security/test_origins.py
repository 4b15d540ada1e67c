"""The token goes to the API's own origin, and to nobody else: every header of every request."""

from __future__ import annotations

from pathlib import Path

import pytest

from piktid_async import DownloadError, PiktidError, UploadError
from tests.security.service import TOKEN, answering, hostile, sending
from tests.transport.servers import PNG, Exchange, Server, serve

REDIRECTS = (301, 302, 303, 307, 308)
CARRIES_NOTHING = {"host", "accept", "accept-encoding", "content-type", "content-length"}
"""Headers that storage may be sent: none of them tells who we are."""


def strangers_headers(server: Server) -> set[str]:
    """Return the names of all headers that a server was sent, and look for the token in all."""
    for exchange in server.requests:
        whole = f"{exchange.target} {exchange.headers} {exchange.content!r}"
        assert TOKEN not in whole
    return {name.lower() for exchange in server.requests for name, _ in exchange.headers}


async def test_storage_is_sent_nothing_that_tells_who_we_are(tmp_path: Path) -> None:
    async with hostile() as running:
        await running.session.upload(PNG)
        job = running.job()
        await job.download(tmp_path, thumbnails=True)
        output = (await job.result()).outputs[0]
        await output.save(tmp_path / "one.png")
        assert len(running.storage.requests) == 4
        assert strangers_headers(running.storage) <= CARRIES_NOTHING
        for exchange in running.api.requests:
            assert exchange.header("Authorization") == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", REDIRECTS)
async def test_no_redirect_of_the_api_is_followed(status: int) -> None:
    """Not even to itself: where the token goes, base_url alone says."""
    async with serve(sending(b"{}")) as other, hostile() as running:
        for target in (f"{other.url}/x", f"{running.api.url}/elsewhere", "/elsewhere"):
            running.answers["/anything"] = sending(b"", status, Location=target)
            before = len(running.api.requests)
            for method in ("GET", "POST", "DELETE"):
                with pytest.raises(PiktidError, match=f"{status} on {method} /anything"):
                    await running.session.request(method, "/anything")
            assert len(running.api.requests) == before + 3
        assert not other.requests


@pytest.mark.parametrize("status", REDIRECTS)
async def test_the_event_stream_follows_no_redirect(status: int) -> None:
    async with serve(sending(b"")) as other:
        answers = {"/notifications": sending(b"", status, Location=f"{other.url}/x")}
        async with hostile(answers, stream=True) as running:
            assert (await running.job().result(timeout=10)).status == "completed"
            assert any("/notifications" in each.target for each in running.api.requests)
        assert not other.requests


@pytest.mark.parametrize("status", REDIRECTS)
async def test_an_upload_follows_no_redirect(status: int) -> None:
    async with serve(sending(b"")) as other:
        answers = {"storage:/image": sending(b"", status, Location=f"{other.url}/x")}
        async with hostile(answers) as running:
            with pytest.raises(UploadError, match=f"{status} on PUT <signed URL>"):
                await running.session.upload(PNG)
        assert not other.requests


@pytest.mark.parametrize("status", REDIRECTS)
async def test_a_result_is_followed_over_three_redirects_at_most_and_without_the_token(
    tmp_path: Path, status: int
) -> None:
    async def hop(exchange: Exchange) -> None:
        await exchange.answer(status, b"", [("Location", "/hop"), ("Set-Cookie", "who=me; Path=/")])

    async with serve(hop) as other:
        answers = {"storage:/image": sending(b"", status, Location=f"{other.url}/hop")}
        async with hostile(answers) as running:
            with pytest.raises(DownloadError, match="more than 3 redirects"):
                await running.job().download(tmp_path)
            assert len(running.storage.requests) == 1
            assert len(other.requests) == 3
            assert strangers_headers(other) <= CARRIES_NOTHING
    assert list(tmp_path.iterdir()) == []


async def test_a_result_that_leads_back_to_the_api_is_not_given_the_token(tmp_path: Path) -> None:
    async with hostile() as running:
        running.answers["storage:/image"] = sending(
            b"", 302, Location=f"{running.api.url}/jobs/j/results"
        )
        with pytest.raises(DownloadError, match="is no picture"):
            await running.job().download(tmp_path)
        last = running.api.requests[-1]
        assert last.target == "/jobs/j/results"
        assert last.header("Authorization") is None


async def test_no_cookie_is_kept_by_anybody(tmp_path: Path) -> None:
    cookie = {"Set_Cookie": "who=me; Path=/"}
    answers = {
        "storage:/image": sending(PNG, **cookie),
        "/anything": answering({}, **{"Set-Cookie": "who=me; Path=/"}),
    }
    async with hostile(answers) as running:
        for _ in range(2):
            await running.session.request("GET", "/anything")
            await running.job().download(tmp_path)
        for exchange in (*running.api.requests, *running.storage.requests):
            assert exchange.header("Cookie") is None


async def test_the_credentials_of_the_machine_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hunter2\n")
    netrc.chmod(0o600)
    async with serve(sending(b"")) as proxy, hostile() as running:
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await running.session.upload(PNG)
        await running.job().download(tmp_path / "out")
        assert strangers_headers(running.storage) <= CARRIES_NOTHING
        assert not proxy.requests
