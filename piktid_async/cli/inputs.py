"""Find and check the pictures and the output folder before anything is sent or paid."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from piktid_async.cli.errors import Trouble, clean

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
IMAGES_PER_JOB = 10
"""https://docs.piktid.com/docs/v2/garment-recolor"""
PAGE_NAME = "before-after.html"
RESULT_NAME = re.compile(r"\d+_\d+_v\d+(_thumb\w*)?\.\w+")
"""`<image_index>_<group_index>_v<version>.<ext>`, as `Job.download` names its files."""
NAMED = 8
"""Problems that are named one by one; the rest are counted."""


def find_images(paths: Iterable[Path]) -> list[Path]:
    """Return the images, folders expanded, each once and in order, or name all that is wrong."""
    found: dict[Path, Path] = {}
    problems: list[str] = []
    for path in paths:
        images, wrong = _expand(path)
        problems.extend(wrong)
        for image in images:
            found.setdefault(image.resolve(), image)
    problems.extend(problem for image in found.values() if (problem := image_problem(image)))
    if problems:
        raise Trouble("; ".join(at_most(problems)) + ". Nothing was sent.")
    return list(found.values())


def image_problem(path: Path) -> str | None:
    """Say what is wrong with a file that should be a JPEG, PNG or WebP image."""
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            return f"{shown(path)} is not a file"
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        return f"{shown(path)} does not exist"
    except OSError as error:
        return f"{shown(path)} cannot be read ({error.strerror})"
    if not head:
        return f"{shown(path)} is empty"
    return None if media_type(head) else f"{shown(path)} is not a JPEG, PNG or WebP image"


def media_type(head: bytes) -> str | None:
    """Tell the image format from the first bytes."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return None


def check_output(folder: Path, parts: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse a folder that cannot be written, or that holds the results of another run."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if not existing.is_dir():
        raise Trouble(f"--out: {shown(existing)} is a file, not a folder.")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise Trouble(f"--out: {shown(existing)} cannot be written to.")
    if overwrite:
        return
    old = sorted(
        path
        for part in {folder, *parts}
        if part.is_dir()
        for path in part.iterdir()
        if path.name == PAGE_NAME or RESULT_NAME.fullmatch(path.name)
    )
    if old:
        raise Trouble(
            f"--out: {shown(folder)} already holds results, such as {shown(old[0])}: "
            "name another folder, or add --overwrite."
        )


def split(images: Sequence[Path]) -> list[tuple[Path, ...]]:
    """Cut a set into jobs of as even a size as the service's bound allows."""
    jobs = -(-len(images) // IMAGES_PER_JOB)
    borders = [round(index * len(images) / jobs) for index in range(jobs + 1)]
    return [tuple(images[start:end]) for start, end in itertools.pairwise(borders)]


def shown(path: Path) -> str:
    """Return a path as it may be printed."""
    return clean(str(path))


def at_most(problems: list[str]) -> list[str]:
    """Return the first problems, and how many more there are."""
    more = len(problems) - NAMED
    return [*problems[:NAMED], f"and {more} more"] if more > 0 else problems


def _expand(path: Path) -> tuple[list[Path], list[str]]:
    if not path.is_dir():
        return [path], []
    try:
        names = sorted(path.iterdir(), key=_natural)
    except OSError as error:
        return [], [f"{shown(path)} cannot be read ({error.strerror})"]
    images = [
        entry
        for entry in names
        if entry.suffix.lower() in SUFFIXES and entry.is_file() and not entry.name.startswith(".")
    ]
    return images, [] if images else [f"{shown(path)} holds no {_listed(SUFFIXES)} file"]


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort `look-2` before `look-10`."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _listed(words: Iterable[str]) -> str:
    *first, last = sorted(words)
    return f"{', '.join(first)} or {last}"
