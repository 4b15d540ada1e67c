"""A careful user's program: everything is tried again where that is safe, and nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from chaos_items import Generation, Item
from patience import TRIES, patiently

from piktid_async import (
    Job,
    JobFailedError,
    JobRequest,
    JobResult,
    JobTimeoutError,
    Output,
    PiktidError,
    Project,
    Session,
    SessionClosedError,
    SubmissionUnknownError,
    UploadedFile,
    UploadGroupError,
)

T = TypeVar("T")

WORKERS = 48
"""Items in hand at once."""
PATIENCE = (0.2, 0.8)
"""Seconds between looks for a submission of unknown fate, while faults go on."""
STUCK_AFTER = 2.0
"""Seconds after which an image that is not made is given up."""


class CarefulUser:
    """Brings items through, whatever happens."""

    def __init__(self, session: Session, *, naive: bool = False) -> None:
        self._session = session
        self._naive = naive
        self.delivered: Counter[int] = Counter()
        """How often each notification came out of the feed."""
        self.preparing: dict[int, str | None] = {}
        """Jobs of the notifications that were about identities."""
        self.retried: Counter[str] = Counter()
        """Errors after which a call that is safe to repeat was made again."""
        self._project: Project | None = None

    async def serve(self, items: list[Item]) -> None:
        """Take items from a queue, some at once; in doubt is left for `settle`."""
        self._project = await self._patiently(lambda: self._session.projects.ensure("chaos"))
        queue = iter(items)

        async def work() -> None:
            for item in queue:
                await self._guarded(item, self._serve)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(WORKERS, len(items))):
                group.create_task(work())

    async def settle(self, items: list[Item]) -> None:
        """Look for what is in doubt once more, now that all is calm; what is not there is new."""
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(self._guarded(item, self._settle))

    @contextlib.asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Read a feed of everything, and give up stuck images, until the block ends."""
        tasks = [asyncio.create_task(self._read_feed()), asyncio.create_task(self._tidy())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome

    # One item

    async def _guarded(self, item: Item, work: Callable[[Item], Awaitable[None]]) -> None:
        """Let an item that fails be told of, and the others go on."""
        if item.failure is not None:
            return
        try:
            await work(item)
        except Exception as error:
            item.failure = "".join(traceback.format_exception(error))

    async def _serve(self, item: Item) -> None:
        item.stage = "uploading"
        files = await self._upload(item)
        await self._generate(item, item.request(files, self._required_project(), None))
        if item.kind == "edit_chat" and item.dice.random() < 0.5:
            (first,) = item.generations
            if first.job is not None:
                request = item.request(files, self._required_project(), first.job)
                await self._generate(item, request)

    async def _generate(self, item: Item, request: JobRequest) -> None:
        generation = Generation(request)
        item.generations.append(generation)
        item.stage = "submitting"
        await self._submit(generation)
        if generation.job is None:
            item.stage = "in doubt"
        else:
            await self._finish(item, generation)

    async def _settle(self, item: Item) -> None:
        generation = item.generations[-1]
        if generation.job is not None:
            return
        assert generation.doubt is not None
        item.stage = "looking for what was in doubt"
        generation.job = await self._patiently(generation.doubt.reconcile)
        if generation.job is not None:
            generation.found += 1
        else:
            # All is calm and it is not there: it was not taken, and the user decides to go on.
            item.stage = "submitting again"
            generation.refused += 1
            await self._submit(generation)
        await self._finish(item, generation)

    async def _upload(self, item: Item) -> list[UploadedFile]:
        arrived: dict[object, UploadedFile] = {}
        for _ in range(TRIES):
            missing = [source for source in item.sources if source not in arrived]
            try:
                files = await self._session.upload_many(missing)
            except UploadGroupError as group:
                arrived.update(group.uploaded)
                self.retried.update(type(error).__name__ for error in group.exceptions)
            else:
                arrived.update(zip(missing, files, strict=True))
                return [arrived[source] for source in item.sources]
        raise AssertionError(f"item {item.number} cannot be uploaded")

    async def _submit(self, generation: Generation) -> None:
        for _ in range(TRIES):
            try:
                generation.job = await self._session.submit(generation.request)
                return
            except SubmissionUnknownError as error:
                generation.doubts += 1
                generation.doubt = error
                if self._naive:
                    continue
                generation.job = await self._reconcile(error)
                generation.found += generation.job is not None
                return
            except PiktidError as error:
                # A plain refusal: nothing was taken, so it may be asked for again.
                self.retried[f"submit: {type(error).__name__}"] += 1
                generation.refused += 1
                await asyncio.sleep(0.2)
        raise AssertionError("a submission is refused for ever")

    async def _reconcile(self, doubt: SubmissionUnknownError) -> Job | None:
        for pause in PATIENCE:
            with contextlib.suppress(SubmissionUnknownError):  # several fit, for now
                found = await self._patiently(doubt.reconcile)
                if found is not None:
                    return found
            await asyncio.sleep(pause)
        return None

    async def _finish(self, item: Item, generation: Generation) -> None:
        job = generation.job
        assert job is not None
        item.stage = f"following {job.id}"
        await self._watch(generation, job)
        item.stage = f"waiting for {job.id}"
        result = await self._result(item, job)
        folder = item.folder
        if result.ok:
            item.stage = f"downloading {job.id}"
            await self._download(item, generation, job)
            if item.number % 10 == 0 and item.kind != "edit_chat":
                generation.zip = await self._patiently(
                    lambda: job.download_zip(folder / f"{item.number}.zip")
                )
        again = item.kind != "edit_chat" and result.ok and item.dice.random() < 0.5
        for output in result.failed if again else ():
            item.stage = f"making {output.key} of {job.id} anew"
            await self._make_anew(job, output)
            await self._download(item, generation, job)
        item.stage = "done"

    async def _watch(self, generation: Generation, job: Job) -> None:
        """Follow the outputs; after an error begin anew, which shows all from the first."""

        async def watch() -> Counter[tuple[int, int, int]]:
            return Counter([output.key async for output in job.outputs()])

        generation.versions = await self._patiently(watch)

    async def _result(self, item: Item, job: Job) -> JobResult:
        if item.dice.random() < 0.2:
            with contextlib.suppress(JobTimeoutError, JobFailedError):
                await self._patiently(lambda: job.result(timeout=0.01))
        with contextlib.suppress(JobFailedError):  # no image was made; accepted
            return await self._patiently(job.result)
        return await self._patiently(job.fetch_results)

    async def _download(self, item: Item, generation: Generation, job: Job) -> None:
        generation.saved = await self._patiently(lambda: job.download(item.folder))

    async def _make_anew(self, job: Job, failed: Output) -> None:
        """Make a failed image anew; what came of an order without an answer is looked up."""
        image, group = failed.image_index, failed.group_index
        for _ in range(TRIES):
            try:
                making = await job.regenerate(image, group)
                await self._patiently(making.output)
                return
            except PiktidError as error:
                self.retried[f"regenerate: {type(error).__name__}"] += 1
                await asyncio.sleep(0.2)
            newest = await self._newest(job, image, group)
            if newest.version > failed.version:
                break
        while newest.status not in ("completed", "failed"):
            await asyncio.sleep(0.2)
            newest = await self._newest(job, image, group)

    async def _newest(self, job: Job, image: int, group: int) -> Output:
        versions = await self._patiently(lambda: job.versions(image))
        return max(
            (output for output in versions if output.group_index == group),
            key=lambda output: output.version,
        )

    # Beside the items

    async def _read_feed(self) -> None:
        while True:
            with contextlib.suppress(SessionClosedError):
                async with self._session.notifications() as feed:
                    async for note in feed:
                        self.delivered[note.id] += 1
                        if note.name == "identity_preprocessing":
                            self.preparing[note.id] = note.job_id
            await asyncio.sleep(0.1)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(STUCK_AFTER)
            with contextlib.suppress(PiktidError):
                hours = STUCK_AFTER / 3600
                stuck = [
                    image
                    async for image in self._session.stuck_images(
                        min_hours=hours, status="processing"
                    )
                ]
                if stuck:
                    await self._session.fail_stuck_images(stuck, "given up")

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        return await patiently(call, self.retried)

    def _required_project(self) -> Project:
        assert self._project is not None
        return self._project
