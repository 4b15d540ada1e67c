"""What the options of `Faults` may be. Each error names the option, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

import attrs


def wrong(kind: type[Exception], field: str, rule: str, value: object, remedy: str) -> NoReturn:
    """Raise an error."""
    raise kind(f"Faults.{field} must be {rule}, not {value!r}: {remedy}")


def check_times(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow whole numbers from 0."""
    remedy = (
        f"say how often it happens, as in {field.name}=3, "
        f'or how likely it is, as in rates={{"{field.name}": 0.05}}'
    )
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(TypeError, field.name, "a whole number", value, remedy)
    if value < 0:
        wrong(ValueError, field.name, "0 or more", value, remedy)


def check_number(value: object, name: str, remedy: str) -> float:
    """Return a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        wrong(TypeError, name, "a number", value, remedy)
    return value


def check_seconds(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow seconds from 0."""
    remedy = "give seconds, as in 0.5"
    if not 0 <= check_number(value, field.name, remedy) < float("inf"):
        wrong(ValueError, field.name, "0 or more, and finite", value, remedy)


def check_optional_seconds(
    faults: object, field: attrs.Attribute[Any], value: float | None
) -> None:
    """Allow seconds from 0, and None."""
    if value is not None:
        check_seconds(faults, field, value)


def check_optional_count(_: object, field: attrs.Attribute[Any], value: int | None) -> None:
    """Allow whole numbers from 0, and None."""
    if value is None:
        return
    remedy = "give a number of events, or None for never"
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(TypeError, field.name, "a whole number or None", value, remedy)
    if value < 0:
        wrong(ValueError, field.name, "0 or more", value, remedy)


def check_positive(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow whole numbers from 1."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(TypeError, field.name, "a whole number", value, "give 1 or more")
    if value < 1:
        wrong(ValueError, field.name, "1 or more", value, "leave it out for the usual one")


def check_flag(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow truth values."""
    if not isinstance(value, bool):
        wrong(TypeError, field.name, "true or false", value, "give True or False")


def check_seed(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow whole numbers."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(TypeError, field.name, "a whole number", value, "give any, as in seed=7")


def check_statuses(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow lists of error statuses."""
    remedy = "give HTTP statuses, as in [503, 429]"
    if not isinstance(value, list | tuple) or not all(type(each) is int for each in value):
        wrong(TypeError, field.name, "a list of whole numbers", value, remedy)
    if not all(400 <= each <= 599 for each in value):
        wrong(ValueError, field.name, "statuses from 400 to 599", value, remedy)


def check_some_statuses(faults: object, field: attrs.Attribute[Any], value: Sequence[int]) -> None:
    """Allow lists of error statuses that are not empty."""
    check_statuses(faults, field, value)
    if not value:
        wrong(ValueError, field.name, "at least one status", value, "give one, as in [503]")


def known(name: object, names: Sequence[str], what: str) -> None:
    """Raise `ValueError` unless `name` is among `names`; say which may have been meant."""
    if name in names:
        return
    close = difflib.get_close_matches(str(name), names, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    raise ValueError(f"Faults has no fault {name!r} {what}: {remedy}")
