"""The same edge over TLS, with a certificate authority made for the occasion."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from piktid_async import ConnectionFailedError, GarmentRecolor, Session, UploadError
from piktid_async.protocol.messages import Request
from tests.neighbours.tcp_proxy import Action, Way, tcp_proxy
from tests.transport.authority import Authority
from tests.transport.conftest import OpenTransport
from tests.transport.servers import PNG, Exchange, Server, serve

HERE = Path(__file__)
POST = Request(method="POST", path="/garment-recolor")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


async def accept(exchange: Exchange) -> None:
    await exchange.answer_json({})


async def refused(open_transport: OpenTransport, server: Server) -> ConnectionFailedError:
    with pytest.raises(ConnectionFailedError) as raised:
        await open_transport(server.url).send(POST)
    assert not raised.value.sent
    assert not raised.value.retryable
    assert not server.requests
    return raised.value


async def test_a_stranger_s_certificate_ends_the_call_before_the_token_leaves(
    open_transport: OpenTransport, authority: Authority
) -> None:
    async with serve(accept, tls=authority.server()) as server:
        error = await refused(open_transport, server)
    assert "its certificate is not trusted (unable to get local issuer certificate)" in str(error)
    assert "SSL_CERT_FILE" in str(error)


async def test_a_certificate_for_another_name_is_refused(
    open_transport: OpenTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.be_trusted(monkeypatch)
    async with serve(accept, tls=authority.server("elsewhere.example")) as server:
        error = await refused(open_transport, server)
    assert "not trusted (IP address mismatch" in str(error)
    assert "SSL_CERT_FILE" not in str(error)


async def test_an_expired_certificate_is_refused(
    open_transport: OpenTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.be_trusted(monkeypatch)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    authority.ca.issue_cert("127.0.0.1", not_after=yesterday).configure_cert(context)
    async with serve(accept, tls=context) as server:
        error = await refused(open_transport, server)
    assert "not trusted (certificate has expired)" in str(error)


async def test_a_server_that_offers_only_old_tls_is_refused(
    open_transport: OpenTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.be_trusted(monkeypatch)
    context = authority.server()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serve(accept, tls=context) as server:
        with pytest.raises(ConnectionFailedError, match=r"no connection to 127\.0\.0\.1") as raised:
            await open_transport(server.url).send(POST)
    assert not raised.value.sent
    assert not server.requests


async def test_nothing_is_repeated_against_a_stranger_and_a_job_is_not_in_doubt(
    authority: Authority,
) -> None:
    async with (
        serve(accept, tls=authority.server()) as server,
        tcp_proxy(server.url) as line,  # which counts connections without a handshake, too
        Session("t", base_url=https(line.url), stream=False) as session,
    ):
        with pytest.raises(ConnectionFailedError, match="not trusted"):
            await session.projects.ensure("p")
        assert line.connections == 1
        with pytest.raises(ConnectionFailedError, match="not trusted"):
            await session.submit(GarmentRecolor(project="p", images=["a"], reference_text="navy"))
        assert line.connections == 2


def https(url: str) -> str:
    return url.replace("http://", "https://")


async def test_a_storage_that_is_a_stranger_gets_no_picture(authority: Authority) -> None:
    async def hand_out(exchange: Exchange) -> None:
        ticket = {"file_id": "f", "filename": "n.png", "content_type": "image/png"}
        await exchange.answer_json({**ticket, "upload_url": https(line.url) + "/a?X-Sig=c0ffee"})

    async with (
        serve(accept, tls=authority.server()) as storage,
        tcp_proxy(storage.url) as line,
        serve(hand_out) as api,
        Session("t", base_url=api.url, stream=False) as session,
    ):
        with pytest.raises(UploadError, match="not trusted") as raised:
            await session.upload(PNG)
        assert "c0ffee" not in str(raised.value)
        assert line.connections == 1
        assert not storage.requests


@pytest.mark.parametrize("action", ["reset", "close"])
@pytest.mark.parametrize(("way", "after"), [("up", 0), ("up", 60), ("down", 0), ("down", 200)])
async def test_a_handshake_that_breaks_has_sent_nothing_so_the_job_is_submitted_again(
    action: Action,
    way: Way,
    after: int,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority.be_trusted(monkeypatch)

    async def take(exchange: Exchange) -> None:
        await exchange.answer_json({"job_id": "j1", "status": "pending"}, 202)

    request = GarmentRecolor(project="p", images=["a"], reference_text="navy")
    async with (
        serve(take, tls=authority.server()) as server,
        tcp_proxy(server.url) as line,
        Session("t", base_url=https(line.url), stream=False) as session,
    ):
        broken = line.add(action, way, after=after)
        assert (await session.submit(request)).id == "j1"
        assert broken.happened == 1
        assert line.connections == 2
        assert [each.target for each in server.seen("POST")] == ["/garment-recolor"]


PROGRAM = """
import asyncio, ssl, sys
from piktid_async import Session
from tests.transport.servers import serve

async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1])

    async def take(exchange):
        assert exchange.target == "/a%2Fb?X-Sig=%28&e=", exchange.target
        assert exchange.header("Authorization") is None
        await exchange.answer()

    async def hand_out(exchange):
        assert exchange.header("Authorization") == "Bearer sekrit"
        await exchange.body()
        await exchange.answer_json({
            "upload_url": storage.url.replace("https:", "http:") + "/a%2Fb?X-Sig=%28&e=",
            "file_id": "f", "filename": "n.png", "content_type": "image/png",
        })

    async with serve(take, tls=tls) as storage, serve(hand_out, tls=tls) as api:
        async with Session(token="sekrit", base_url=api.url) as session:
            files = await session.upload_many([bytes(size) for size in (1, 20_000, 2_000_000)] * 8)
        assert len(files) == 24
        assert storage.connections == 8, storage.connections
        assert {len(each.content) for each in storage.requests} == {1, 20_000, 2_000_000}
    print("well")

asyncio.run(main())
"""


def test_an_authority_of_ssl_cert_file_is_trusted_and_http_upload_urls_go_by_https(
    authority: Authority, tmp_path: Path
) -> None:
    """In a process of its own: aiohttp reads the trusted authorities when it is imported."""
    certificate, chain = authority.write(tmp_path)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(chain)],
        env=os.environ | {"SSL_CERT_FILE": str(certificate)},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "well", run.stdout + run.stderr
