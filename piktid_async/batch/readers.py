"""Products from lists and folders; what is no product is told as such, and stops no other."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeAlias

from piktid_async.batch.products import BadProduct, Product, Template
from piktid_async.errors import ConfigurationError, InvalidRequestError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
"""Of the files in a folder that are images."""
SEPARATOR = ";"
"""Between the images of one product in a cell of a CSV."""
RESULT_NAME = re.compile(r"\d+_\d+_v\d+(_thumbnail)?\.\w+")
"""What `Job.download` saves: no image of a product, though it lies among them."""

OfRow: TypeAlias = Callable[[Mapping[str, Any]], Template]
Read: TypeAlias = "Iterator[Product | BadProduct]"


def read_csv(
    path: str | PathLike[str],
    request: Template | OfRow,
    *,
    by_row: bool = False,
    key: str = "key",
    images: str = "images",
    directory: str | PathLike[str] | None = None,
) -> Read:
    """Yield a product for each row of a CSV with a header, in UTF-8.

    The columns `key` and `images` are needed; images are paths, several in one cell parted by a
    semicolon, relative to `directory`, or to the file. `request` is every product's, or with
    `by_row` a callable that makes one of the row. Raises `ConfigurationError` when the file
    cannot be read, or lacks a column.
    """
    name, base = _places(path, directory)
    with _opened(Path(path)) as file:
        lines = _Lines(file)
        rows = csv.DictReader(lines, strict=True)
        for column in (key, images):
            if column not in (rows.fieldnames or ()):
                raise ConfigurationError(f"{name} has no column {column!r} in its first line")
        while True:
            try:
                row: dict[Any, Any] | None = next(rows, None)
            except csv.Error as error:
                yield BadProduct("", f"{name}:{lines.number}", f"cannot be read: {error}")
                continue
            line = f"{name}:{lines.number}"
            if row is None:
                return
            if None in row or None in row.values():
                yield BadProduct(str(row.get(key) or ""), line, "has other cells than the header")
                continue
            paths = [each.strip() for each in row[images].split(SEPARATOR) if each.strip()]
            template = _template(request, row) if by_row else request
            images_of_row = [base / each for each in paths]
            yield _product(row[key].strip(), images_of_row, line, template)


def read_jsonl(
    path: str | PathLike[str],
    request: Template | OfRow,
    *,
    by_row: bool = False,
    directory: str | PathLike[str] | None = None,
) -> Read:
    """Yield a product for each line of JSON objects, in UTF-8; empty lines are left out.

    Each has a text `key` and `images`, a path or a list of paths, relative to `directory`, or to
    the file. `request` is every product's, or with `by_row` a callable that makes one of the
    object. Raises `ConfigurationError` when the file cannot be read.
    """
    name, base = _places(path, directory)
    with _opened(Path(path)) as file:
        lines = _Lines(file)
        for text in lines:
            line = f"{name}:{lines.number}"
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                yield BadProduct("", line, f"is no JSON: {error}")
                continue
            if not isinstance(row, dict):
                yield BadProduct("", line, "is no JSON object")
                continue
            images = row.get("images")
            paths = [images] if isinstance(images, str) else images
            if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
                yield BadProduct(str(row.get("key") or ""), line, "images must be paths")
                continue
            template = _template(request, row) if by_row else request
            yield _product(row.get("key"), [base / each for each in paths], line, template)


def read_folder(path: str | PathLike[str], request: Template) -> Read:
    """Yield a product for each folder with images in it, at any depth, in order of their names.

    Its key is the folder's path below `path`, with slashes; its images are those of the folder
    itself. Hidden files, and results that a batch has saved, are left out. Raises
    `ConfigurationError` when it is no folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise ConfigurationError(f"{root} is no folder")
    top = os.fspath(root)
    for parent, folders, files in os.walk(top):
        folders[:] = sorted((each for each in folders if not each.startswith(".")), key=_natural)
        images = [Path(parent, each) for each in sorted(files, key=_natural) if _is_image(each)]
        if images:
            below = parent.removeprefix(top).strip(os.sep).replace(os.sep, "/")
            yield _product(below or root.resolve().name, images, parent, request)


def _product(key: Any, images: Sequence[Path], line: str, template: Any) -> Product | BadProduct:
    try:
        if isinstance(template, InvalidRequestError):
            raise template
        return Product(key, tuple(images), template, line)
    except InvalidRequestError as error:
        return BadProduct(str(key or ""), line, str(error))


def _template(of_row: Any, row: Mapping[str, Any]) -> Any:
    """Make a row's request; what is wrong with the row is this row's."""
    try:
        return of_row(row)
    except InvalidRequestError as error:
        return error
    except (KeyError, ValueError, TypeError) as error:
        return InvalidRequestError("request", f"cannot be made of this row: {error!r}")


def _places(path: str | PathLike[str], directory: str | PathLike[str] | None) -> tuple[str, Path]:
    return Path(path).name, Path(path).parent if directory is None else Path(directory)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error


class _Lines:
    """The lines of a file, and the number of the last one that was read.

    A path need not be text at all: what is no UTF-8 is kept as the file system's calls take it.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        text = next(self._file).decode("utf-8", "surrogateescape")
        self.number += 1
        return text.removeprefix("\ufeff") if self.number == 1 else text


def _is_image(name: str) -> bool:
    hidden = name.startswith(".") or RESULT_NAME.fullmatch(name)
    return not hidden and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort `look-2` before `look-10`."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]
