"""What the user holds against what the sandbox has written down."""

from __future__ import annotations

import hashlib
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import attrs
from chaos_items import KINDS, Generation, Item, Key

from piktid_async.sandbox import Books, OutputFacts


@attrs.frozen
class Ledger:
    """Both sides of one run."""

    items: list[Item]
    books: Books
    delivered: Counter[int]
    """How often the feed gave each notification."""
    foreign: set[int]
    """Notifications that belong to others."""
    preparing: dict[int, str | None]
    """Jobs of the notifications that were about identities. Those that the feed has had before the
    session knew of the identity, or whose answer was lost, count as somebody else's."""

    def differences(self) -> list[str]:
        """List everything that does not balance; what failed on the way comes first, alone."""
        if failures := list(self.failures()):
            return failures
        checks = (
            self.jobs,
            self.credits,
            self.uploads,
            self.files,
            self.archives,
            self.notifications,
        )
        return [f"{check.__name__}: {text}" for check in checks for text in check()]

    def failures(self) -> Iterator[str]:
        """Tell of items whose program ended with an error that it did not expect."""
        for item in self.items:
            if item.failure is not None:
                yield f"item {item.number} ({item.kind}) {item.stage}: {item.failure}"

    @property
    def generations(self) -> list[Generation]:
        """Every submission that was wanted."""
        return [each for item in self.items for each in item.generations]

    def jobs(self) -> Iterator[str]:
        """Compare the jobs that were asked for with those that were made."""
        for item in self.items:
            if item.stage != "done":
                yield f"item {item.number} ({item.kind}) is still at: {item.stage}"
        wanted = Counter(
            item.generations[0].job.id
            for item in self.items
            if item.generations and item.generations[0].job is not None
        )
        for job_id, times in wanted.items():
            if times > 1:
                yield f"{job_id} was taken for the job of {times} items"
        made = {job_id: job for job_id, job in self.books.jobs.items() if job.kind in KINDS}
        yield from (f"{job_id} is not in the books" for job_id in wanted.keys() - made.keys())
        for job_id in made.keys() - wanted.keys():
            yield f"{made[job_id].kind} {job_id} was made and nobody has it"
        if len(made) != len(self.items):
            yield f"{len(self.items)} were asked for, {len(made)} were made"
        yield from self._confused()
        yield from self._conversations()

    def _confused(self) -> Iterator[str]:
        made = self._outputs_by_job()
        for item in self.items:
            wanted = {each for gen in item.generations for each in gen.request.input_ids}
            for job in {gen.job.id for gen in item.generations if gen.job is not None}:
                if any(not wanted.issuperset(output.inputs) for output in made[job]):
                    yield f"item {item.number} was given {job}, which is somebody else's"

    def _conversations(self) -> Iterator[str]:
        made = self._outputs_by_job()
        for item in self.items:
            job = item.generations[0].job if item.generations else None
            if item.kind == "edit_chat" and job is not None:
                indices = {output.image_index for output in made[job.id]}
                if len(indices) != len(item.generations):
                    yield f"{job.id} has {len(indices)} generations, not {len(item.generations)}"

    def credits(self) -> Iterator[str]:
        """Compare what was charged with the prices of what was made."""
        charged = self.books.credits_charged
        of_jobs = sum(job.credits_used for job in self.books.jobs.values())
        of_outputs = sum(
            output.credits for output in self.books.outputs if output.status == "completed"
        )
        if not charged == of_jobs == of_outputs:
            yield f"{charged:g} charged, {of_jobs:g} by jobs, {of_outputs:g} by outputs"
        made = self._outputs_by_job()
        for item in self.items:
            job = item.generations[0].job if item.generations else None
            prices = [each.request.credits for each in item.generations]
            if job is None or None in prices:
                continue
            first = sum(output.credits for output in made[job.id] if output.version == 0)
            failed = any(o.status == "failed" for o in made[job.id] if o.version == 0)
            estimate = sum(price for price in prices if price is not None)
            if first > estimate or (first < estimate and not failed):
                yield f"{job.id} cost {first:g} and was estimated at {estimate:g}"

    def uploads(self) -> Iterator[str]:
        """Compare the pictures that jobs were made from with those on the user's disk."""
        arrived = self.books.uploads
        for item in self.items:
            sources = Counter(map(_digest, item.sources))
            for file_id in {each for gen in item.generations for each in gen.request.input_ids}:
                if not sources[arrived.get(file_id) or ""]:
                    yield f"item {item.number}: upload {file_id} is not what was sent"

    def files(self) -> Iterator[str]:
        """Compare every image that was made with what lies on disk."""
        made = self._outputs_by_job()
        for item in self.items:
            on_disk = _pictures(item.folder)
            wanted: dict[Key, str | None] = {}
            for generation in item.generations[:1]:
                if generation.job is not None:
                    wanted = {
                        (output.image_index, output.group_index, output.version): output.sha256
                        for output in made[generation.job.id]
                        if output.status == "completed"
                    }
            for key in wanted.keys() - on_disk.keys():
                yield f"item {item.number}: output {key} is not on disk"
            for key, digests in on_disk.items():
                if digests != [wanted.get(key)]:
                    yield f"item {item.number}: output {key} is not what was made: {len(digests)}"
            yield from _once(item)
            for leftover in item.folder.glob(".piktid-*"):
                yield f"{leftover} was left behind"

    def archives(self) -> Iterator[str]:
        """Compare the ZIPs with what was made for the job at first."""
        made = self._outputs_by_job()
        for item in self.items:
            for generation in item.generations:
                if generation.zip is None or generation.job is None:
                    continue
                digests = Counter(
                    output.sha256
                    for output in made[generation.job.id]
                    if output.status == "completed" and output.version == 0
                )
                if _packed(generation.zip) != digests:
                    yield f"item {item.number}: the ZIP does not hold what was made"

    def notifications(self) -> Iterator[str]:
        """Look for notifications that were neither deleted nor are explained."""
        acknowledged = set(self.books.acknowledged)
        gone = self.books.notifications_gone
        left = set(self.books.notifications_outstanding)
        if ours := left - self.foreign - self.preparing.keys():
            yield f"{len(ours)} were not acknowledged, such as {min(ours)}"
        # A webhook's ping has a number and stands in no list.
        posted = {*self.books.webhooks_delivered, *self.books.webhooks_given_up}
        known = acknowledged | gone.keys() | left | posted
        if lost := set(range(1, max(known, default=0) + 1)) - known:
            yield f"{len(lost)} are in no book, such as {min(lost)}"
        if stolen := self.foreign & acknowledged:
            yield f"{len(stolen)} of others were deleted, such as {min(stolen)}"
        if doubled := [note for note, times in self.delivered.items() if times > 1]:
            yield f"{len(doubled)} were delivered more than once, such as {min(doubled)}"

    def _outputs_by_job(self) -> dict[str, list[OutputFacts]]:
        found: defaultdict[str, list[OutputFacts]] = defaultdict(list)
        for output in self.books.outputs:
            found[output.job_id].append(output)
        return found


def _once(item: Item) -> Iterator[str]:
    """Each output came out of `job.outputs()` once, and all that ended did."""
    for generation in item.generations:
        doubled = [key for key, times in generation.versions.items() if times > 1]
        if doubled:
            yield f"item {item.number}: outputs {doubled} were shown more than once"
        total = generation.request.total_outputs
        if generation.job is not None and len(generation.versions) != total:
            yield f"item {item.number}: {len(generation.versions)} of {total} outputs were shown"


def _pictures(folder: Path) -> dict[Key, list[str]]:
    """Read the digests of the pictures in a folder, by the key in their names."""
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for path in sorted(folder.glob("*_*_v*.*")):
        image, group, version = path.stem.split("_")
        key = int(image), int(group), int(version.removeprefix("v"))
        found[key].append(_digest(path))
    return found


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _packed(path: Path) -> Counter[str | None]:
    with zipfile.ZipFile(path) as archive:
        return Counter(
            hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()
        )
