"""Where a URL that somebody else chose may lead to.

A public API has no business on this machine or in its network. What keeps an attacker out is TLS:
links are https, and whoever answers must hold a certificate for the name. On top of it, addresses
that are written out must be public ones, and no name may lead to this machine or its link, where
clouds keep their metadata. A name may lead to a private address: that is how storage is reached
from within a cloud.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache

import aiohttp
from aiohttp.abc import ResolveResult

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(host: str) -> bool:
    """Whether a host, as a URL has it, may be a public one; names are told by their addresses."""
    address = _address(host)
    if address is None:
        return not is_loopback(host)
    return address.is_global and not address.is_multicast


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL has it, is this machine for certain."""
    address = _address(host)
    return address.is_loopback if address else host.rstrip(".").lower() == "localhost"


class PublicResolver(aiohttp.ThreadedResolver):
    """Resolve names, but none to this machine or its link; the address checked is the one used."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses that may be connected to."""
        found = await super().resolve(host, port, family)
        if not (allowed := [each for each in found if not _is_near(each["host"])]):
            raise OSError(None, f"{host} leads to this machine, not to a public one")
        return allowed


def _is_near(host: str) -> bool:
    address = _address(host)
    return address is not None and (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
    )


@lru_cache(maxsize=64)
def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
