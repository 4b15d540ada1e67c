"""A transport of its own for each test, as the transport's tests have it."""

from __future__ import annotations

from tests.transport.conftest import open_transport as open_transport
