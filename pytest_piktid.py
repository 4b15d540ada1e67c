"""The pytest plugin of piktid-async: a sandbox, a session on it, and a clock, as fixtures.

A module of its own, beside the package: pytest imports it in every run, and a run that asks for
none of the fixtures imports nothing more.
"""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from piktid_async import Session
    from piktid_async.sandbox import Sandbox
    from piktid_async.testing import ManualClock

QUICK_SANDBOX = {"image_scale": 0.05, "seconds_per_image": 0.0, "limits": False}
MARKERS = (
    "piktid_sandbox(**options): options of Sandbox for the fixture of this name",
    "piktid_session(**options): options of Session for the fixture of this name",
)


def _async_fixture(function: Callable[..., Any]) -> Any:
    """Mark a fixture for pytest-asyncio's strict mode where it is there; anyio needs no mark."""
    try:
        import pytest_asyncio
    except ImportError:
        return pytest.fixture(function)
    return pytest_asyncio.fixture(function)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture
def piktid_clock() -> Iterator[ManualClock]:
    """Put a clock in place that stands still until `await piktid_clock.advance(60)`.

    Sandbox and session of the test go by it. See `piktid_async.testing.ManualClock`.
    """
    from piktid_async.testing import ManualClock

    with ManualClock() as clock:
        yield clock


@pytest.fixture
def piktid_sandbox_options() -> dict[str, Any]:
    """Return options of every `piktid_sandbox`; override it. A marker's go before them."""
    return {}


@pytest.fixture
def piktid_session_options() -> dict[str, Any]:
    """Return options of every `piktid_session`; override it. A marker's go before them."""
    return {}


@_async_fixture
async def piktid_sandbox(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    piktid_sandbox_options: dict[str, Any],
) -> AsyncIterator[Sandbox]:
    """Run a sandbox of the test's own, quick unless told otherwise.

    It makes small pictures at once and keeps no limits. `PIKTID_API_TOKEN` and `PIKTID_BASE_URL`,
    `VTRYON_API_KEY` and `VTRYON_BASE_URL` lead to it, so a program that builds its own session is
    tested as it is. Needs the extra `sandbox`.
    """
    clock = _clock_of(request)
    options = {**QUICK_SANDBOX, **piktid_sandbox_options, **_marked(request, "piktid_sandbox")}
    async with _sandbox_class()(**options) as sandbox:
        monkeypatch.setenv("PIKTID_API_TOKEN", sandbox.token)
        monkeypatch.setenv("PIKTID_BASE_URL", sandbox.url)
        monkeypatch.setenv("VTRYON_API_KEY", sandbox.vtryon_key)
        monkeypatch.setenv("VTRYON_BASE_URL", sandbox.vtryon_url)
        yield sandbox
        if clock is not None:
            clock.release()


@_async_fixture
async def piktid_session(
    request: pytest.FixtureRequest,
    piktid_sandbox: Sandbox,
    piktid_session_options: dict[str, Any],
) -> AsyncIterator[Session]:
    """Open a session on the test's sandbox; it is closed afterwards.

    It holds no submission back unless told `limits=AccountLimits()`.
    """
    from piktid_async import AccountLimits, Session

    clock = _clock_of(request)
    options = {
        "token": piktid_sandbox.token,
        "base_url": piktid_sandbox.url,
        "limits": AccountLimits.unlimited(),
        **piktid_session_options,
        **_marked(request, "piktid_session"),
    }
    async with Session(**options) as session:
        yield session
        if clock is not None:
            clock.release()


def _marked(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """Return the options of all markers of a name; one closer to the test goes before."""
    options: dict[str, Any] = {}
    for marker in request.node.iter_markers(name):
        if marker.args:
            pytest.fail(f"@pytest.mark.{name} takes options by name, not {marker.args}", False)
        options = {**marker.kwargs, **options}
    return options


def _clock_of(request: pytest.FixtureRequest) -> ManualClock | None:
    """Return the test's clock, if it asks for one; it comes before what goes by it."""
    if "piktid_clock" not in request.fixturenames:
        return None
    clock: ManualClock = request.getfixturevalue("piktid_clock")
    return clock


def _sandbox_class() -> type[Sandbox]:
    missing = [name for name in ("numpy", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.fail(
            f"the fixture piktid_sandbox needs {' and '.join(missing)}, which the extra sandbox "
            "brings: pip install 'piktid-async[sandbox]'",
            pytrace=False,
        )
    from piktid_async.sandbox import Sandbox

    return Sandbox
