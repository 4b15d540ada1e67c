"""A certificate authority of the tests' own."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp.connector
import attrs
import pytest
import trustme


@attrs.frozen
class Authority:
    """Signs the certificates of servers on 127.0.0.1; trusted by nobody who is not told so."""

    ca: trustme.CA = attrs.field(factory=trustme.CA)

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server of that name shows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
        return context

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write its certificate, and the chain with the key of a server, for another process."""
        certificate, chain = folder / "authority.pem", folder / "server.pem"
        self.ca.cert_pem.write_to_path(str(certificate))
        self.ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
        return certificate, chain

    def be_trusted(self, patch: pytest.MonkeyPatch) -> None:
        """Let this process trust it, as `SSL_CERT_FILE` does when it is set before the start."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        patch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", context)
