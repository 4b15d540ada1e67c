"""What the options of `Faults` may be. Each error names the option, the rule and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, Self, SupportsIndex

import attrs

LARGEST = 1 << 30
"""Bytes; it is sent in one piece."""


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


def check_size(faults: object, field: attrs.Attribute[Any], value: int) -> None:
    """Allow bytes from 1 to a gigabyte."""
    check_positive(faults, field, value)
    if value > LARGEST:
        wrong(ValueError, field.name, f"at most {LARGEST} bytes", value, "it is made in memory")


def check_flag(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow truth values."""
    if not isinstance(value, bool):
        wrong(TypeError, field.name, "true or false", value, "give True or False")


def check_seed(_: object, field: attrs.Attribute[Any], value: object) -> None:
    """Allow whole numbers."""
    if isinstance(value, bool) or not isinstance(value, int):
        wrong(TypeError, field.name, "a whole number", value, "give any, as in seed=7")


def _check_statuses(name: str, value: object) -> None:
    remedy = "give HTTP statuses, as in [503, 429]"
    if not isinstance(value, list | tuple) or not all(type(each) is int for each in value):
        wrong(TypeError, name, "a list of whole numbers", value, remedy)
    if not all(400 <= each <= 599 for each in value):
        wrong(ValueError, name, "statuses from 400 to 599", value, remedy)


class Statuses(list[int]):
    """`Faults.submit_status`: error statuses, and nothing else can be put in."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        _check_statuses("submit_status", statuses)
        super().__init__(statuses)

    def append(self, status: int) -> None:
        """Add one."""
        self[len(self) :] = [status]

    def extend(self, statuses: Iterable[int]) -> None:
        """Add several."""
        self[len(self) :] = statuses

    def insert(self, at: SupportsIndex, status: int) -> None:
        """Put one in before another."""
        self[at:at] = [status]

    def __iadd__(self, statuses: Iterable[int]) -> Self:  # type: ignore[misc,override]
        """Add several."""
        self.extend(statuses)
        return self

    def __setitem__(self, at: Any, value: Any) -> None:
        """Put one, or several, in the place of others."""
        several = list(value) if isinstance(at, slice) else [value]
        _check_statuses("submit_status", several)
        super().__setitem__(at, several if isinstance(at, slice) else value)


def check_some_statuses(_: object, field: attrs.Attribute[Any], value: Sequence[int]) -> None:
    """Allow lists of error statuses that are not empty."""
    _check_statuses(field.name, value)
    if not value:
        wrong(ValueError, field.name, "at least one status", value, "give one, as in [503]")


def known(name: object, names: Sequence[str], what: str) -> None:
    """Raise `ValueError` unless `name` is among `names`; say which may have been meant."""
    if name in names:
        return
    close = difflib.get_close_matches(str(name), names, n=1)
    remedy = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
    raise ValueError(f"Faults has no fault {name!r} {what}: {remedy}")
