"""What goes on beside the jobs: a webhook, identities, and tasks of Vtryon."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from aiohttp import web
from chaos_items import draw_picture
from patience import TRIES, patiently

from piktid_async import Identity, IdentityFailedError, PiktidError, Session, SubmissionUnknownError
from piktid_async.sandbox import Sandbox
from piktid_async.vtryon import ColorChange, Recolor, Task, VtryonSession
from piktid_async.webhooks import WebhookReceiver

POSE = 936
"""The base that Vtryon's own page names."""
PREPARED = "identity_preprocessing"
"""The kind of job in which an identity is prepared."""


class Sides:
    """The same careful user, at the other doors of the sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        session: Session,
        vtryon: VtryonSession,
        folder: Path,
        dice: random.Random,
        *,
        jobs: int,
    ) -> None:
        self._identities = 1 + jobs // 100
        self._tasks = 2 + jobs // 50
        self._books = sandbox.books
        self._session = session
        self._vtryon = vtryon
        self._folder = folder
        self._dice = dice
        self._names: list[str] = []
        self._kept: set[int] = set()
        self._saved = 0

    @contextlib.asynccontextmanager
    async def webhook(self) -> AsyncIterator[None]:
        """Take notifications by webhook, too, until the block ends."""
        receiver = WebhookReceiver(self._session)
        app = web.Application()
        app.router.add_post("/hook", receiver.aiohttp_handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
            registration = await patiently(lambda: self._session.webhooks.register(url))
            receiver.secrets.add(registration.secret)
            yield
        finally:
            await runner.cleanup()

    async def go(self) -> None:
        """Make identities and tasks, one after the other."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._make_identities())
            group.create_task(self._make_tasks())

    def differences(self) -> Iterator[str]:
        """Compare what was wanted with the sandbox's books."""
        prepared = [job for job in self._books.jobs.values() if job.kind == PREPARED]
        if len(prepared) != len(self._names):
            yield f"identities: {len(self._names)} were wanted, {len(prepared)} were made"
        if (left := set(self._books.vtryon.tasks)) != self._kept:
            yield f"vtryon: {sorted(left)} are there, {sorted(self._kept)} should be"
        if self._saved != self._tasks:
            yield f"vtryon: {self._saved} of {self._tasks} images were saved"

    async def _make_identities(self) -> None:
        for number in range(self._identities):
            name, path = f"model {number}", self._folder / f"model-{number}.jpg"
            path.write_bytes(draw_picture(self._dice, ".jpg"))
            self._names.append(name)
            with contextlib.suppress(IdentityFailedError):  # its preparation failed; accepted
                await self._identity(name, path)

    async def _identity(self, name: str, path: Path) -> Identity:
        made = await patiently(lambda: self._session.identities.ensure(path, name))
        return await patiently(lambda: self._session.identities.wait(made))

    async def _make_tasks(self) -> None:
        for number in range(1, self._tasks + 1):
            change = ColorChange("blouse", self._dice.choice(("royal blue", "#8b1a1a")))
            request = Recolor(pose_image_generation_id=POSE, color_changes=[change])
            task = await self._task(request)
            path = self._folder / f"look-{number}.jpg"
            await patiently(lambda task=task, path=path: task.download(path))
            self._saved += path.stat().st_size > 0
            if number % 2:
                self._kept.add(task.id)
            else:
                await patiently(lambda task=task: self._vtryon.delete(task))

    async def _task(self, request: Recolor) -> Task:
        """Make one task. Nobody else makes any, so one more in the list is the lost one."""
        before = await patiently(self._listed)
        for _ in range(TRIES):
            try:
                return await self._vtryon.recolor(request)
            except SubmissionUnknownError:
                fresh = await patiently(self._listed)
                for number in fresh.keys() - before.keys():
                    return fresh[number]
            except PiktidError:  # certainly not taken
                await asyncio.sleep(0.1)
        raise AssertionError("a Vtryon task is refused for ever")

    async def _listed(self) -> dict[int, Task]:
        return {task.id: task async for task in self._vtryon.tasks()}
