"""Results of whole jobs to disk: image by image, or as ZIP files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from piktid_async.errors import InvalidRequestError, PiktidError, StatusError
from piktid_async.models.jobs import JobResult, Output
from piktid_async.placing import checked_path, replace, settle
from piktid_async.protocol import endpoints
from piktid_async.protocol.names import safe_name
from piktid_async.results import (
    LINK_EXPIRED,
    OnProgress,
    disk,
    raise_first,
    save_into,
    save_zip,
)
from piktid_async.runtime import Runtime
from piktid_async.threads import to_its_end

ZIP_LIMIT = 100
"""Images in one ZIP. https://docs.piktid.com/docs/v2/download/create_bulk_download_url__post"""


class Saving:
    """Save outputs of one job; links that have expired are read anew, once for all."""

    def __init__(
        self,
        runtime: Runtime,
        directory: Path,
        overwrite: bool,
        on_progress: OnProgress | None,
        fetch_results: Callable[[], Coroutine[Any, Any, JobResult]],
    ) -> None:
        self._runtime = runtime
        self._fetch_results = fetch_results
        self._directory = directory
        self._overwrite = overwrite
        self._on_progress = on_progress
        self._fresh: asyncio.Future[JobResult] | None = None

    async def save_all(self, outputs: Sequence[Output], *, thumbnails: bool) -> list[Path]:
        """Save all that can be saved; raise `DownloadError` for the rest."""
        jobs = [self.save(output, thumbnail=False) for output in outputs]
        if thumbnails:
            jobs += [self.save(output, thumbnail=True) for output in outputs]
        try:
            outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        finally:
            if self._fresh is not None:
                self._fresh.cancel()  # if it still runs, nobody is left to read it
        saved = [outcome for outcome in outcomes if isinstance(outcome, Path)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, PiktidError):
                raise outcome
        raise_first([each for each in outcomes if isinstance(each, PiktidError)], saved)
        return saved

    async def save(self, output: Output, *, thumbnail: bool) -> Path:
        """Save one, with a fresh link if the one at hand has expired."""
        try:
            return await self._save(output, thumbnail)
        except PiktidError as error:
            cause = error.__cause__
            if not (isinstance(cause, StatusError) and cause.status in LINK_EXPIRED):
                raise
        fresh = {each.key: each for each in (await self._again()).outputs}
        return await self._save(fresh.get(output.key, output), thumbnail)

    async def _save(self, output: Output, thumbnail: bool) -> Path:
        return await save_into(
            self._runtime,
            output,
            self._directory,
            thumbnail=thumbnail,
            overwrite=self._overwrite,
            on_progress=self._on_progress,
        )

    async def _again(self) -> JobResult:
        if self._fresh is None:
            fresh = self._runtime.connect().spawn(self._fetch_results(), "piktid fresh links")
            self._fresh = fresh
        # Shielded: the reading serves every file, whoever asked first.
        return await asyncio.shield(self._fresh)


async def save_job_zip(runtime: Runtime, job_id: str, path: str | PathLike[str]) -> Path:
    """Save one job's images as the service packs them."""
    checked_path("path", path)
    ticket = await runtime.connect().caller.execute(endpoints.request_zip(job_id))
    return await save_zip(runtime, ticket.download_url, f"ZIP of job {job_id}", path)


async def save_zip_of_many(
    runtime: Runtime, sizes: Iterable[tuple[str, int]], path: str | PathLike[str]
) -> Path:
    """Save the images of several jobs, given with their counts, as one ZIP.

    The service packs a hundred images of several jobs at once at most; its parts are put together
    here, each job in a folder of its id.
    """
    target = checked_path("path", path)
    groups = list(split_for_zip(sizes))
    if not groups:
        raise InvalidRequestError("jobs", "takes at least one job with an image")
    if len(groups) == 1:
        return await _save_group(runtime, groups[0], path)
    # Not in a thread: one that is cancelled may make the folder all the same, after we have left.
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".piktid-", dir=target.parent))
    try:
        parts = [
            await _save_group(runtime, group, folder / f"{_folder(number, group)}.zip")
            for number, group in enumerate(groups, 1)
        ]
        whole = folder / "whole.zip"
        known = {safe_name(job_id, "unnamed") for group in groups for job_id in group}
        label = f"ZIP of {sum(map(len, groups))} jobs"
        with disk(label):
            await _in_thread(partial(_join, parts, known, whole, label))
            replace(whole, target)
    finally:
        await _in_thread(partial(_remove, folder))
    return target


def split_for_zip(sizes: Iterable[tuple[str, int]]) -> Iterable[list[str]]:
    """Put jobs into groups of at most a hundred images, in order; empty jobs are left out."""
    group: list[str] = []
    images = 0
    for job_id, count in sizes:
        if count == 0:
            continue
        if group and images + count > ZIP_LIMIT:
            yield group
            group, images = [], 0
        group.append(job_id)
        images += count
    if group:
        yield group


def _folder(number: int, group: list[str]) -> str:
    # Of several jobs, the service's ZIP has a folder for each, as far as is known.
    return safe_name(group[0], "unnamed") if len(group) == 1 else f"part-{number}"


async def _save_group(runtime: Runtime, group: list[str], path: str | PathLike[str]) -> Path:
    if len(group) == 1:
        # The bound of a hundred images is of the other call alone.
        return await save_job_zip(runtime, group[0], path)
    ticket = await runtime.connect().caller.execute(endpoints.request_bulk_zip(group))
    return await save_zip(runtime, ticket.download_url, f"ZIP of {len(group)} jobs", path)


async def _in_thread(work: Callable[[threading.Event], None]) -> None:
    """Run something in a thread; a cancellation asks it to stop, and waits until it has."""
    stop = threading.Event()
    running = asyncio.get_running_loop().run_in_executor(None, work, stop)
    await to_its_end(running, stop.set)


def _join(
    parts: list[Path], known: set[str], whole: Path, label: str, stop: threading.Event
) -> None:
    from piktid_async import archives

    archives.join(parts, whole, label, stop.is_set, known=known)
    settle(whole)


def _remove(folder: Path, _: threading.Event) -> None:
    shutil.rmtree(folder, ignore_errors=True)
