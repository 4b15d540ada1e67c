"""`--kind`, `--to` and `--set`: what every product is to become."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from piktid_async import (
    CreatePackshot,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    ModelInstruction,
    ModelSwap,
    OutputOptions,
    PackshotInstruction,
)
from piktid_async.batch.products import build, stand_ins
from piktid_async.cli.errors import Trouble, clean
from piktid_async.errors import InvalidRequestError
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest

KINDS: Mapping[str, type[JobRequest]] = {
    kind.kind: kind
    for kind in (GarmentRecolor, CreatePackshot, FlatToModel, ModelSwap, ImagePlayground)
}
INSTRUCTIONS: Mapping[str, Any] = {
    CreatePackshot.kind: PackshotInstruction,
    FlatToModel.kind: ModelInstruction,
}
OURS = frozenset({"project", "images", "conversation"})
"""Fields that the batch itself fills, or that fit one job alone."""
COLUMN = re.compile(r"\{([^\W\d][\w .-]*)\}")
TEXT = re.compile(r"[^\[]*\bstr\b[^\[]*")
"""Of the types of fields: those that take text as it is."""


NO_COLUMN = "there is no such column in this row"


@attrs.frozen
class Wish:
    """A kind of job and its settings, which may name columns of each row."""

    kind: type[JobRequest]
    texts: Mapping[str, str]
    columns: tuple[str, ...] = ()

    def template(self, row: Mapping[str, Any]) -> tuple[type[JobRequest], Mapping[str, Any]]:
        """Return the kind and the settings for one row; raises `InvalidRequestError`."""

        def cell(match: re.Match[str]) -> str:
            if match[1] not in row:
                raise InvalidRequestError(match[1], NO_COLUMN)
            return str(row[match[1]])

        fill = (lambda text: COLUMN.sub(cell, text)) if self.columns else str
        return self.kind, {name: self._value(name, fill(text)) for name, text in self.texts.items()}

    def _value(self, name: str, text: str) -> Any:
        if TEXT.fullmatch(_types(self.kind)[name]):
            return text
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if name != "instructions":
            return value
        if not isinstance(value, list):
            raise InvalidRequestError(name, 'takes a JSON list, such as [{"num_variations": 2}]')
        return [_instruction(self.kind.kind, each) for each in value]


def read_wish(kind: str, to: str | None, settings: Iterable[str]) -> Wish:
    """Read the options; what no product could be made of is refused here."""
    texts: dict[str, str] = {}
    for each in settings:
        name, sign, text = each.partition("=")
        if not sign:
            raise Trouble(f"--set {clean(each)}: give KEY=VALUE, such as processing_size=1024.")
        texts[name.strip()] = text
    chosen = KINDS[kind]
    if to is not None:
        if chosen is not GarmentRecolor:
            raise Trouble(f"--to is for garment_recolor; {kind} takes --set.")
        texts["reference_text"] = to
    known = sorted(_types(chosen).keys() - OURS)
    for name in texts:
        if name not in known:
            raise Trouble(f"--set {clean(name)}: {kind} has no such setting, but {_list(known)}.")
    for name in sorted(_needed(chosen) - texts.keys()):
        raise Trouble(f"{kind} needs --set {name}=...")
    columns = tuple(dict.fromkeys(name for text in texts.values() for name in COLUMN.findall(text)))
    wish = Wish(chosen, texts, columns)
    if not columns:
        _check(wish, to)
    return wish


def _check(wish: Wish, to: str | None) -> None:
    try:
        build(wish.template({}), Project("checked"), stand_ins(["0" * 64]))
    except InvalidRequestError as error:
        if error.field == "reference_text" and to is None:
            raise Trouble('No target colour: give --to "forest green", or --set.') from error
        option = "--to" if error.field == "reference_text" else f"--set {error.field}"
        raise Trouble(f"{option}: {clean(error.rule)}.") from error


def _instruction(kind: str, given: object) -> Any:
    if not isinstance(given, dict):
        raise InvalidRequestError("instructions", f"takes JSON objects, not {given!r}")
    given = dict(given)
    try:
        if isinstance(given.get("options"), dict):
            given["options"] = OutputOptions(**given["options"])
        return INSTRUCTIONS[kind](**given)
    except TypeError as error:
        raise InvalidRequestError("instructions", str(error)) from error


def _types(kind: Any) -> Mapping[str, str]:
    return {field.name: str(field.type) for field in attrs.fields(kind) if field.init}


def _needed(kind: Any) -> set[str]:
    fields = attrs.fields(kind)
    return {field.name for field in fields if field.default is attrs.NOTHING} - OURS


def _list(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
