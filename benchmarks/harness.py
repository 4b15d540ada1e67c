"""What an area of the benchmark is written with; `areas/README.md` says how."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import psutil

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
GRACE = 10.0
"""Seconds that a server has to count and to end, before it is killed."""


# What is measured


@attrs.frozen
class Bar:
    """What a case should reach: by itself, or as a multiple of another case of the same round."""

    case: str
    of: str | None = attrs.field(default=None, kw_only=True)
    at_least: float | None = attrs.field(default=None, kw_only=True)
    at_most: float | None = attrs.field(default=None, kw_only=True)
    column: str | None = attrs.field(default=None, kw_only=True)
    """A note in place of the value."""

    def __attrs_post_init__(self) -> None:
        """Refuse a bar that says nothing, or two things."""
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"the bar of {self.case!r} needs at_least= or at_most=, one of them")

    def met(self, reached: float) -> bool:
        """Compare."""
        if self.at_least is not None:
            return reached >= self.at_least
        assert self.at_most is not None
        return reached <= self.at_most


@attrs.frozen(kw_only=True)
class Figure:
    """One table and one plot."""

    key: str
    title: str
    unit: str
    cases: Mapping[str, Callable[[Run], float | Awaitable[float]]]
    bars: Sequence[Bar] = ()
    about: str = ""
    points: Sequence[int] = ()
    """Each case runs once for each of them."""
    tiny_points: Sequence[int] = ()
    over: str = ""
    """What the points count."""
    rounds: int = 5
    warm_up: bool = True
    log: bool = False
    patience: float = 120.0
    """Seconds after which a case is taken to hang."""

    def rows(self, *, full: bool) -> list[Row]:
        """Return what runs in each round, in order."""
        points = self.points if full else self.tiny_points or self.points[:1]
        return [Row(case, point) for case in self.cases for point in points or (None,)]


@attrs.frozen
class Row:
    """A case, at one of the points if the figure has any."""

    case: str
    point: int | None = None

    @property
    def name(self) -> str:
        """What tables and bars call it."""
        return self.case if self.point is None else f"{self.case} @ {self.point:,}"


@attrs.frozen(kw_only=True)
class Measured:
    """What a case found in one round."""

    value: float
    seconds: float
    cpu: float
    """Seconds of its own, without the servers."""
    memory: float | None
    """Megabytes at the peak, over those before; `None` where the system does not tell."""
    servers: Mapping[str, float]
    """The share of a core that each server used."""
    notes: Mapping[str, float]


# What a case is given


@attrs.define
class Took:
    """What a timed block took; known when it has ended."""

    seconds: float = 0.0
    cpu: float = 0.0
    memory: float | None = None
    servers: dict[str, float] = attrs.field(factory=dict)


class Run:
    """One run of one case."""

    def __init__(self, folder: Path, *, full: bool, point: int | None = None) -> None:
        self.folder: Path = folder
        """Empty, and removed at the end."""
        self.full: bool = full
        self._point = point
        self._servers: list[Server] = []
        self._notes: dict[str, float] = {}
        self._took: Took | None = None

    @property
    def point(self) -> int:
        """The point of the figure that is measured."""
        assert self._point is not None, "the figure has no points"
        return self._point

    def pick(self, *, full: T, tiny: T) -> T:
        """Choose by the scale of the run."""
        return full if self.full else tiny

    def note(self, column: str, value: float) -> None:
        """Set a further column of the table."""
        self._notes[column] = value

    @contextlib.contextmanager
    def server(self, program: str | Sequence[str], *arguments: str) -> Iterator[Server]:
        """Run a server in a process of its own: a module of `benchmarks/servers`, or a command."""
        if isinstance(program, str):
            command = [sys.executable, "-m", f"benchmarks.servers.{program}", *arguments]
        else:
            command = [*program, *arguments]
        server = Server(command)
        try:
            server.start()
            self._servers.append(server)
            yield server
        finally:
            server.close()

    @contextlib.contextmanager
    def timed(self) -> Iterator[Took]:
        """Measure the block, and the servers that run beside it."""
        if self._took is not None:
            raise RuntimeError("a case has one timed block")
        took = self._took = Took()
        servers = [(server, server.cpu()) for server in self._servers if server.running]
        before = _forget_peak()
        cpu, began = time.process_time(), time.perf_counter()
        yield took
        took.seconds = time.perf_counter() - began
        took.cpu = time.process_time() - cpu
        peak = _memory("VmHWM")
        took.memory = None if before is None or peak is None else peak - before
        took.servers = {
            server.name: (server.cpu() - used) / took.seconds
            for server, used in servers
            if server.running
        }

    def measured(self, value: float) -> Measured:
        """Put together what is known when the case has returned."""
        took = self._took or Took()
        return Measured(
            value=value,
            seconds=took.seconds,
            cpu=took.cpu,
            memory=took.memory,
            servers=took.servers,
            notes=self._notes,
        )


class Server:
    """A server in a process of its own, as long as its standard input is open."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: subprocess.Popen[str] | None = None
        self._last: dict[str, Any] | None = None
        self.info: dict[str, Any] = {}
        """What it said when it was ready."""
        python = command[0] == sys.executable
        self.name: str = command[2].rpartition(".")[2] if python else Path(command[0]).name

    def __getitem__(self, key: str) -> Any:
        """Return what it said when it was ready, by name."""
        return self.info[key]

    @property
    def pid(self) -> int:
        """The process."""
        return self._alive().pid

    @property
    def running(self) -> bool:
        """Whether it can still be asked."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return when it listens."""
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.info = self._line()

    def cpu(self) -> float:
        """Return the seconds of processor time that it and its children have used."""
        process = psutil.Process(self._alive().pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def end(self) -> dict[str, Any]:
        """Have it end, and return what it has counted; again and again if asked."""
        if self._last is None:
            process = self._alive()
            assert process.stdin is not None
            process.stdin.close()
            self._last = self._line()
            process.wait(GRACE)
        return self._last

    def close(self) -> None:
        """End the process."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            process.stdout.close()

    def _line(self) -> dict[str, Any]:
        process = self._alive()
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server {self.name} has ended with {process.wait(GRACE)}")
        found: dict[str, Any] = json.loads(line)
        return found

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"the server {self.name} was not started")
        return self._process


# Memory, as Linux tells of it


def _memory(kind: str) -> float | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    found = next(line for line in status.splitlines() if line.startswith(f"{kind}:"))
    return int(found.split()[1]) * 1024 / 1e6


def _forget_peak() -> float | None:
    """Let the peak be what is resident now, and return that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _memory("VmRSS")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
