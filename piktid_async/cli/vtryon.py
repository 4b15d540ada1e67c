"""`piktid vtryon recolor`: other colours in an image that Vtryon has made."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
from rich.console import Console

from piktid_async.cli import stopping
from piktid_async.cli.errors import VTRYON_HINTS, Exit, Trouble, clean, trouble_from
from piktid_async.cli.inputs import check_output, shown
from piktid_async.cli.progress import Lines, view_on
from piktid_async.cli.report import SANDBOX
from piktid_async.cli.service import proxy
from piktid_async.errors import (
    InvalidRequestError,
    JobError,
    JobTimeoutError,
    PiktidError,
    SubmissionUnknownError,
)
from piktid_async.vtryon import ColorChange, Recolor, Task, VtryonSession

SANDBOX_POLLS = 0.3
"""Seconds between looks at a sandbox, which has nobody else to serve."""


@attrs.frozen(kw_only=True)
class Order:
    """One recolor, checked, before anything is sent."""

    request: Recolor
    out: Path
    timeout: float | None

    @property
    def target(self) -> str:
        """The new colours in words."""
        return ", ".join(f"{each.target}: {each.color}" for each in self.request.color_changes)


@attrs.frozen(kw_only=True)
class Done:
    """A recolor that went well."""

    order: Order
    service: str
    task_id: int
    seconds: float

    def lines(self) -> list[str]:
        """Sum up for people."""
        return [
            f"task {self.task_id} -> {shown(self.order.out)}",
            clean(f"Recolored ({self.order.target}) in {self.seconds:.1f} s."),
        ]

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs. Holds paths, never URLs."""
        return {
            "ok": True,
            "exit_code": int(Exit.OK),
            "target": self.order.target,
            "service": self.service,
            "seconds": round(self.seconds, 3),
            "task_id": self.task_id,
            "path": str(self.order.out),
        }


def place_order(
    changes: Iterable[str],
    *,
    pose: int | None,
    model: int | None,
    quality: Any,
    out: Path,
    timeout: float | None,
    overwrite: bool,
) -> Order:
    """Check everything that can be checked here, or raise `Trouble`."""
    if timeout is not None and not timeout > 0:
        raise Trouble("--timeout: must be more than 0 seconds.")
    if pose is None and model is None:
        raise Trouble("No base image: give --pose, --model or both.")
    try:
        request = Recolor(
            pose_image_generation_id=pose,
            models_image_generation_task_id=model,
            color_changes=[_change(text) for text in changes],
            image_quality=quality,
        )
    except InvalidRequestError as error:
        raise trouble_from(error) from error
    check_output(out.parent, [], overwrite=True)
    if out.is_dir():
        raise Trouble(f"--out: {shown(out)} is a folder, not a file.")
    if out.exists() and not overwrite:
        raise Trouble(f"--out: {shown(out)} exists: name another file, or add --overwrite.")
    return Order(request=request, out=out, timeout=timeout)


def carry_out(order: Order, *, sandbox: bool, console: Console) -> Done:
    """Run an order to its end. Ctrl-C leaves a `Trouble` that names the task that goes on."""
    with view_on(console) as view:
        run = _Run(order, view, sandbox=sandbox)
        try:
            return stopping.run(run.carry_out(), lambda: f"Stopped; {run.afterwards}.")
        except (PiktidError, OSError) as error:
            raise run.trouble(error) from error


class _Run:
    """One order on its way, and how far it has come."""

    def __init__(self, order: Order, view: Lines, *, sandbox: bool) -> None:
        self._order = order
        self._view = view
        self._sandbox = sandbox
        self._asked = False
        self._task: Task | None = None

    async def carry_out(self) -> Done:
        began = time.monotonic()
        async with _session(sandbox=self._sandbox) as session:
            self._asked = True
            task = self._task = await session.recolor(self._order.request)
            self._view.note(f"task {task.id}: recolor ordered")
            await task.result(self._order.timeout)
            await task.download(self._order.out)
        return Done(
            order=self._order,
            service=SANDBOX if self._sandbox else _service(),
            task_id=task.id,
            seconds=time.monotonic() - began,
        )

    @property
    def afterwards(self) -> str:
        """What becomes of the task that nobody waits for any more."""
        if self._sandbox:
            return "the sandbox ends with this command"
        if self._task is not None:
            return f"task {self._task.id} goes on at the server"
        return "a task may go on at the server" if self._asked else "nothing was sent"

    def trouble(self, error: PiktidError | OSError) -> Trouble:
        """Return the sentence and the exit code: 1 as soon as there may be a task."""
        if isinstance(error, SubmissionUnknownError):
            return Trouble(
                f"The recolor got no answer ({clean(error.reason)}): look for its task before "
                "you run this again, since it may exist and be paid.",
                Exit.INCOMPLETE,
            )
        if isinstance(error, JobTimeoutError):
            return Trouble(
                f"task {error.job_id} was not finished after {self._order.timeout:g} s; "
                f"{self.afterwards}.",
                Exit.INCOMPLETE,
            )
        if isinstance(error, JobError):
            return Trouble(clean(f"task {error.job_id}: {error.message}."), Exit.INCOMPLETE)
        found = trouble_from(error, hints=VTRYON_HINTS)
        return found if self._task is None else Trouble(str(found), Exit.INCOMPLETE)


@asynccontextmanager
async def _session(*, sandbox: bool) -> AsyncIterator[VtryonSession]:
    if not sandbox:
        async with VtryonSession(proxy=proxy()) as session:
            yield session
        return
    from piktid_async.sandbox import Sandbox

    async with (
        Sandbox() as server,
        VtryonSession(
            server.vtryon_key, base_url=server.vtryon_url, poll_interval=SANDBOX_POLLS
        ) as session,
    ):
        yield session


def _change(text: str) -> ColorChange:
    target, found, color = text.partition("=")
    if not (found and target.strip() and color.strip()):
        raise Trouble(
            f'--change: write GARMENT=COLOUR, such as "blouse=royal blue", not {clean(text)!r}.'
        )
    return ColorChange(target.strip(), color.strip())


def _service() -> str:
    return urlsplit(os.environ.get("VTRYON_BASE_URL") or "").hostname or "Vtryon"
