"""One run of a job command as it was asked for, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from piktid_async import Project, UploadedFile
from piktid_async.cli.errors import OPTIONS, Trouble, trouble_from
from piktid_async.cli.inputs import (
    IMAGES_PER_JOB,
    check_output,
    find_images,
    image_problem,
    shown,
    split,
)
from piktid_async.cli.report import Item, JobReport
from piktid_async.errors import InvalidRequestError
from piktid_async.models.requests import JobRequest

File: TypeAlias = UploadedFile | str
"""An uploaded file, or its id."""

STAND_IN = "checked"
"""Stands for every id when a request is built only to be checked."""


@attrs.frozen
class Inputs:
    """What a request is built of: all that is at the service by then."""

    project: Project | str
    images: tuple[File, ...]
    more: Mapping[str, File]
    """What else was uploaded, by its name in `Order`, and the identity."""


Build: TypeAlias = Callable[[Inputs], JobRequest]


@attrs.frozen(kw_only=True)
class Order:
    """Which pictures become what, and where they go."""

    sets: Sequence[tuple[Path, ...]]
    """The pictures of each job."""
    out: Path
    build: Build
    target: str
    """What they become, in a few words."""
    words: tuple[str, str]
    """What is being done to each, and what has been."""
    each: bool = True
    """Whether every result is of one picture, or of all together."""
    more: Mapping[str, Path] = attrs.field(factory=dict)
    """Other pictures to upload, by name."""
    identity_image: Path | None = None
    """The picture that the identity is made of."""
    project: str | None = "piktid-cli"
    """None for jobs that belong to none."""
    timeout: float | None = None
    overwrite: bool = False
    colors: bool = False
    """Whether the results differ from the pictures by a colour."""
    next_step: str = ""
    """How to go on, with `{job}` in place of the id."""

    @property
    def folders(self) -> list[Path]:
        """Where each job's pictures go: one job straight into `out`, several into folders."""
        if len(self.sets) == 1:
            return [self.out]
        width = len(str(len(self.sets)))
        return [self.out / f"set-{number:0{width}}" for number in range(1, len(self.sets) + 1)]

    @property
    def total_outputs(self) -> int:
        """Pictures that are ordered and paid for."""
        return sum(self._checked(images).total_outputs for images in self.sets)

    def job_reports(self) -> list[JobReport]:
        """Start the books: every picture is still owed."""
        return [
            JobReport(images=images, folder=folder, items=self._items(images))
            for images, folder in zip(self.sets, self.folders, strict=True)
        ]

    def check(self, options: Mapping[str, str] = OPTIONS) -> None:
        """Raise `Trouble` for what the service would refuse."""
        try:
            self._checked(self.sets[0])
        except InvalidRequestError as error:
            raise trouble_from(error, options=options) from error

    def _checked(self, images: Sequence[Path]) -> JobRequest:
        more: dict[str, File] = dict.fromkeys(self.more, STAND_IN)
        if self.identity_image is not None:
            more["identity"] = STAND_IN
        return self.build(Inputs(STAND_IN, (STAND_IN,) * len(images), more))

    def _items(self, images: Sequence[Path]) -> list[Item]:
        total = self._checked(images).total_outputs
        if not self.each:
            return [Item() for _ in range(total)]
        return [
            Item(image, index, variation)
            for index, image in enumerate(images)
            for variation in range(total // len(images))
        ]


def sets_of_each(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Find pictures that become one result each: as many jobs as they take."""
    return split(find_images(paths))


def one_set(paths: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Find pictures that all go into every result: one job."""
    images = find_images(paths)
    if len(images) > IMAGES_PER_JOB:
        raise Trouble(
            f"PATHS: {len(images)} pictures, and one product takes {IMAGES_PER_JOB} at most: name "
            "fewer, or use `piktid batch run` with a folder for each product. Nothing was sent."
        )
    return [tuple(images)]


def checked_identity(code: str | None, image: Path | None) -> str | None:
    """Return the code, or None where the identity is made of a picture."""
    if (code is None) == (image is None):
        raise Trouble(
            "Who is to be seen? Give one of --identity CODE (`piktid identities` lists them) and "
            "--identity-image FILE."
        )
    return code


def checked(order: Order, *, options: Mapping[str, str] = OPTIONS, beside: bool = False) -> Order:
    """Check everything that can be checked without the service, and return the order.

    `beside` lets new results come beside those of an older run.
    """
    files = {f"--{name.replace('_', '-')}": path for name, path in order.more.items()}
    if order.identity_image is not None:
        files["--identity-image"] = order.identity_image
    for option, path in files.items():
        if problem := image_problem(path):
            raise Trouble(f"{option}: {problem}. Nothing was sent.")
    if order.project is not None and not order.project.strip():
        raise Trouble("--project: the name is empty.")
    check_timeout(order.timeout)
    order.check(options)
    check_output(order.out, order.folders, overwrite=order.overwrite or beside)
    return order


def check_timeout(timeout: float | None) -> None:
    """Refuse to wait for no time at all."""
    if timeout is not None and not timeout > 0:
        raise Trouble("--timeout: must be more than 0 seconds.")


def in_short(text: str, most: int = 60) -> str:
    """Return the beginning of a text, as part of a line."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def named(path: Path) -> str:
    """Return the name that an identity of this picture gets."""
    return shown(Path(path.stem))
