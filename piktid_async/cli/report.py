"""What a run has done: for people, for programs, and as an exit code."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from piktid_async.cli.errors import Exit, clean
from piktid_async.cli.inputs import shown
from piktid_async.cli.words import count

SANDBOX = "sandbox"


@attrs.define
class Item:
    """One picture that was ordered."""

    source: Path | None = None
    """The picture it is made of; None where all of a job's together are."""
    image_index: int | None = None
    """None until an output of the job takes its place."""
    variation: int | None = None
    path: Path | None = None
    error: str | None = None
    engine: str | None = None
    ended: float | None = None
    """When it was made, in Unix seconds."""


@attrs.define
class JobReport:
    """One job and its pictures."""

    images: tuple[Path, ...]
    folder: Path
    items: list[Item]
    job_id: str | None = None
    status: str = "not submitted"
    """The service's word, or one of: not submitted, submitting, submitted, unknown."""
    error: str | None = None
    credits_estimated: float | None = None
    """Before it was submitted; None where the price is not known."""
    credits_used: float | None = None
    began: float | None = None
    """When it was about to be submitted, in Unix seconds."""

    @property
    def goes_on(self) -> bool:
        """Whether the server still works on it, or may do so."""
        return self.status in {"submitting", "submitted", "unknown"}

    @property
    def unsaved(self) -> bool:
        """Whether it has made pictures that may not be here."""
        return self.status == "completed" and not all(
            item.path or item.error for item in self.items
        )

    @property
    def command(self) -> str:
        """What fetches its pictures."""
        return f"piktid results {self.job_id or 'JOB'} --out {shlex.quote(str(self.folder))}"

    @property
    def name(self) -> str:
        """How to speak of it."""
        if self.job_id:
            return f"job {self.job_id}"
        count = "1 picture" if len(self.images) == 1 else f"{len(self.images)} pictures"
        return f"a job of {count} whose answer had not come yet"


@attrs.define(kw_only=True)
class Report:
    """The whole run."""

    target: str
    service: str
    """Where it was done: `sandbox`, or the address of the service."""
    project: str | None
    jobs: list[JobReport]
    done: str = "recolored"
    """What has been done to the pictures."""
    next_step: str = ""
    """How to go on, with `{job}` in place of the id."""
    seconds: float = 0.0
    page: Path | None = None
    trouble: str | None = None
    """What went wrong after all pictures were there."""

    @property
    def items(self) -> Iterator[Item]:
        """Every picture, in the order of the command line."""
        return (item for job in self.jobs for item in job.items)

    @property
    def code(self) -> Exit:
        """0 if all is there, 3 if nothing was even taken, else 1."""
        made = all(item.path for item in self.items) and not any(job.error for job in self.jobs)
        if made:
            return Exit.INCOMPLETE if self.trouble else Exit.OK
        taken = any(job.job_id or job.status == "unknown" for job in self.jobs)
        return Exit.INCOMPLETE if taken else Exit.REFUSED

    @property
    def afterwards(self) -> str:
        """What becomes of a job that nobody waits for any more."""
        return (
            "the sandbox ends with this command"
            if self.service == SANDBOX
            else ("it goes on at the server")
        )

    @property
    def credits_used(self) -> float | None:
        """Credits over all jobs; None where the service does not tell."""
        known = [job.credits_used for job in self.jobs if job.credits_used is not None]
        return sum(known) if known else None

    @property
    def credits_estimated(self) -> float | None:
        """The same before they were submitted, over those that were, or may have been."""
        submitted = (job for job in self.jobs if job.job_id or job.goes_on)
        known = [job.credits_estimated for job in submitted if job.credits_estimated is not None]
        return sum(known) if known else None

    def lines(self) -> Iterator[str]:
        """Sum up for people: each picture, each job that went wrong, the total."""
        owed = [(job, item) for job in self.jobs for item in job.items]
        for number, (job, item) in enumerate(owed, 1):
            name = self._name(item, number)
            if item.path:
                yield f"{name} -> {shown(item.path)}"
            elif item.source or item.error or not job.error:
                yield f"{name}: {item.error or 'no picture'}"
        yield from dict.fromkeys(job.error for job in self.jobs if job.error)
        items = list(self.items)
        made = sum(1 for item in items if item.path)
        yield (
            f"{made} of {count(len(items), 'picture')} {self.done} ({clean(self.target)}) "
            f"in {self.seconds:.1f} s{self._paid()}."
        )
        if self.trouble:
            yield self.trouble
        if self.next_step:
            for job in self.jobs:
                if job.job_id:
                    yield self.next_step.format(job=job.job_id)

    def as_json(self) -> dict[str, Any]:
        """Sum up for programs. Holds paths, never URLs."""
        return {
            "ok": self.code is Exit.OK,
            "exit_code": int(self.code),
            "target": self.target,
            "service": self.service,
            "project": self.project,
            "seconds": round(self.seconds, 3),
            "credits_estimated": self.credits_estimated,
            "credits_used": self.credits_used,
            "page": str(self.page) if self.page else None,
            "error": self.trouble or next((job.error for job in self.jobs if job.error), None),
            "jobs": [
                {
                    "job_id": job.job_id,
                    "status": job.status,
                    "folder": str(job.folder),
                    "error": job.error,
                    "credits_estimated": job.credits_estimated,
                    "credits_used": job.credits_used,
                    "outputs": [
                        {
                            "source": str(item.source) if item.source else None,
                            "image_index": item.image_index,
                            "variation": item.variation,
                            "path": str(item.path) if item.path else None,
                            "error": item.error,
                            "engine": item.engine,
                        }
                        for item in job.items
                    ],
                }
                for job in self.jobs
            ],
        }

    def _paid(self) -> str:
        used, estimated = self.credits_used, self.credits_estimated
        if used is None:
            return f", {estimated:g} credits estimated" if estimated is not None else ""
        return f", {used:g} credits" + (f" ({estimated:g} estimated)" if estimated else "")

    def _name(self, item: Item, number: int) -> str:
        if item.source is None:
            return f"picture {number}"
        several = any(other.variation for other in self.items)
        return f"{shown(item.source)}{f' ({(item.variation or 0) + 1})' if several else ''}"
