"""What the user sees while a run goes on: bars on a terminal, calm lines elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
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
)
from rich.table import Column
from rich.text import Text

from piktid_async.cli.errors import clean

RECOLOR = ("recoloring", "recolored")
"""What is being done to each, and what has been."""


class Lines:
    """One line for each thing that has happened. The base of all views."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._uploads = (0, 0)
        self._outputs = (0, 0)
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

    def note(self, text: str, *, style: str = "") -> None:
        """Say something in passing."""
        self._console.print(Text(clean(text), style=style), highlight=False, soft_wrap=True)

    def start_uploads(self, files: int) -> None:
        """Expect so many files."""
        self._uploads = (0, files)

    def upload(self, path: Path, sent: int, size: int) -> None:
        """Show how far one file is."""

    def uploaded(self, path: Path, error: str | None = None) -> None:
        """Show that one file has ended."""
        done, files = self._uploads = (self._uploads[0] + 1, self._uploads[1])
        if error:
            self.note(f"not uploaded {done}/{files}: {path.name}: {error}", style="red")
        else:
            self.note(f"uploaded {done}/{files}: {path.name}")

    def start_outputs(self, outputs: int, words: tuple[str, str] = RECOLOR) -> None:
        """Expect so many pictures over all jobs, or so many of whatever is being done."""
        self._outputs, self._done = (0, outputs), words[1]

    def submitted(self, job_id: str, outputs: int) -> None:
        """Show that a job is at the server."""
        self.note(f"job {job_id}: {_count(outputs, 'picture')} ordered")

    def output(self, name: str, error: str | None = None) -> None:
        """Show that one picture has ended."""
        done, outputs = self._outputs = (self._outputs[0] + 1, self._outputs[1])
        if error:
            self.note(f"failed {done}/{outputs}: {name}: {error}", style="red")
        else:
            self.note(f"{self._done} {done}/{outputs}: {name}")

    def passed(self) -> None:
        """Count one that had ended before, without a word."""
        self._outputs = (self._outputs[0] + 1, self._outputs[1])


class Bars(Lines):
    """A bar for each file on its way up, then one for each picture that the jobs still owe."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        wide = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=wide),
            BarColumn(bar_width=24),
            _Amount(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            expand=True,
        )
        self._files: dict[Path, TaskID] = {}
        self._total: TaskID | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()
        super().__exit__(kind, error, traceback)

    def start_uploads(self, files: int) -> None:
        """Expect so many files."""
        super().start_uploads(files)
        self._restart("uploading", files)

    def upload(self, path: Path, sent: int, size: int) -> None:
        """Move the bar of one file, backwards too when an attempt is repeated."""
        if path not in self._files:
            self._files[path] = self._progress.add_task(clean(path.name), total=size, bytes=True)
        self._progress.update(self._files[path], completed=sent, total=size)

    def uploaded(self, path: Path, error: str | None = None) -> None:
        """Take the file's bar away."""
        super().uploaded(path, error)
        if path in self._files:
            self._progress.remove_task(self._files.pop(path))
        self._advance()

    def start_outputs(self, outputs: int, words: tuple[str, str] = RECOLOR) -> None:
        """Expect so many pictures over all jobs, or so many of whatever is being done."""
        super().start_outputs(outputs, words)
        self._restart(words[0], outputs)

    def output(self, name: str, error: str | None = None) -> None:
        """Move the bar of all pictures."""
        super().output(name, error)
        self._advance()

    def passed(self) -> None:
        """Move the bar of all pictures."""
        super().passed()
        self._advance()

    def _restart(self, what: str, total: int) -> None:
        if self._total is not None:
            self._progress.remove_task(self._total)
        self._total = self._progress.add_task(what, total=total, bytes=False)

    def _advance(self) -> None:
        if self._total is not None:
            self._progress.advance(self._total)


class _Amount(ProgressColumn):
    """Bytes for files, a count for everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes, self._count = DownloadColumn(), MofNCompleteColumn()

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        return (self._bytes if task.fields.get("bytes") else self._count).render(task)


def view_on(console: Console) -> Lines:
    """Choose the view: a terminal that can move its cursor gets bars."""
    live = console.is_terminal and not console.is_dumb_terminal
    return Bars(console) if live else Lines(console)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
