"""`piktid upload`: pictures to the account, for later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from piktid_async import Session
from piktid_async.cli.asking import ask
from piktid_async.cli.errors import Exit, explain
from piktid_async.cli.inputs import find_images, shown
from piktid_async.cli.progress import Lines
from piktid_async.cli.words import count


@attrs.define
class Sent:
    """One picture, and what became of it."""

    path: Path
    file_id: str | None = None
    content_type: str | None = None
    error: str | None = None


@attrs.frozen
class Sending:
    """All pictures of one command."""

    files: Sequence[Sent]

    @property
    def code(self) -> Exit:
        """0 if all arrived, 3 if none did."""
        arrived = sum(1 for file in self.files if file.file_id)
        if arrived == len(self.files):
            return Exit.OK
        return Exit.INCOMPLETE if arrived else Exit.REFUSED

    def lines(self) -> Iterator[str]:
        """Sum up for people: what `piktid` and programs take is the id."""
        for file in self.files:
            told = file.file_id or file.error or "not uploaded"
            yield f"{shown(file.path)} -> {told}" if file.file_id else f"{shown(file.path)}: {told}"

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs. Holds ids, never URLs."""
        return {
            "ok": self.code is Exit.OK,
            "exit_code": int(self.code),
            "error": next((file.error for file in self.files if file.error), None),
            "files": [{**attrs.asdict(file), "path": str(file.path)} for file in self.files],
        }


def send(paths: Sequence[Path]) -> Sending:
    """Upload pictures. Ctrl-C tells which have arrived."""
    sending = Sending([Sent(path) for path in find_images(paths)])
    by_path = {file.path: file for file in sending.files}

    async def work(session: Session, view: Lines) -> Sending:
        view.start_uploads(len(by_path))
        outcomes = session.upload_each(
            list(by_path),
            on_progress=lambda at: view.upload(Path(str(at.source)), at.sent, at.total),
        )
        async for outcome in outcomes:
            file = by_path[Path(str(outcome.source))]
            file.error = explain(outcome.error) if outcome.error else None
            view.uploaded(file.path, file.error)
            if outcome.file is not None:
                file.file_id = outcome.file.file_id
                file.content_type = outcome.file.content_type
        return sending

    def stopped() -> str:
        here = [file for file in sending.files if file.file_id]
        told = ", ".join(f"{file.path.name} as {file.file_id}" for file in here)
        return f"Stopped; {count(len(here), 'picture')} arrived{f': {told}' if told else ''}."

    return ask(work, stopped=stopped)
