"""What the user sees while a run goes on: bars on a terminal, calm lines elsewhere."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeAlias

import attrs
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from piktid_async.cli.errors import clean
from piktid_async.cli.words import count, span

Clock: TypeAlias = Callable[[], float]

RECOLOR = ("recoloring", "recolored")
"""What is being done to each, and what has been."""
WORTH_TELLING = 10.0
"""Seconds after which a line says how fast it goes and how long it will take."""
FRAME = 0.1
"""Seconds between two looks of the bars, while nothing else is printed."""
NARROW = 72
"""Columns below which bars tell no speed and no time."""
PATIENCE = 1.0
"""Seconds that something may take before a line says what is being waited for."""


@attrs.define
class Pace:
    """How fast things end, from the first one on."""

    total: int
    clock: Clock
    done: int = 0
    began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.began = self.clock()

    @property
    def per_second(self) -> float | None:
        """None before there is anything to go by."""
        elapsed = self.clock() - self.began
        return self.done / elapsed if self.done and elapsed > 0 else None

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this pace."""
        rate = self.per_second
        return None if rate is None else max(self.total - self.done, 0) / rate

    def words(self) -> str:
        """Tell rate and time left; nothing while it has not taken long, or when all is done."""
        rate, left = self.per_second, self.left
        if rate is None or not left or self.clock() - self.began < WORTH_TELLING:
            return ""
        return f" ({per_minute(rate)}, about {span(round(left) or 1)} left)"


class Lines:
    """One line for each thing that has happened. The base of all views."""

    _tells_speed: ClassVar[bool] = True

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._uploads = Pace(0, clock)
        self._outputs = Pace(0, clock)
        self._passed = 0
        self._done = RECOLOR[1]
        # Python prints what no handler takes; the package's log is for programs.
        self._silence = logging.NullHandler()

    def __enter__(self) -> Self:
        logging.getLogger("piktid_async").addHandler(self._silence)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        logging.getLogger("piktid_async").removeHandler(self._silence)

    @property
    def shares_stdout(self) -> bool:
        """Whether what is printed on standard output later stands below these lines."""
        try:
            here, there = os.fstat(self._console.file.fileno()), os.fstat(sys.stdout.fileno())
        except (OSError, ValueError):
            return False  # no file at all
        return os.path.samestat(here, there)

    def note(self, text: str, *, style: str = "") -> None:
        """Say something in passing."""
        self._console.print(Text(clean(text), style=style), highlight=False, soft_wrap=True)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make room for what is printed on standard output meanwhile."""
        yield

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what is being waited for, if it takes longer than a moment."""
        saying = asyncio.get_running_loop().call_later(PATIENCE, self.note, f"{what} ...")
        try:
            yield
        finally:
            saying.cancel()

    def start_uploads(self, files: int) -> None:
        """Expect so many files."""
        self._uploads = Pace(files, self._clock)

    def upload(self, path: Path, sent: int, size: int) -> None:
        """Show how far one file is."""

    def uploaded(self, path: Path, error: str | None = None) -> None:
        """Show that one file has ended."""
        self._uploads.done += 1
        at = f"{self._uploads.done}/{self._uploads.total}"
        if error:
            self.note(f"not uploaded {at}: {path.name}: {error}", style="red")
        else:
            self.note(f"uploaded {at}: {path.name}{self._speed(self._uploads)}")

    def start_outputs(self, outputs: int, words: tuple[str, str] = RECOLOR) -> None:
        """Expect so many pictures over all jobs, or so many of whatever is being done."""
        self._outputs, self._passed, self._done = Pace(outputs, self._clock), 0, words[1]

    def submitted(self, job_id: str, outputs: int) -> None:
        """Show that a job is at the server."""
        self.note(f"job {job_id}: {count(outputs, 'picture')} ordered")

    def output(self, name: str, error: str | None = None) -> None:
        """Show that one picture has ended."""
        self._outputs.done += 1
        at = f"{self._passed + self._outputs.done}/{self._passed + self._outputs.total}"
        if error:
            self.note(f"failed {at}: {name}: {error}", style="red")
        else:
            self.note(f"{self._done} {at}: {name}{self._speed(self._outputs)}")

    def _speed(self, pace: Pace) -> str:
        return pace.words() if self._tells_speed else ""

    def passed(self) -> None:
        """Count one that had ended before, without a word; it tells nothing of the pace."""
        self._passed += 1
        self._outputs.total -= 1

    def start_saving(self, job_id: str, files: int) -> None:
        """Expect the pictures of a job on the disk."""
        self.note(f"job {job_id}: saving {count(files, 'picture')}")

    def saving(self, name: str, received: int, size: int | None) -> None:
        """Show how far one picture is."""


class Bars(Lines):
    """A bar for each file on its way up or down, and one for all that is still owed."""

    _tells_speed = False  # the bars do

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        super().__init__(console, clock)
        self._progress = _Block(
            *_columns(console),
            console=console,
            transient=True,
            expand=True,
            # A thread that draws beside one that prints garbles both: all is drawn from here.
            auto_refresh=False,
            redirect_stdout=False,
        )
        self._frame: asyncio.TimerHandle | None = None
        self._files: dict[Path | str, TaskID] = {}
        self._total: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._frame is not None:
            self._frame.cancel()
        self._progress.stop()
        super().__exit__(kind, error, traceback)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bars away meanwhile."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Move a bar without an end."""
        task = self._add(what, total=None, bytes=False)
        try:
            yield
        finally:
            self._progress.remove_task(task)

    def start_uploads(self, files: int) -> None:
        """Expect so many files."""
        super().start_uploads(files)
        self._restart("uploading", self._uploads)

    def upload(self, path: Path, sent: int, size: int) -> None:
        """Move the bar of one file, backwards too when an attempt is repeated."""
        self._file(path, path.name, sent, size)

    def uploaded(self, path: Path, error: str | None = None) -> None:
        """Take the file's bar away."""
        self._drop(path)
        self._advance()
        super().uploaded(path, error)

    def start_outputs(self, outputs: int, words: tuple[str, str] = RECOLOR) -> None:
        """Expect so many pictures over all jobs, or so many of whatever is being done."""
        super().start_outputs(outputs, words)
        self._restart(words[0], self._outputs)

    def output(self, name: str, error: str | None = None) -> None:
        """Move the bar of all pictures."""
        self._advance()
        super().output(name, error)

    def passed(self) -> None:
        """Move the bar of all pictures."""
        super().passed()
        self._advance()

    def saving(self, name: str, received: int, size: int | None) -> None:
        """Move the bar of one picture, until it is here."""
        self._file(name, f"saving {name}", received, size)
        if received == size:
            self._drop(name)

    def _file(self, key: Path | str, name: str, moved: int, size: int | None) -> None:
        if key not in self._files:
            self._files[key] = self._add(clean(name), total=size, bytes=True)
        self._progress.update(self._files[key], completed=moved, total=size)

    def _drop(self, key: Path | str) -> None:
        if key in self._files:
            self._progress.remove_task(self._files.pop(key))

    def _restart(self, what: str, pace: Pace) -> None:
        if self._total is not None:
            self._progress.remove_task(self._total)
        self._total = self._add(what, total=pace.total, bytes=False, pace=pace)

    def _advance(self) -> None:
        if self._total is not None:
            self._progress.advance(self._total)

    def _add(self, what: str, **settings: Any) -> TaskID:
        added = self._progress.add_task(what, **settings)
        if self._frame is None:
            self._draw()
        return added

    def _draw(self) -> None:
        """Draw, now and from time to time while there is a bar and a loop that moves it."""
        self._progress.refresh()
        self._frame = None
        if self._progress.tasks:
            with suppress(RuntimeError):
                self._frame = asyncio.get_running_loop().call_later(FRAME, self._draw)


class _Block(Progress):
    """Bars that are never higher than half the screen, nor wider than it."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Leave the choice of the bars to when they are drawn."""
        yield _Fitted(self)


@attrs.frozen
class _Fitted:
    bars: Progress

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        tasks = sorted(self.bars.tasks, key=lambda task: bool(task.fields.get("bytes")))
        room = max(1, console.height // 2)
        table = self.bars.make_tasks_table(tasks[:room])
        # A line that is printed above may be as long as it likes, and a bar may not.
        yield from console.render(table, options.update(no_wrap=False, overflow="fold"))


def _columns(console: Console) -> list[ProgressColumn]:
    name = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    described = TextColumn("{task.description}", markup=False, table_column=name)
    if console.width < NARROW:
        return [described, BarColumn(bar_width=8), _Amount()]
    speed = [_Rate(), TimeElapsedColumn(), _Left()]
    return [described, BarColumn(bar_width=24), _Amount(), *speed]


class _Amount(ProgressColumn):
    """Bytes for files, a count for everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes, self._count = DownloadColumn(), MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        if task.total is None and not task.fields.get("bytes"):
            return Text()
        return (self._bytes if task.fields.get("bytes") else self._count).render(task)


class _Rate(ProgressColumn):
    """Bytes a second for files, so many a minute for everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = TransferSpeedColumn()

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        if task.fields.get("bytes"):
            return self._bytes.render(task)
        pace: Pace | None = task.fields.get("pace")
        rate = pace.per_second if pace is not None else None
        return Text(per_minute(rate) if rate else "", style="progress.data.speed")


class _Left(ProgressColumn):
    """The time left for all, at the pace of all so far."""

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        pace: Pace | None = task.fields.get("pace")
        left = pace.left if pace is not None else None
        words = f"{span(round(left))} left" if left else ""
        return Text(words, style="progress.remaining")


def view_on(console: Console, clock: Clock = time.monotonic) -> Lines:
    """Choose the view: a terminal that can move its cursor gets bars."""
    live = console.is_terminal and not console.is_dumb_terminal
    return Bars(console, clock) if live else Lines(console, clock)


def per_minute(rate: float) -> str:
    """Return so many a minute, as exactly as it means something."""
    number = rate * 60
    return f"{number:.0f}/min" if number >= 10 else f"{number:.1f}/min"
