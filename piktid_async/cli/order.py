"""One recolor run as it was asked for, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import attrs

from piktid_async import GarmentRecolor, Project, UploadedFile
from piktid_async.cli.errors import Trouble, trouble_from
from piktid_async.cli.inputs import check_output, find_images, image_problem, split
from piktid_async.cli.report import Item, JobReport
from piktid_async.errors import InvalidRequestError


@attrs.frozen(kw_only=True)
class Order:
    """Which pictures become what, and where they go."""

    sets: Sequence[tuple[Path, ...]]
    """The pictures of each job."""
    out: Path
    text: str | None = None
    reference: Path | None = None
    instruction: str | None = None
    label: str | None = None
    variations: int = 1
    size: int = 2048
    project: str = "piktid-cli"
    timeout: float | None = None
    overwrite: bool = False

    @property
    def target(self) -> str:
        """How to speak of the new colour."""
        return self.text or (self.reference and self.reference.name) or self.instruction or ""

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
        return sum(map(len, self.sets)) * self.variations

    def request(
        self,
        project: Project | str,
        images: Sequence[UploadedFile | str],
        reference: UploadedFile | str | None,
    ) -> GarmentRecolor:
        """Build the request of one job."""
        return GarmentRecolor(
            project=project,
            images=tuple(images),
            garment_label=self.label,
            reference_image=reference,
            reference_text=self.text,
            instruction=self.instruction,
            num_variations=self.variations,
            processing_size=cast("Literal[1024, 2048, 4096]", self.size),
        )

    def job_reports(self) -> list[JobReport]:
        """Start the books: every picture is still owed."""
        return [
            JobReport(
                images=images,
                folder=folder,
                items=[
                    Item(image, index, variation)
                    for index, image in enumerate(images)
                    for variation in range(self.variations)
                ],
            )
            for images, folder in zip(self.sets, self.folders, strict=True)
        ]


def place_order(
    paths: Sequence[Path],
    *,
    out: Path,
    text: str | None,
    reference: Path | None,
    instruction: str | None,
    label: str | None,
    variations: int,
    size: int,
    project: str,
    timeout: float | None,
    overwrite: bool,
) -> Order:
    """Check everything that can be checked without the service, and return the order."""
    if not (text or reference or instruction):
        raise Trouble(
            'No target colour: give --to "forest green", --reference swatch.png or --instruction.'
        )
    if reference is not None and (problem := image_problem(reference)):
        raise Trouble(f"--reference: {problem}. Nothing was sent.")
    if not project.strip():
        raise Trouble("--project: the name is empty.")
    if timeout is not None and not timeout > 0:
        raise Trouble("--timeout: must be more than 0 seconds.")
    order = Order(
        sets=split(find_images(paths)),
        out=out,
        text=text,
        reference=reference,
        instruction=instruction,
        label=label,
        variations=variations,
        size=size,
        project=project,
        timeout=timeout,
        overwrite=overwrite,
    )
    try:
        order.request("checked", ["checked"], "checked" if reference else None)
    except InvalidRequestError as error:
        raise trouble_from(error) from error
    check_output(out, order.folders, overwrite=overwrite)
    return order
