"""JSON from somebody else: bounded in depth and in number of values, whoever sent it."""

from __future__ import annotations

from typing import Final

import orjson

from piktid_async.errors import ResponseFormatError
from piktid_async.types import DEEPEST, Json

MAX_VALUES: Final = 1_000_000
"""Values in one text. Each takes some hundred bytes of memory, and two of the text."""

_Text = bytes | str
# As a number, which is looked for many times faster than a byte string of one.
LIST: Final = ord("[")
SHORT: Final = 5 * DEEPEST
"""Bytes in which objects cannot be too deep: one in another takes five more at least, `{"":}`."""


def parsed(call: str, text: _Text) -> Json:
    """Return the value; raise `ResponseFormatError` for what is no JSON, or absurdly large or deep.

    The bounds are `MAX_VALUES` and `DEEPEST`. How long the text may be is the reader's business.
    """
    # Texts count, too, with the commas in them: an answer that is not absurd has far fewer.
    if len(text) > MAX_VALUES and _count(text, ",[{") > MAX_VALUES:
        raise ResponseFormatError(call, f"more than {MAX_VALUES} values")
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ResponseFormatError(call, f"not JSON ({error.msg})") from None
    if _count(text, "[{") > DEEPEST and _deeper(value, DEEPEST):
        raise ResponseFormatError(call, f"more than {DEEPEST} lists or objects in one another")
    return value


def is_modest(text: bytes) -> bool:
    """Return whether a text is certainly within the bounds; as good as free for a short one."""
    if len(text) <= SHORT and LIST not in text:
        return True
    return len(text) <= MAX_VALUES and text.count(b"{") + text.count(b"[") <= DEEPEST


def _count(text: _Text, marks: str) -> int:
    if isinstance(text, str):
        return sum(text.count(mark) for mark in marks)
    return sum(text.count(mark.encode()) for mark in marks)


def _deeper(value: Json, most: int) -> bool:
    """Return whether more than `most` are in one another, without going down one by one."""
    level: list[Json] = [value]
    for _ in range(most):
        below: list[Json] = []
        for each in level:
            if isinstance(each, list):
                below += each
            elif isinstance(each, dict):
                below += each.values()
        level = [each for each in below if isinstance(each, list | dict)]
        if not level:
            return False
    return True
