"""Every public call, cancelled at each of its awaits: nothing stays, and the session goes on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from piktid_async import GarmentRecolor, ImagePlayground, Job, Project, Session, UploadedFile
from piktid_async.errors import ConflictError, SessionClosedError
from piktid_async.login import PasswordLogin
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.books import Books
from piktid_async.vtryon import ColorChange, Recolor, VtryonSession
from piktid_async.vtryon.service import DOWNLOADS
from tests.services.process import descriptors
from tests.shutdown.cancelling import (
    LIMITS,
    QUICK,
    Steps,
    cancelled_at,
    counting,
    each_step,
    has_settled,
    left_over,
)

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
"""Enough of a JPEG for a sandbox that renders nothing."""


@attrs.define(kw_only=True)
class World:
    """A sandbox, a session that is at work, and a job that has ended."""

    sandbox: Sandbox
    session: Session
    folder: Path
    project: Project
    file: UploadedFile
    job: Job
    conversation: Job
    big: list[Job]
    """Jobs whose images do not fit into one ZIP."""

    @property
    def request(self) -> GarmentRecolor:
        return GarmentRecolor(project=self.project, images=[self.file], reference_text="navy")

    @property
    def photo(self) -> Path:
        return self.folder.parent / "photo.jpg"

    def left_over(self, steps: Steps) -> list[str]:
        """Say what is left of a call: in the session, and in the folder."""
        halves = [path.name for path in self.folder.rglob(".piktid-*")]
        return left_over(self.session, steps) + halves


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    sandbox = Sandbox(
        render=False, seconds_per_image=0, limits=False, keepalive=0.1, vtryon_seconds=0.01
    )
    async with sandbox:
        before = descriptors()
        async with Session(
            sandbox.token, base_url=sandbox.url, limits=LIMITS, stream=QUICK, max_credits=1e9
        ) as session:
            project = await session.projects.ensure("shutdown")
            file = await session.upload(PICTURE)
            request = GarmentRecolor(project=project, images=[file], reference_text="navy")
            job = await session.submit(request)
            await job
            conversation = await session.submit(ImagePlayground(prompt="a coat", images=[file]))
            await conversation
            many = attrs.evolve(request, images=[file] * 10, num_variations=6)
            big = [await session.submit(many) for _ in range(2)]
            folder = tmp_path / "out"
            folder.mkdir()
            world = World(
                sandbox=sandbox,
                session=session,
                folder=folder,
                project=project,
                file=file,
                job=job,
                conversation=conversation,
                big=big,
            )
            world.photo.write_bytes(PICTURE * 300)
            yield world
        await has_settled(lambda: ["descriptors"] if descriptors() > before else [])


Call = Callable[[World], Awaitable[Any]]


async def upload_many(world: World) -> None:
    assert len(await world.session.upload_many([PICTURE, world.photo, PICTURE])) == 3


async def upload_each(world: World) -> None:
    async for outcome in world.session.upload_each([PICTURE] * 6):
        assert outcome.error is None


async def playground(world: World) -> None:
    request = ImagePlayground(prompt="a hat", conversation=world.conversation)
    assert (await world.session.submit(request)).id == world.conversation.id


async def run(world: World) -> None:
    assert (await world.session.run(world.request)).status == "completed"


async def waited_for_again(world: World) -> None:
    job = world.session.job(world.job.id, kind=GarmentRecolor)
    assert (await job.result()).ok


async def outputs(world: World) -> None:
    job = await world.session.submit(world.request)
    assert [output.key async for output in job.outputs()] == [(0, 0, 0)]


async def events(world: World) -> None:
    job = await world.session.submit(world.request)
    assert [note async for note in job.events()]


async def regenerate(world: World) -> None:
    while True:
        try:
            again = await world.job.regenerate(0)
            break
        except ConflictError:  # one that was given up has been taken, and is made now
            await world.job.fetch_status()
    assert (await again).version > 0


async def download(world: World) -> None:
    (saved, *_) = await world.job.download(world.folder, thumbnails=True)
    assert saved.stat().st_size > 100


async def download_zip(world: World) -> None:
    saved = await world.job.download_zip(world.folder / "job.zip")
    assert saved.read_bytes()[:2] == b"PK"


async def download_zips(world: World) -> None:
    saved = await world.session.download_zip([world.job, world.job], world.folder / "jobs.zip")
    assert saved.read_bytes()[:2] == b"PK"


async def download_parts(world: World) -> None:
    saved = await world.session.download_zip(world.big, world.folder / "big.zip")
    assert saved.read_bytes()[:2] == b"PK"


async def save(world: World) -> None:
    (output,) = (await world.job).outputs
    assert (await output.save(world.folder / "one.jpg")).stat().st_size > 100


async def feed(world: World) -> None:
    world.sandbox.emit("weather", {"sky": "blue"})
    async with world.session.notifications(names=["weather"], ack_foreign=True) as feed:
        assert (await anext(feed)).name == "weather"


async def acknowledged(world: World) -> None:
    number = world.sandbox.emit("tide", {"sea": "high"})
    async with world.session.notifications(names=["tide"]) as feed:
        note = await anext(feed)
        while note.id != number:
            note = await anext(feed)
        await note.ack()


async def projects(world: World) -> None:
    assert [each async for each in world.session.projects.list()]


async def identity(world: World) -> None:
    made = await world.session.identities.ensure(PICTURE, "Ada")
    assert (await world.session.identities.wait(made)).identity_code


CALLS: dict[str, Call] = {
    "upload": lambda world: world.session.upload(PICTURE),
    "upload of a file": lambda world: world.session.upload(world.photo),
    "upload_many": upload_many,
    "upload_each": upload_each,
    "submit": lambda world: world.session.submit(world.request),
    "submit, continued": playground,
    "run": run,
    "job": waited_for_again,
    "outputs": outputs,
    "events": events,
    "fetch_status": lambda world: world.job.fetch_status(),
    "fetch_results": lambda world: world.job.fetch_results(),
    "regenerate": regenerate,
    "versions": lambda world: world.job.versions(0),
    "download": download,
    "job.download_zip": download_zip,
    "download_zip": download_zips,
    "download_zip in parts": download_parts,
    "save": save,
    "notifications": feed,
    "ack": acknowledged,
    "projects.ensure": lambda world: world.session.projects.ensure("shutdown"),
    "projects.list": projects,
    "identities": identity,
    "webhooks.register": lambda world: world.session.webhooks.register("https://x.invalid/hook"),
    "request": lambda world: world.session.request("GET", "/project"),
}


LONG = {"download_zip in parts"}
"""Only made once again, after all its steps."""


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_is_cancelled_leaves_nothing(name: str, times: int, world: World) -> None:
    """Twice: what tidies up after the first cancellation is cancelled, too."""

    async def call() -> None:
        await CALLS[name](world)

    with counting():
        async for steps in each_step(call, times=times):
            await has_settled(partial(world.left_over, steps))
            if steps.cancelled and times == 1 and name not in LONG:
                await call()
    await call()


@pytest.mark.parametrize("name", ["submit", "submit, continued", "run"])
async def test_a_cancelled_submission_holds_what_it_may_have_cost(name: str, world: World) -> None:
    session, books = world.session, world.sandbox.books
    coordinator: Any = session._runtime.coordinator
    budget = session._runtime.budget

    def taken() -> int:
        grants = [each for lane in coordinator._quota._grants.values() for each in lane]
        return sum(grant.at > -math.inf for grant in grants)

    async def call() -> None:
        await CALLS[name](world)

    sent, held = 0, 0
    with counting():
        before = (len(session.in_doubt), budget.spent, taken(), sent_to(books))
        async for steps in each_step(call):
            await has_settled(partial(world.left_over, steps))
            after = (len(session.in_doubt), budget.spent, taken(), sent_to(books))
            doubts, spent, places, posts = (b - a for a, b in zip(before, after, strict=True))
            before = after
            if not posts and not doubts:
                assert spent == 0
                assert places == 0
            if steps.cancelled and (posts or doubts):
                assert spent > 0
                assert places == 1
                held += 1
            sent += posts
    assert sent >= 2
    assert held >= 1


def sent_to(books: Books) -> int:
    """Count the submissions that the service has seen."""
    return sum(books.api_requests.get(f"POST {path}", 0) for path in LIMITS.per_minute)


async def test_a_login_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with Sandbox(render=False, limits=False) as sandbox:
        before = descriptors()
        login = PasswordLogin(sandbox.email, sandbox.password, sandbox.url)
        async with Session(login, base_url=sandbox.url, stream=QUICK) as session:

            async def call() -> None:
                sandbox.expire_tokens()
                assert [each async for each in session.projects.list()] == []

            with counting():
                async for steps in each_step(call):
                    # The exchange goes on, for its refresh token is used up either way.
                    await has_settled(partial(left_over, session, steps))
                    await call()
        await has_settled(lambda: ["descriptors"] if descriptors() > before else [])


async def test_a_vtryon_call_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with Sandbox(render=False, vtryon_seconds=0) as sandbox:
        before = descriptors()
        session = VtryonSession(sandbox.vtryon_key, base_url=sandbox.vtryon_url, poll_interval=0.01)
        recolor = Recolor(
            pose_image_generation_id=936, color_changes=[ColorChange("blouse", "royal blue")]
        )

        async def call() -> None:
            task = await session.recolor(recolor)
            await task
            await task.download(tmp_path / "out" / "image.jpg")
            assert [each.id async for each in session.tasks()]
            await session.delete(task)

        def left(steps: Steps) -> list[str]:
            found = [task.get_name() for task in steps.tasks if not task.done()]
            connections = session._service._loops.newest
            busy = connections is not None and connections.downloads._value != DOWNLOADS
            halves = [path.name for path in tmp_path.rglob(".piktid-*")]
            return [name for name in found if name != "piktid keeper"] + halves + ["place"] * busy

        async with session:
            with counting():
                async for steps in each_step(call):
                    await has_settled(partial(left, steps))
            await call()
        await has_settled(lambda: ["descriptors"] if descriptors() > before else [])


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_close_that_is_cancelled_still_closes(times: int) -> None:
    """With a stream, a job that is awaited, and acknowledgements that the service refuses."""
    async with Sandbox(render=False, seconds_per_image=30, limits=False) as sandbox:
        before = descriptors()
        with counting():
            for step in range(12):
                session = Session(sandbox.token, base_url=sandbox.url, stream=QUICK)
                project = await session.projects.ensure("closing")
                file = await session.upload(PICTURE)
                request = GarmentRecolor(project=project, images=[file], reference_text="navy")
                waiting = asyncio.create_task((await session.submit(request)).result())
                steps = await cancelled_at(step, session.close, times=times)
                with pytest.raises(SessionClosedError):
                    await waiting
                await has_settled(lambda: names("piktid"))
                await session.close()
                await has_settled(lambda: ["descriptors"] if descriptors() > before else [])
                if not steps.cancelled:
                    return
    raise AssertionError("the close is never through")


async def test_the_first_call_of_a_session_may_be_cancelled_anywhere() -> None:
    """Connections, stream and all are made while it is under way."""
    async with Sandbox(render=False, seconds_per_image=0, limits=False) as sandbox:
        async with Session(sandbox.token, base_url=sandbox.url, stream=QUICK) as other:
            project = await other.projects.ensure("first")
            file = await other.upload(PICTURE)
        request = GarmentRecolor(project=project, images=[file], reference_text="navy")
        before = descriptors()
        with counting():
            for step in range(200):
                async with Session(sandbox.token, base_url=sandbox.url, stream=QUICK) as session:
                    steps = await cancelled_at(step, lambda: session.run(request))
                    await has_settled(partial(left_over, session, steps))
                await has_settled(lambda: names("piktid"))
                await has_settled(lambda: ["descriptors"] if descriptors() > before else [])
                if not steps.cancelled:
                    assert step > 5
                    return
    raise AssertionError("the call is never through")


def names(prefix: str) -> list[str]:
    """List the names of the tasks that run and begin so."""
    return [each.get_name() for each in asyncio.all_tasks() if each.get_name().startswith(prefix)]
