"""Where links of the service may lead: to https, and not to this machine if the API is not."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from piktid_async import ResponseFormatError
from piktid_async.transport._addresses import PublicResolver, is_loopback, is_public
from tests.security.service import sending
from tests.transport.conftest import OpenTransport
from tests.transport.servers import serve

NOT_PUBLIC = [
    *("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST.", "0.0.0.0", "::"),
    *("10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1", "100.64.0.1"),
    *("169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"),
]


@pytest.mark.parametrize("host", NOT_PUBLIC)
def test_an_address_of_this_machine_or_its_network_is_not_public(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", ["storage.example", "8.8.8.8", "2001:4860:4860::8888", "a.local"])
def test_a_public_address_and_any_name_may_be(host: str) -> None:
    assert is_public(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", [each for each in NOT_PUBLIC if ":" not in each])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_public_api_cannot_send_a_download_into_this_network(
    open_transport: OpenTransport, host: str, scheme: str
) -> None:
    transport = open_transport("https://api.example")
    with pytest.raises(ResponseFormatError, match="not to be followed") as raised:
        async with transport.get(f"{scheme}://{host}/latest/meta-data?X-Amz-Signature=c0ffee"):
            pass
    assert "c0ffee" not in str(raised.value)


async def test_nor_can_a_redirect(open_transport: OpenTransport) -> None:
    transport = open_transport("https://api.example")
    source = transport._foreign("https://storage.example/a")
    assert source is not None
    for location in ("https://127.0.0.1/", "//169.254.169.254/x", "http://[::1]/", "https://10.1/"):
        found = transport._redirected(source, location)
        assert found is None or found.url.host == "10.1"  # which the resolver looks at


async def test_a_name_that_leads_to_this_machine_is_not_connected_to(
    open_transport: OpenTransport,
) -> None:
    with pytest.raises(OSError, match="leads to this machine"):
        await PublicResolver().resolve("localhost", 443, socket.AF_INET)
    # What is looked at is what is connected to: there is no second look-up.
    guarded = open_transport("https://api.example")._session("download")
    assert isinstance(guarded.connector._resolver, PublicResolver)
    beside = open_transport("http://127.0.0.1:9")._session("download")
    assert not isinstance(beside.connector._resolver, PublicResolver)


async def test_an_api_on_this_machine_may_have_its_storage_beside_it(
    open_transport: OpenTransport,
) -> None:
    async with serve(sending(b"there")) as storage:
        transport = open_transport("http://127.0.0.1:9")
        async with transport.get(f"{storage.url}/a") as incoming:
            assert b"".join([block async for block in incoming.blocks()]) == b"there"


@pytest.mark.parametrize("given", ["http://10.0.0.1/a", "http://storage.example/a"])
def test_but_what_is_elsewhere_is_asked_over_https(
    open_transport: OpenTransport, given: str
) -> None:
    found: Any = open_transport("http://127.0.0.1:9")._foreign(given)
    assert str(found.url) == given.replace("http:", "https:")
