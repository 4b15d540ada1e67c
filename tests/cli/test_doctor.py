"""`piktid doctor`: what it finds, what it advises, and its exit code."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from piktid_async.cli import doctor
from piktid_async.sandbox import Faults, Sandbox
from tests.cli.support import NOWHERE, Command, Main


def checks(out: str) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(out)["checks"]}


async def test_all_is_well_with_a_sandbox(piktid: Command, service: dict[str, str]) -> None:
    ended = await piktid("doctor", "--json", **service)
    assert ended.code == 0, ended.text
    found = checks(ended.out)
    assert {found[name]["state"] for name in found} <= {"ok", "note"}
    assert set(found) >= {
        *("versions", "disk", "token", "address", "network", "TLS", "clock"),
        *("account", "event stream", "limits"),
    }


async def test_a_wrong_token_is_told_from_a_service_that_is_away(
    piktid: Command, sandbox: Sandbox
) -> None:
    ended = await piktid("doctor", PIKTID_API_TOKEN="wrong-secret", PIKTID_BASE_URL=sandbox.url)
    assert ended.code == 3
    assert "failed   account: 401" in ended.out
    assert "-> the token is wrong or has expired: make a new one at https://" in ended.out
    assert "wrong-secret" not in ended.text


async def test_a_stream_that_does_not_open_is_a_warning(piktid: Command) -> None:
    async with Sandbox(faults=Faults(stream_refuse=True)) as sandbox:
        env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        ended = await piktid("doctor", "--json", **env)
    assert ended.code == 1, ended.text
    assert checks(ended.out)["event stream"]["state"] == "warning"


def test_without_a_token_the_rest_is_looked_at_all_the_same(main: Main) -> None:
    code, out, _ = main("doctor", "--json", PIKTID_BASE_URL=NOWHERE)
    found = checks(out)
    assert code == 2
    assert found["token"]["advice"].startswith("make one at https://")
    assert found["network"]["state"] == "failed"
    assert "account" not in found


@pytest.mark.parametrize("token", ["Bearer abc", " abc\n"])
def test_more_than_a_token_is_told(main: Main, token: str) -> None:
    code, out, _ = main("doctor", PIKTID_API_TOKEN=token, PIKTID_BASE_URL=NOWHERE)
    assert code == 2
    assert "holds more than the token" in out
    assert "abc" not in out


@pytest.mark.parametrize(
    ("address", "code", "words"),
    [
        (NOWHERE, 3, "check the network and PIKTID_BASE_URL; behind a proxy, set PIKTID_PROXY."),
        ("http://no-such-host.invalid", 2, "set it right, or unset it."),
        ("https://no-such-host.invalid", 3, "check the network, the name server"),
    ],
)
def test_a_service_that_cannot_be_reached_is_told_why(
    main: Main, address: str, code: int, words: str
) -> None:
    ended, out, _ = main("doctor", PIKTID_API_TOKEN="t", PIKTID_BASE_URL=address)
    assert ended == code, out
    assert words in out


def test_a_proxy_that_is_not_used_is_told(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    _, out, _ = main("doctor", "--json", PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert checks(out)["proxy"]["state"] == "note"
    assert "PIKTID_PROXY" in checks(out)["proxy"]["advice"]
    env = {"PIKTID_API_TOKEN": "t", "PIKTID_BASE_URL": NOWHERE, "PIKTID_PROXY": NOWHERE}
    code, out, _ = main("doctor", "--json", **env)
    assert (code, checks(out)["network"]["advice"]) == (3, "check PIKTID_PROXY.")


async def test_a_certificate_that_nobody_trusts_is_told(piktid: Command, tmp_path: Path) -> None:
    authority = trustme.CA()
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(secured)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=401)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secured).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        env = {"PIKTID_API_TOKEN": "t", "PIKTID_BASE_URL": url}
        stranger = await piktid("doctor", "--json", **env)
        trusted = await piktid("doctor", "--json", **env, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    finally:
        await runner.cleanup()
    assert stranger.code == 3
    assert "SSL_CERT_FILE" in checks(stranger.out)["network"]["advice"]
    found = checks(trusted.out)
    assert found["TLS"]["found"].startswith("TLSv1.3, certificate good for")
    assert found["account"]["state"] == "failed"


def test_a_clock_that_is_wrong_is_a_warning() -> None:
    assert doctor._clock("Sun, 06 Nov 1994 08:49:37 GMT", 0.0).state == "warning"
    assert doctor._clock(None, 0.0).state == "note"
    assert doctor._clock("no date", 0.0).state == "note"


async def test_a_server_that_speaks_no_tls_is_told(piktid: Command, sandbox: Sandbox) -> None:
    url = sandbox.url.replace("http://", "https://")
    env = {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": url}
    found = checks((await piktid("doctor", "--json", **env)).out)
    assert found["address"]["found"] == f"{url}, from PIKTID_BASE_URL"
    assert found["network"]["found"] == "the server speaks no TLS"
    assert found["network"]["advice"] == "use http:// in PIKTID_BASE_URL."


def test_a_proxy_is_named_as_it_is_set(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in doctor.PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    _, out, _ = main("doctor", "--json", PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert checks(out)["proxy"]["found"].startswith("HTTPS_PROXY set")
