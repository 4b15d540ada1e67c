"""Products as a database keeps them, so that a worker elsewhere can make them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

import piktid_async
from piktid_async.batch.products import Product, build, check_count, stand_ins
from piktid_async.errors import InvalidRequestError
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest

MODEL = "__model__"
"""Stands before the name of a setting's class."""


def spec_of(product: Product) -> str:
    """Return what a worker needs to know; raises `InvalidRequestError` for what it cannot get."""
    check_count(product)
    match product.request:
        case (type() as kind, Mapping() as settings):
            pass
        case type() as kind:
            settings = {}
        case _:
            raise InvalidRequestError(
                "request",
                "a worker elsewhere cannot call it: give a job request class, or a pair of one "
                'and its settings, such as (GarmentRecolor, {"reference_text": "navy"})',
            )
    build(product.request, Project("project"), stand_ins(["0" * 64] * len(product.images)))
    plain = {str(name): _plain(f"request.{name}", value) for name, value in settings.items()}
    images = [_path(each) for each in product.images]
    return json.dumps({"kind": kind.__name__, "settings": plain, "images": images}, sort_keys=True)


def product_of(key: str, line: str | None, spec: str) -> Product:
    """Build the product again; raises `InvalidRequestError` for one of another version."""
    told = json.loads(spec)
    kind = getattr(piktid_async, told["kind"], None)
    if not (isinstance(kind, type) and issubclass(kind, JobRequest)):
        raise InvalidRequestError("request", f"{told['kind']} is no job request of this version")
    settings = {name: _built(value) for name, value in told["settings"].items()}
    return Product(key, tuple(told["images"]), (kind, settings), line)


def _path(image: object) -> str:
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        if path.is_file():
            return str(path.absolute())
        raise InvalidRequestError("images", f"{path} is no file that is there")
    raise InvalidRequestError("images", "must be paths: a worker elsewhere reads them")


def _plain(field: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_plain(field, each) for each in value]
        case Mapping():
            return {str(name): _plain(field, each) for name, each in value.items()}
    kind = type(value)
    if attrs.has(kind) and getattr(piktid_async, kind.__name__, None) is kind:
        fields = [each.name for each in attrs.fields(kind) if each.init]
        return {MODEL: kind.__name__} | {
            name: _plain(field, getattr(value, name)) for name in fields
        }
    raise InvalidRequestError(field, f"{kind.__name__} cannot be kept for a worker elsewhere")


def _built(value: Any) -> Any:
    match value:
        case list():
            return [_built(each) for each in value]
        case dict() if MODEL in value:
            kind = getattr(piktid_async, value[MODEL])
            return kind(**{name: _built(each) for name, each in value.items() if name != MODEL})
        case dict():
            return {name: _built(each) for name, each in value.items()}
    return value
