"""Reads the fields of a JSON object one by one, and gathers what is wrong with them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from piktid_async.sandbox.answers import JsonObject, invalid, problem

MISSING = "Missing data for required field."


class Fields:
    """The fields of one object; those of objects within it report to the same list."""

    def __init__(
        self, body: JsonObject, *, path: str = "", problems: list[JsonObject] | None = None
    ) -> None:
        self._body = body
        self._path = path
        self.problems: list[JsonObject] = [] if problems is None else problems

    def raise_problems(self) -> None:
        """Raise the 400 that names every malformed field, if there is one."""
        if self.problems:
            raise invalid(*self.problems)

    def required_text(self, name: str) -> str:
        """Read a text that must be there."""
        value = self._body.get(name)
        if isinstance(value, str) and value:
            return value
        self.wrong(name, MISSING if value is None or value == "" else "Not a valid string.")
        return ""

    def text(self, name: str) -> str | None:
        """Read a text; an empty one counts as none."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, str):
            self.wrong(name, "Not a valid string.")
            return None
        return value or None

    def required_choice(self, name: str, allowed: Collection[str]) -> str:
        """Read one of a few words that must be there."""
        value = self.required_text(name)
        if value and value not in allowed:
            self.wrong(name, f"Must be one of: {', '.join(allowed)}.")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str | None = None) -> str | None:
        """Read one of a few words."""
        value = self.text(name)
        if value is None:
            return default
        if value not in allowed:
            self.wrong(name, f"Must be one of: {', '.join(allowed)}.")
            return default
        return value

    def texts(self, name: str, *, most: int | None, required: bool = True) -> list[str]:
        """Read a list of texts, not an empty one if it is required."""
        value = self._items(name, required=required)
        if not all(isinstance(item, str) for item in value):
            self.wrong(name, "Must be a list of strings.")
            return []
        return self._counted(name, value, most=most, required=required)

    def images(self, name: str, *, most: int) -> list[tuple[str, str | None]]:
        """Read file ids, each alone or as `{file_id, note?}`."""
        value = self._counted(name, self._items(name, required=True), most=most, required=True)
        return [self._image(f"{name}.{index}", item) for index, item in enumerate(value)]

    def flag(self, name: str, *, default: bool) -> bool:
        """Read a boolean."""
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, "Not a valid boolean.")
            return default
        return value

    def number(self, name: str, default: int, allowed: range | list[int]) -> int:
        """Read a whole number with a default."""
        found = self.whole(name)
        if found is None:
            return default
        if found not in allowed:
            self.wrong(name, _rule(allowed))
            return default
        return found

    def whole(self, name: str) -> int | None:
        """Read any whole number."""
        value = self._body.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            self.wrong(name, "Not a valid integer.")
            return None
        return value

    def design(self, name: str, parts: Collection[str] = ()) -> str | int | JsonObject | None:
        """Read a Design Value: a text, the index of a saved one, or `{text, image}`."""
        value = self._body.get(name)
        if isinstance(value, dict):
            inner = self.inner(name)
            for part in ("text", "image", *parts):
                inner.text(part)
        elif value is not None and (not isinstance(value, str | int) or isinstance(value, bool)):
            self.wrong(name, "Must be a string, an integer or an object.")
            return None
        return value or None if isinstance(value, str) else value

    def inner(self, name: str) -> Fields:
        """Read an object within this one; one that is not there has no fields."""
        value = self._body.get(name)
        if value is not None and not isinstance(value, dict):
            self.wrong(name, "Not a valid object.")
        body = value if isinstance(value, dict) else {}
        return Fields(body, path=f"{self._path}{name}.", problems=self.problems)

    def objects(self, name: str, *, most: int | None, required: bool) -> list[Fields]:
        """Read a list of objects, not an empty one if it is required."""
        value = self._items(name, required=required)
        if not all(isinstance(item, dict) for item in value):
            self.wrong(name, "Must be a list of objects.")
            return []
        counted = self._counted(name, value, most=most, required=required)
        return [
            Fields(item, path=f"{self._path}{name}.{index}.", problems=self.problems)
            for index, item in enumerate(counted)
        ]

    def wrong(self, name: str, message: str) -> None:
        """Note what is wrong with a field."""
        self.problems.append(problem(f"{self._path}{name}", message))

    def _items(self, name: str, *, required: bool) -> list[Any]:
        value = self._body.get(name)
        if value is None:
            if required:
                self.wrong(name, MISSING)
            return []
        if not isinstance(value, list):
            self.wrong(name, "Not a valid list.")
            return []
        if required and not value:
            self.wrong(name, "Must not be empty.")
        return value

    def _counted(
        self, name: str, value: list[Any], *, most: int | None, required: bool
    ) -> list[Any]:
        if most is not None and len(value) > most:
            self.wrong(name, f"Length must be between {int(required)} and {most}.")
            return []
        return value

    def _image(self, name: str, item: object) -> tuple[str, str | None]:
        if isinstance(item, str):
            return item, None
        if not isinstance(item, dict):
            self.wrong(name, "Must be a string or an object with a file_id.")
            return "", None
        inner = Fields(item, path=f"{self._path}{name}.", problems=self.problems)
        return inner.required_text("file_id"), inner.text("note")


def _rule(allowed: range | list[int]) -> str:
    if isinstance(allowed, range):
        return f"Must be between {allowed[0]} and {allowed[-1]}."
    return f"Must be one of: {', '.join(map(str, allowed))}."
