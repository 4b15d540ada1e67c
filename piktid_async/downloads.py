"""Results of whole jobs to disk: image by image, or as ZIP files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Coroutine, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from piktid_async.errors import InvalidRequestError, PiktidError, StatusError
from piktid_async.models.jobs import JobResult, Output
from piktid_async.protocol import endpoints
from piktid_async.results import OnProgress, raise_first, save_into, save_zip
from piktid_async.runtime import Runtime

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
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
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
            if not (isinstance(cause, StatusError) and cause.status in (403, 404, 410)):
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
    ticket = await runtime.connect().caller.execute(endpoints.request_zip(job_id))
    return await save_zip(runtime, ticket.download_url, f"ZIP of job {job_id}", path)


async def save_zip_of_many(
    runtime: Runtime, sizes: Iterable[tuple[str, int]], path: str | PathLike[str]
) -> Path:
    """Save the images of several jobs, given with their counts, as one ZIP.

    The service packs a hundred images at once at most; its parts are put together here, each
    under a folder of its own.
    """
    groups = list(split_for_zip(sizes))
    if not groups:
        raise InvalidRequestError("jobs", "takes at least one job with an image")
    if len(groups) == 1:
        return await _save_group(runtime, groups[0], path)
    target = Path(path)
    await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=".piktid-", dir=target.parent)
    try:
        parts = [
            await _save_group(runtime, group, Path(folder) / f"part-{number}.zip")
            for number, group in enumerate(groups, 1)
        ]
        await asyncio.to_thread(_join, parts, Path(folder) / "whole.zip", target)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
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


async def _save_group(runtime: Runtime, group: list[str], path: str | PathLike[str]) -> Path:
    ticket = await runtime.connect().caller.execute(endpoints.request_bulk_zip(group))
    return await save_zip(runtime, ticket.download_url, f"ZIP of {len(group)} jobs", path)


def _join(parts: list[Path], whole: Path, target: Path) -> None:
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as joined:
        for part in parts:
            with zipfile.ZipFile(part) as packed:
                for entry in packed.infolist():
                    if not entry.is_dir():
                        name = "/".join([part.stem, *_plain_parts(entry.filename)])
                        with packed.open(entry) as source, joined.open(name, "w") as copy:
                            shutil.copyfileobj(source, copy)
    whole.replace(target)


def _plain_parts(name: str) -> list[str]:
    # The service's names go no further than into our ZIP, but whoever unpacks it trusts us.
    return [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
