"""What the words of a request ask for."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from piktid_async.sandbox.imaging.colors import Lab, color_from_hash, parse_color
from piktid_async.sandbox.imaging.spaces import linear_from_oklab, srgb_from_oklab

Rgb8 = tuple[int, int, int]

_WORD = re.compile(r"[a-z0-9]+")


def text_of(value: Any) -> str:
    """Return the words of a Design Value: a text, the index of a saved one, or an object."""
    if isinstance(value, dict):
        return " ".join(str(part) for name, part in value.items() if part and name != "image")
    if isinstance(value, int):
        return f"design value {value}"
    return value or ""


def words_of(*texts: str | None) -> set[str]:
    """Return the words of texts in lower case; of plurals, the singular too."""
    found = {word for text in texts for word in _WORD.findall((text or "").lower())}
    return found | {word.removesuffix("s") for word in found}


def first_match(words: Iterable[str], table: dict[str, str]) -> str | None:
    """Return what the table makes of the first of its keys that is among the words."""
    given = set(words)
    return next((meaning for word, meaning in table.items() if word in given), None)


def color_of(text: str, *, otherwise: Rgb8 | None = None) -> Rgb8:
    """Return the colour that a text names; without one, `otherwise` or one made from its words."""
    found = parse_color(text) if text else None
    if found is None:
        return otherwise if otherwise is not None else rgb8(color_from_hash(text))
    return rgb8(found)


def rgb8(color: Lab) -> Rgb8:
    """Convert OKLab to sRGB bytes."""
    red, green, blue = np.rint(srgb_from_oklab(np.array(color, np.float32))).astype(int).tolist()
    return red, green, blue


def linear(color: Lab) -> tuple[float, float, float]:
    """Convert OKLab to linear RGB."""
    red, green, blue = linear_from_oklab(np.array(color, np.float32)).tolist()
    return red, green, blue


def seed_of(*parts: object) -> int:
    """Make a seed from anything with a text; the same parts give the same seed."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8])
