"""On what it was measured."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.harness import cores

PACKAGES = (
    "piktid-async", "aiohttp", "aiofiles", "attrs", "cattrs", "orjson",
    "httpx", "httpx-sse", "launchdarkly-eventsource", "pycurl", "requests",
)  # fmt: skip


def describe() -> list[str]:
    """Return a few lines on the machine and the versions."""
    memory = psutil.virtual_memory().total / 2**30
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return [
        f"{_processor()}, {cores()} cores, {memory:.0f} GiB of memory",
        f"{platform.system()} {platform.release()}, {python}, {ssl.OPENSSL_VERSION}",
        ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name))),
    ]


def load() -> float:
    """Return how many processes wanted a core over the last minute."""
    return os.getloadavg()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
