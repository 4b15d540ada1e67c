"""Checks that several requests share; each failure names field, rule and remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.types import DEEPEST, Json, shown

T = TypeVar("T")
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def whole_number(low: int, high: int) -> Validator:
    """Accept integers from `low` to `high`; a bool is none."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if type(value) is not int or not low <= value <= high:
            raise InvalidRequestError(
                attribute.name, f"must be a whole number from {low} to {high}, not {shown(value)}"
            )

    return check


def integer(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Accept what JSON carries as a whole number; a bool is none."""
    if type(value) is not int or not -(2**63) <= value < 2**64:
        raise InvalidRequestError(attribute.name, "must be a whole number of at most 64 bits")


def one_of(*choices: object) -> Validator:
    """Accept what is listed, and nothing that merely equals it (True is not 1)."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            listed = ", ".join(repr(choice) for choice in choices)
            raise InvalidRequestError(
                attribute.name, f"must be one of {listed}, not {shown(value)}"
            )

    return check


def boolean(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Accept True and False only."""
    if not isinstance(value, bool):
        raise InvalidRequestError(attribute.name, f"must be True or False, not {shown(value)}")


def text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    """Accept text that says something."""
    checked_text(attribute.name, value)


def checked_letters(field: str, value: str) -> str:
    """Return a text that can be sent; half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        near = value[max(0, error.start - 10) : error.end + 10]
        raise InvalidRequestError(
            field,
            f"holds letters that cannot be sent: {near!r} has half of a surrogate pair; "
            "read the text anew, or leave them out",
        ) from None
    return value


def checked_text(field: str, value: object) -> str:
    """Return text that says something, and can be sent."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequestError(field, f"must be a non-empty text, not {shown(value)}")
    return checked_letters(field, value)


def checked_index(field: str, value: object) -> int:
    """Return a place in a list, counted from 0."""
    if type(value) is not int or not 0 <= value < 2**63:
        raise InvalidRequestError(field, f"must be 0 or more, not {value!r}")
    return value


def sendable(_: object, __: attrs.Attribute[Any], value: object) -> None:
    """Accept what can be sent as JSON; what cannot is named by its own place in it."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            as_json(_key("body", key), each)
    else:
        as_json("body", value)


def checked_seconds(field: str, value: float | None, *, unit: str = "seconds") -> float | None:
    """Return a time to wait; None is for ever."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise InvalidRequestError(field, f"must be {unit}, 0 or more, not {value!r}")
    return value


def instance_of(kind: type) -> Validator:
    """Accept instances of one class."""

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if not isinstance(value, kind):
            raise InvalidRequestError(
                attribute.name, f"must be {kind.__name__}(...), not {type(value).__name__}"
            )

    return check


def optional(check: Validator) -> Validator:
    """Accept None, too."""

    def checked(owner: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is not None:
            check(owner, attribute, value)

    return checked


def as_tuple(field: str, value: Iterable[T]) -> tuple[T, ...]:
    """Return a tuple; a lone text or a thing that is no list is refused by name."""
    # A mapping would give its keys.
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InvalidRequestError(field, f"must be a list, not {type(value).__name__}: wrap it")
    return tuple(value)


def in_order(field: str, value: Iterable[T]) -> tuple[T, ...]:
    """Return a tuple of what is numbered by its place; a set has none."""
    if isinstance(value, set | frozenset):
        raise InvalidRequestError(field, f"must be in order, and a {type(value).__name__} is not")
    return as_tuple(field, value)


def as_json(field: str, value: object, *, _depth: int = 0) -> Json:
    """Return a copy in plain lists and dicts; what JSON cannot carry is refused by name."""
    if _depth > DEEPEST:
        raise InvalidRequestError(
            field[:40] + "...", f"is more than {DEEPEST} levels deep, or holds itself: flatten it"
        )
    match value:
        case bool() | None:
            return value
        case str():
            return checked_letters(field, value)
        case int():
            if not -(2**63) <= value < 2**64:
                raise InvalidRequestError(
                    field, "must be a whole number of at most 64 bits: send it as text"
                )
            return value
        case float():
            if not math.isfinite(value):
                raise InvalidRequestError(
                    field, f"must be a number that JSON has, not {value}: leave it out"
                )
            return value
        case Mapping():
            return {
                _key(field, key): as_json(f"{field}.{key}", each, _depth=_depth + 1)
                for key, each in value.items()
            }
        case list() | tuple():
            return [
                as_json(f"{field}[{at}]", each, _depth=_depth + 1) for at, each in enumerate(value)
            ]
        case _:
            raise InvalidRequestError(field, f"cannot be sent as JSON: {type(value).__name__}")


def _key(field: str, key: object) -> str:
    if not isinstance(key, str):
        raise InvalidRequestError(field, f"has a key that is no text: {key!r}")
    return checked_letters(field, key)
