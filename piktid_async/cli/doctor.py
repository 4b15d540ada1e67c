"""`piktid doctor`: look at all that a run needs, and say what to do about what is missing."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import platform
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import attrs

from piktid_async import AccountLimits, Session, StreamSettings
from piktid_async.cli import stopping
from piktid_async.cli.errors import TOKENS_PAGE, Exit, clean, explain, speaks_no_tls, trouble_from
from piktid_async.cli.framing import console_on
from piktid_async.cli.progress import Lines, view_on
from piktid_async.cli.service import PROXY_VARIABLE, session_with
from piktid_async.cli.words import count, span
from piktid_async.errors import (
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
    PiktidError,
)
from piktid_async.models.jobs import TERMINAL
from piktid_async.session import BASE_URL_VARIABLE, DEFAULT_BASE_URL, TOKEN_VARIABLE
from piktid_async.version import __version__

State: TypeAlias = Literal["ok", "note", "warning", "failed"]

PROXIES = ("https_proxy", "http_proxy", "all_proxy")
"""Variables that other programs take their proxy from."""
PATIENCE: aiohttp.ClientTimeout = aiohttp.ClientTimeout(total=15)
MOST_SKEW = 60.0
"""Seconds that a clock may be wrong: signed links are good for minutes."""
FEW_DAYS = 14
LITTLE_SPACE = 1 << 30
STREAM_WITHIN = 5.0


@attrs.frozen
class Check:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    advice: str = ""
    code: Exit = Exit.OK
    """How the command ends because of it."""

    def line(self) -> str:
        """Tell it to people."""
        advice = f"\n{'':9}-> {self.advice}" if self.advice else ""
        return f"{self.state:8} {self.name}: {clean(self.found)}{advice}"


@attrs.frozen
class Findings:
    """All that was looked at."""

    checks: Sequence[Check]

    @property
    def code(self) -> Exit:
        """The first check that is bad enough says it: what comes later follows from it."""
        bad = (check.code for check in self.checks if check.state == "failed")
        warned = any(check.state == "warning" for check in self.checks)
        return next(bad, Exit.INCOMPLETE if warned else Exit.OK)

    def as_json(self) -> dict[str, Any]:
        """Tell it to programs."""
        names = attrs.filters.exclude("code")
        return {
            "ok": self.code is Exit.OK,
            "exit_code": int(self.code),
            "checks": [attrs.asdict(check, filter=names) for check in self.checks],
        }


def examine(show: Callable[[Check], None]) -> Findings:
    """Look at everything, showing each as it is known."""
    checks: list[Check] = []

    async def work(view: Lines) -> None:
        async for check in _everything(view):
            checks.append(check)
            with view.aside():
                show(check)

    with view_on(console_on(err=True)) as view:
        stopping.run(work(view), lambda: "Stopped.")
    return Findings(checks)


async def _everything(view: Lines) -> AsyncIterator[Check]:
    for check in (*_versions(), _space(), *_proxies()):
        yield check
    token = _token()
    yield token
    address = _address()
    yield address
    if address.state == "failed":
        return
    reached = True
    with view.waiting("reaching the service"):
        for check in await _reach(os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL):
            reached = reached and check.state != "failed"
            yield check
    if reached and token.state != "failed":
        async for check in _account(view):
            yield check


def _versions() -> Iterator[Check]:
    parts = {
        "Python": platform.python_version(),
        "aiohttp": version("aiohttp"),
        "OpenSSL": ssl.OPENSSL_VERSION.split()[1],
    }
    told = ", ".join(f"{name} {number}" for name, number in parts.items())
    yield Check("versions", "ok", f"piktid-async {__version__}, {told}")
    extras = {"sandbox": ("numpy", "PIL"), "postgres": ("psycopg",)}
    missing = [
        name
        for name, modules in extras.items()
        if any(importlib.util.find_spec(module) is None for module in modules)
    ]
    if missing:
        yield Check(
            "extras",
            "note",
            f"not installed: {', '.join(missing)}",
            f"if you need them: pip install 'piktid-async[cli,{','.join(missing)}]'",
        )


def _space() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    found = f"{free / (1 << 30):.1f} GiB free in this folder"
    if free < LITTLE_SPACE:
        return Check("disk", "warning", found, "results of 4096 pixels take tens of MB: make room.")
    return Check("disk", "ok", found)


def _proxies() -> Iterator[Check]:
    if os.environ.get(PROXY_VARIABLE):
        yield Check("proxy", "ok", f"{PROXY_VARIABLE} is set, and used")
        return
    names = [each for name in PROXIES for each in (name, name.upper())]
    found = [name for name in names if os.environ.get(name)]
    if found:
        yield Check(
            "proxy",
            "note",
            f"{' and '.join(found)} set, and not used by this package",
            f"if the service is only reached through it, set {PROXY_VARIABLE}, or pass "
            "Session(proxy=...) in a program.",
        )


def _token() -> Check:
    token = os.environ.get(TOKEN_VARIABLE, "")
    advice = f"make one at {TOKENS_PAGE}, then: export {TOKEN_VARIABLE}=..."
    if not token.strip():
        return Check("token", "failed", f"{TOKEN_VARIABLE} is not set", advice, Exit.USAGE)
    if token != token.strip() or token.lower().startswith("bearer "):
        return Check(
            "token",
            "failed",
            f'{TOKEN_VARIABLE} holds more than the token: spaces, a line end, or "Bearer"',
            "set it to the token alone.",
            Exit.USAGE,
        )
    return Check("token", "ok", f"{TOKEN_VARIABLE} is set, {len(token)} letters")


def _address() -> Check:
    given = os.environ.get(BASE_URL_VARIABLE)
    parts = urlsplit(given or DEFAULT_BASE_URL)
    try:
        Session("checked", proxy=os.environ.get(PROXY_VARIABLE) or None)
    except ConfigurationError as error:
        return Check("address", "failed", str(error), "set it right, or unset it.", Exit.USAGE)
    host = parts.netloc.rpartition("@")[2]  # with its port, without any password
    where = f", from {BASE_URL_VARIABLE}" if given else ""
    return Check("address", "ok", f"{parts.scheme}://{host}{where}")


async def _reach(url: str) -> list[Check]:
    """Make one request without a token: any answer will do."""
    began = time.monotonic()
    proxy = os.environ.get(PROXY_VARIABLE) or None
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as client,
            client.get(url, proxy=proxy, allow_redirects=False) as answer,
        ):
            took = time.monotonic() - began
            found = f"answers {answer.status} in {took * 1000:.0f} ms"
            clock = _clock(answer.headers.get("Date"), took)
        return [Check("network", "ok", found), await _tls(url), clock]
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        return [_unreachable(error)]


def _unreachable(error: Exception) -> Check:
    match error:
        case aiohttp.ClientConnectorDNSError():
            found, advice = (
                "the name of the service is not found",
                ("check the network, the name server, and PIKTID_BASE_URL."),
            )
        case _ if speaks_no_tls(str(error)):
            found, advice = "the server speaks no TLS", f"use http:// in {BASE_URL_VARIABLE}."
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            found, advice = (
                f"the secure connection is refused ({error})",
                (
                    "a proxy may stand in between: install its certificate (SSL_CERT_FILE), or "
                    "check the clock of this machine."
                ),
            )
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            found, advice = "the proxy does not let it through", f"check {PROXY_VARIABLE}."
        case TimeoutError():
            found, advice = (
                f"no answer within {span(PATIENCE.total or 0)}",
                (f"a firewall may drop it: allow port 443, or set {PROXY_VARIABLE}."),
            )
        case _:
            found, advice = (
                f"no connection ({error})",
                (f"check the network and PIKTID_BASE_URL; behind a proxy, set {PROXY_VARIABLE}."),
            )
    return Check("network", "failed", found, advice, Exit.REFUSED)


async def _tls(url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme != "https":
        return Check("TLS", "ok", "none: the server is on this machine")
    if os.environ.get(PROXY_VARIABLE):
        return Check("TLS", "ok", "certificate accepted, through the proxy")
    async with asyncio.timeout(PATIENCE.total):
        _, writer = await asyncio.open_connection(
            parts.hostname, parts.port or 443, ssl=ssl.create_default_context()
        )
    try:
        return _certificate(writer.get_extra_info("ssl_object"))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _certificate(secured: Any) -> Check:
    certificate = secured.getpeercert() or {}
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    found = f"{secured.version()}, certificate good for {span(round(left))}"
    if left < FEW_DAYS * 86400:
        return Check("TLS", "note", found, "the owner of the host renews it.")
    return Check("TLS", "ok", found)


def _clock(date: str | None, took: float) -> Check:
    try:
        skew = time.time() - took / 2 - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return Check("clock", "note", "the service does not tell its time")
    found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the service"
    if abs(skew) > MOST_SKEW:
        return Check(
            "clock",
            "warning",
            found,
            "signed links may be refused: set the clock, for example timedatectl set-ntp true.",
        )
    return Check("clock", "ok", "as the service's" if abs(skew) < 2 else found)


async def _account(view: Lines) -> AsyncIterator[Check]:
    settings = StreamSettings(open_wait=STREAM_WITHIN, close_wait=0.5)
    async with session_with(stream=settings, ack="never") as session:
        with view.waiting("asking for the account"):
            accepted = await _accepted(session)
        yield accepted
        if accepted.state == "failed":
            return
        with view.waiting("opening the event stream"):
            stream = await _stream(session)
        yield stream
        with view.waiting("counting the active jobs"):
            limits = await _limits(session)
        yield limits


async def _accepted(session: Session) -> Check:
    began = time.monotonic()
    try:
        async for _ in session.projects.list():
            break
    except (AuthenticationError, PermissionDeniedError) as error:
        return Check(
            "account",
            "failed",
            error.summary,
            f"the token is wrong or has expired: make a new one at {TOKENS_PAGE}.",
            Exit.REFUSED,
        )
    except PiktidError as error:
        return Check("account", "failed", error.summary, explain(error), Exit.REFUSED)
    took = time.monotonic() - began
    return Check("account", "ok", f"the token is accepted, in {took * 1000:.0f} ms")


async def _stream(session: Session) -> Check:
    try:
        async with session.notifications():
            if session.stream_state == "live":
                return Check("event stream", "ok", "open")
    except PiktidError as error:
        found = error.summary
    else:
        found = f"not open within {span(STREAM_WITHIN)}"
    return Check(
        "event stream",
        "warning",
        found,
        "a proxy may hold it back; jobs are followed by status calls then, which is slower.",
    )


async def _limits(session: Session) -> Check:
    limits = AccountLimits()
    active = 0
    try:
        seen = 0
        async for job in session.gallery.jobs(max_images=1):
            seen += 1
            active += (job.job_status or "completed") not in TERMINAL
            if seen == 100:
                break
    except PiktidError as error:
        return Check("limits", "note", str(trouble_from(error)))
    most = limits.active_jobs
    found = f"{count(active, 'active job')} of {most}, as documented; 5 submissions a minute a kind"
    if most is not None and active >= most:
        return Check(
            "limits", "note", found, "new jobs wait here until one has ended; that is no error."
        )
    return Check("limits", "ok", found)
