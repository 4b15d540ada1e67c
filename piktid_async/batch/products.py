"""Products: what a batch makes jobs of, and how each of them ended."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from piktid_async.errors import InvalidRequestError, PiktidError
from piktid_async.models.images import Source, StreamSource, UploadedFile
from piktid_async.models.inputs import MOST_IMAGES
from piktid_async.models.jobs import JobResult
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest
from piktid_async.models.rules import checked_letters
from piktid_async.types import Json, shown

Template: TypeAlias = (
    Callable[[Project, list[UploadedFile]], JobRequest]
    | type[JobRequest]
    | functools.partial[JobRequest]
    | tuple[type[JobRequest], Mapping[str, Any]]
)
"""How a product's request is made of the project and its uploaded images."""

HASHED = "sha256:"
"""Begins the stand-in for the file id of an image that is known by its content alone."""

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")


def _sources(given: object) -> tuple[Source, ...]:
    if isinstance(given, str | bytes | PathLike | StreamSource) or hasattr(given, "read"):
        return (given,)  # type: ignore[return-value]  # mypy knows no files in `object`
    if isinstance(given, Mapping) or not isinstance(given, Sequence | set | frozenset):
        raise InvalidRequestError("images", f"must be a list of images, not {shown(given)}")
    return tuple(given)


def _key(given: object) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InvalidRequestError("key", f"must be a non-empty text, not {given!r}")
    return checked_letters("key", given)


@attrs.frozen(eq=False)
class Product:
    """One thing to have pictures made of: one job.

    - `key`: names it in the journal, for good; two products of one run cannot share it.
    - `images`: 1 to 10 sources, or one alone. File objects and streams are read into memory.
    - `request`: a callable `(project, images) -> request`; or a job request class, alone, in a
      `functools.partial` with its settings, or in a pair with them:
      `(GarmentRecolor, {"reference_text": "navy"})`. Classes are called with `images=` and,
      where they take one, `project=`. A callable must give the same whenever it is called.
    - `line`: where it stands in the list it came from, for messages.

    Raises `InvalidRequestError` for what cannot be one.
    """

    key: str = attrs.field(converter=_key)
    images: tuple[Source, ...] = attrs.field(
        default=(), converter=_sources, repr=lambda images: f"<{len(images)} images>"
    )
    request: Template | None = attrs.field(default=None, repr=False)
    line: str | None = None


@attrs.frozen
class BadProduct:
    """A row of a list that is no product; it is reported, and stops no other."""

    key: str
    line: str | None
    reason: str


@attrs.frozen(kw_only=True, eq=False)
class ProductOutcome:
    """How one product ended, for now; see `error`."""

    product: Product | BadProduct
    result: JobResult | None = None
    """What was made. Without URLs when it was made in an earlier run."""
    files: tuple[Path, ...] = ()
    error: PiktidError | None = None
    """None: all went well, but look at `result.failed`."""
    state: str | None = None
    """Where the journal has it: unless it is saved, done or failed, a later run goes on with it.
    None for what is not in the journal."""


@attrs.frozen(eq=False)
class Doubt:
    """A submission of which it is not known whether it made a job."""

    product: Product
    """Of an earlier run only its key and line are known."""
    since: datetime
    """Nothing was sent before then; UTC."""
    reason: str


def build(template: Template | None, project: Project, images: list[UploadedFile]) -> JobRequest:
    """Make a product's request; raises `InvalidRequestError`.

    `ImagePlayground` knows no projects, so none is given to it.
    """
    settings: Mapping[str, Any] = {}
    match template:
        case (type() as kind, Mapping() as settings):
            call: Callable[..., object] = kind
        case type() | functools.partial():
            call = template
        case _ if callable(template):
            return _made(project, lambda: template(project, images))
        case _:
            raise InvalidRequestError(
                "request",
                "takes a job request class, one with its settings, or a callable "
                f"(project, images) -> request, not {shown(template)}",
            )
    given = {"project": project} if _takes_project(call) else {}
    return _made(project, lambda: call(images=images, **given, **settings))


def _takes_project(call: Any) -> bool:
    kind: Any = call.func if isinstance(call, functools.partial) else call
    return not attrs.has(kind) or hasattr(attrs.fields(kind), "project")


def _made(project: Project, call: Callable[[], object]) -> JobRequest:
    try:
        request = call()
    except TypeError as error:
        raise InvalidRequestError("request", f"cannot be built: {error}") from error
    if not isinstance(request, JobRequest):
        raise InvalidRequestError(
            "request", f"makes {type(request).__name__}, not a job request like GarmentRecolor"
        )
    if request.project_id not in (None, project.project_id):
        raise InvalidRequestError(
            "project", "must be the batch's own, by which its jobs are known: pass it on"
        )
    if request.conversation_id is not None:
        raise InvalidRequestError(
            "conversation", "a batch makes jobs of their own: pass the output as an image instead"
        )
    return request


def check_count(product: Product) -> None:
    """Raise unless there are 1 to 10 images, as many as one job takes."""
    number = len(product.images)
    if not 1 <= number <= MOST_IMAGES:
        remedy = "split the product" if number else "name at least one"
        raise InvalidRequestError(
            "images", f"takes 1 to {MOST_IMAGES} images, not {number}: {remedy}"
        )


def same_key(product: Product, twin: str) -> InvalidRequestError:
    """Return the error of a product whose key another one of the list has."""
    where = product.line or "this one"
    return InvalidRequestError(
        "key", f"{product.key!r} of {where} is the key of {twin}, too: change it"
    )


def stand_ins(hashes: Sequence[str]) -> list[UploadedFile]:
    """Return images that are named by their content, to build a request before any upload."""
    return [
        UploadedFile(file_id=HASHED + each, filename=f"{each[:12]}.jpg", content_type="image/jpeg")
        for each in hashes
    ]


def fingerprint(template: Template | None, hashes: Sequence[str]) -> str:
    """Tell products of one key apart by what would be asked for, images by their content.

    Other files, such as a swatch, count by their name: uploaded anew, they have another id.
    """
    request = build(template, Project("project"), stand_ins(hashes))
    text = json.dumps([request.kind, _plain(request)], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case UploadedFile():
            return value.file_id if value.file_id.startswith(HASHED) else value.filename
        case Project():
            return None
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    if attrs.has(type(value)):
        return {
            field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))
        }
    return repr(value)


def safe_name(key: str) -> str:
    """Return a name for files and folders: the key where it can be one, else one like it."""
    if _PLAIN.fullmatch(key) and not key.endswith("."):
        return key
    mark = hashlib.sha256(key.encode()).hexdigest()[:8]
    like = _OTHER.sub("_", key).strip("._-")[:60]
    return f"{like}-{mark}" if like else mark
