"""The same edge over TLS, with a certificate authority made for the occasion."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from piktid_async.errors import ConnectionFailedError
from piktid_async.protocol.messages import Request
from tests.transport.conftest import OpenTransport
from tests.transport.servers import Exchange, serve

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
HERE = Path(__file__)


@attrs.frozen
class Authority:
    """Where its certificate is, and what a server of its shows."""

    certificate: Path
    server: ssl.SSLContext
    chain: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(
        "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem",
    )  # fmt: skip
    chain = folder / "chain.pem"
    chain.write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Authority(folder / "ca.pem", context, chain)


async def test_certificate_that_is_not_trusted_ends_the_call_before_the_token_leaves(
    open_transport: OpenTransport, authority: Authority
) -> None:
    async def accept(exchange: Exchange) -> None:
        await exchange.answer()

    async with serve(accept, tls=authority.server) as server:
        with pytest.raises(ConnectionFailedError, match="certificate verify failed") as raised:
            await open_transport(server.url).send(Request(method="POST", path="/garment-recolor"))
    assert not raised.value.sent
    assert not server.requests


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


def test_http_upload_url_under_an_https_api_is_used_by_https(authority: Authority) -> None:
    """In a process of its own: aiohttp reads the trusted authorities when it is imported."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(authority.chain)],
        env=os.environ | {"SSL_CERT_FILE": str(authority.certificate)},
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "well", run.stdout + run.stderr
