"""What the chaos run asks for: items of all five kinds, each with pictures like no other's."""

from __future__ import annotations

import io
import random
from collections import Counter
from pathlib import Path

import attrs
import numpy as np
from PIL import Image

from piktid_async import (
    CreatePackshot,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    Job,
    JobRequest,
    ModelInstruction,
    ModelSwap,
    OutputOptions,
    PackshotInstruction,
    Project,
    SubmissionUnknownError,
    UploadedFile,
)

Key = tuple[int, int, int]
"""(image_index, group_index, version) of an output."""

EDGE = 64
"""Pixels of an input."""
SCALE = EDGE / 1024
"""Of the sandbox: the smallest size class then gives outputs of the same edge."""
MODEL = "default-pro-00000001"
"""An identity that every account of the sandbox has."""
KINDS = {
    "garment_recolor": 60,
    "create_packshot": 12,
    "flat_2_model": 10,
    "model_swap": 10,
    "edit_chat": 8,
}
"""How often each kind is drawn, in percent."""
COLOURS = ("forest green", "navy", "#8b1a1a", "mustard yellow", "dusty pink", "black")


@attrs.define(eq=False)
class Generation:
    """One submission: a job of its own, or the next generation of a conversation."""

    request: JobRequest
    job: Job | None = None
    doubt: SubmissionUnknownError | None = None
    """The last submission of unknown fate."""
    doubts: int = 0
    """How many submissions were of unknown fate."""
    found: int = 0
    """How many of those `reconcile()` has found."""
    refused: int = 0
    """How many were certainly not taken, and so were asked for again."""
    versions: Counter[Key] = attrs.field(factory=Counter)
    """How often each output came out of one `job.outputs()`."""
    saved: list[Path] = attrs.field(factory=list)
    zip: Path | None = None


@attrs.define(eq=False)
class Item:
    """One thing that the user wants: pictures in, pictures out."""

    number: int
    kind: str
    dice: random.Random
    sources: list[Path]
    folder: Path
    stage: str = "waiting"
    failure: str | None = None
    """What the program did not expect."""
    generations: list[Generation] = attrs.field(factory=list)

    def request(
        self, files: list[UploadedFile], project: Project, conversation: Job | None
    ) -> JobRequest:
        """Build what is submitted."""
        dice = self.dice
        match self.kind:
            case "garment_recolor":
                *images, swatch = files
                return GarmentRecolor(
                    project=project,
                    images=images,
                    reference_image=swatch,
                    reference_text=dice.choice(COLOURS),
                    num_variations=dice.choice((1, 1, 2)),
                    processing_size=1024,
                    post_process=dice.random() < 0.5,
                )
            case "create_packshot":
                styles = dice.sample(("white_cutout", "ghost_mannequin", "free"), 2)
                return CreatePackshot(
                    project=project,
                    images=files,
                    instructions=[
                        PackshotInstruction(style=style, options=_small(dice)) for style in styles
                    ],
                )
            case "flat_2_model":
                return FlatToModel(
                    identity=MODEL,
                    project=project,
                    images=files,
                    instructions=[
                        ModelInstruction(options=_small(dice), num_variations=dice.choice((1, 2)))
                    ],
                )
            case "model_swap":
                return ModelSwap(identity=MODEL, project=project, images=files)
            case _:
                return ImagePlayground(
                    prompt=f"Warm the light of item {self.number}",
                    images=[] if conversation else files,
                    size="1K",
                    num_variations=dice.choice((1, 2)),
                    conversation=conversation,
                )


def draw_items(count: int, dice: random.Random, folder: Path) -> list[Item]:
    """Draw items and write their pictures to disk."""
    kinds = dice.choices(list(KINDS), weights=list(KINDS.values()), k=count)
    return [_item(number, kind, dice, folder) for number, kind in enumerate(kinds)]


def _item(number: int, kind: str, dice: random.Random, folder: Path) -> Item:
    own = random.Random(dice.random())
    inputs = folder / "in"
    inputs.mkdir(parents=True, exist_ok=True)
    sources = []
    for picture in range(own.choice((2, 2, 3))):
        path = inputs / f"item-{number}-{picture}.{own.choice(('jpg', 'png'))}"
        path.write_bytes(draw_picture(own, path.suffix))
        sources.append(path)
    return Item(number, kind, own, sources, folder / "out" / f"item-{number}")


def draw_picture(dice: random.Random, suffix: str) -> bytes:
    """Draw a garment of sorts on a light ground, in a colour and a weave of its own."""
    noise = np.random.default_rng(dice.getrandbits(32))
    pixels = np.full((EDGE, EDGE, 3), 235, dtype=np.uint8)
    left, top = dice.randrange(6, 16), dice.randrange(6, 16)
    garment = pixels[top : EDGE - top, left : EDGE - left]
    garment[:] = [dice.randrange(30, 200) for _ in range(3)]
    garment += noise.integers(0, 40, garment.shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if suffix == ".jpg" else "PNG")
    return buffer.getvalue()


def _small(dice: random.Random) -> OutputOptions:
    return OutputOptions(size="1K", format=dice.choice(("jpg", "png")))
