"""Tasks, and the images that they may be based on. No I/O."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

import attrs

Status = Literal["queued", "pending", "processing", "completed", "failed"]

UPPER = frozenset({
    "blouse", "cardigan", "choli", "coat", "dress", "garment", "gown", "hoodie", "jacket",
    "jumper", "kurta", "kurti", "outfit", "polo", "saree", "sari", "shirt", "suit", "sweater",
    "sweatshirt", "t-shirt", "tee", "top", "tshirt", "tunic", "vest",
})  # fmt: skip
LOWER = frozenset({
    "bottom", "bottoms", "chinos", "jeans", "leggings", "lehenga", "palazzo", "pants",
    "salwar", "shorts", "skirt", "trousers",
})  # fmt: skip
"""What a garment of a look may be called; whatever else is asked for is not in the image."""


@attrs.frozen
class Look:
    """An image that Vtryon has made: two garments, as numbers of sample photos."""

    upper: int
    lower: int


# The page's own sample is based on pose 936 and names a blouse and a lehenga.
POSES = {936: Look(1, 5), 937: Look(2, 4), 938: Look(1, 4), 939: Look(2, 5), 940: Look(6, 5)}
MODELS = {411: Look(1, 5), 412: Look(2, 4), 413: Look(6, 4)}


@attrs.frozen
class Change:
    """One entry of `color_changes`."""

    target: str
    color: str

    @property
    def garment(self) -> Literal["upper", "lower"] | None:
        """Which garment of a look is meant; None if it has no such garment."""
        words = set(self.target.lower().split())
        if words & LOWER:
            return "lower"
        return "upper" if words & UPPER else None


@attrs.define(kw_only=True, eq=False)
class Task:
    """One recolor task."""

    number: int
    look: Look
    changes: tuple[Change, ...]
    quality: Literal["2k", "4k"]
    status: Status = "queued"
    result_url: str | None = None
    error: str | None = None
    created: float = attrs.field(factory=time.time)

    def body(self) -> dict[str, object]:
        """Describe the task as the poll and the list do."""
        told: dict[str, object] = {
            "id": self.number,
            "status": self.status,
            "result_url": self.result_url,
        }
        # "Check the response for error details" is all that the page says of the field.
        return told | ({"error": self.error} if self.error is not None else {})

    @property
    def created_at(self) -> str:
        """As the page writes moments."""
        return datetime.fromtimestamp(self.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Tasks:
    """Every task of the account, oldest first."""

    def __init__(self) -> None:
        self.by_number: dict[int, Task] = {}
        self.last: int = 500

    def add(self, look: Look, changes: tuple[Change, ...], quality: Literal["2k", "4k"]) -> Task:
        """Queue a task."""
        self.last += 1
        task = Task(number=self.last, look=look, changes=changes, quality=quality)
        self.by_number[task.number] = task
        return task
