"""Turn words, hex codes and swatches into a target colour.

Colours are OKLab triples. Words are matched longest first, so "royal blue" is not "blue".
"""

import colorsys
import hashlib
import re
from collections.abc import Iterator

import attrs
from PIL import ImageColor

from piktid_async.sandbox.imaging.names import DETAILS, FASHION, GARMENTS, MODIFIERS
from piktid_async.sandbox.imaging.spaces import oklab_of

Lab = tuple[float, float, float]

_WORD = re.compile(r"#[0-9a-f]+|[a-z0-9]+")
_RGB = re.compile(r"rgb\s*\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)")
_BARE_HEX = re.compile(r"(?=[a-f]*[0-9])[0-9a-f]{6}")
_TOWARDS = frozenset(["to", "into", "become", "becomes", "as"])
_REFUSED = frozenset(["from", "of", "not", "no", "replace", "replacing", "without", "keep"])
_POINTING = frozenset(["the", "this", "that", "these", "my", "our"])


def _code_of(name: str) -> str:
    return name.replace(" ", "").replace("grey", "gray")


_CODES = {name: str(code) for name, code in ImageColor.colormap.items()} | {
    _code_of(name): code for name, code in FASHION.items()
}
_LONGEST = 3


@attrs.frozen
class _Found:
    """A colour in a text, by the words it spans."""

    color: Lab
    first: int
    end: int


def parse_color(text: str) -> Lab | None:
    """Find the colour a text asks for, or None if it names none.

    Of several, the one after "to" or "into" wins, then the first that is not said to be the
    present colour ("the white shirt", "instead of red") or that of a detail.
    """
    lowered = text.lower()
    if match := _RGB.search(lowered):
        red, green, blue = (min(255, int(value)) for value in match.groups())
        return oklab_of((red, green, blue))
    words = _WORD.findall(lowered)
    found = list(_colors_in(words))
    if not found:
        return None
    return min(found, key=lambda item: (_rank(words, item), item.first)).color


def without_color_names(text: str) -> str:
    """Leave out colour names of several words: a "forest green" coat is in no forest."""
    words = _WORD.findall(text.lower())
    kept = list(words)
    for found in _colors_in(words):
        if found.end - found.first > 1:
            kept[found.first : found.end] = [""] * (found.end - found.first)
    return " ".join(kept)


def color_from_hash(text: str) -> Lab:
    """Derive a pleasant colour from a text without one; the same text gives the same colour."""
    digest = hashlib.sha256(" ".join(text.lower().split()).encode()).digest()
    red, green, blue = colorsys.hls_to_rgb(
        digest[0] / 256, 0.34 + 0.22 * digest[1] / 255, 0.35 + 0.3 * digest[2] / 255
    )
    return oklab_of((round(red * 255), round(green * 255), round(blue * 255)))


def _colors_in(words: list[str]) -> Iterator[_Found]:
    position = 0
    while position < len(words):
        found = _color_at(words, position)
        if found is None:
            position += 1
        else:
            yield found
            position = found.end


def _color_at(words: list[str], first: int) -> _Found | None:
    for length in range(min(_LONGEST, len(words) - first), 0, -1):
        code = _lookup("".join(words[first : first + length]), alone=len(words) == 1)
        if code is not None:
            color = oklab_of(_rgb(code))
            return _Found(color, first, first + length)
    change = MODIFIERS.get(words[first])
    if change is None or first + 1 == len(words):
        return None
    base = _color_at(words, first + 1)
    return base and _Found(_modified(base.color, *change), first, base.end)


def _lookup(word: str, *, alone: bool) -> str | None:
    if word.startswith("#"):
        return word if len(word) in (4, 7) else None
    if _BARE_HEX.fullmatch(word) or (alone and re.fullmatch(r"[0-9a-f]{6}|[0-9a-f]{3}", word)):
        return "#" + word
    return _CODES.get(word.replace("grey", "gray"))


def _rgb(code: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(code)[:3]
    return red, green, blue


def _modified(color: Lab, lighter: float, chroma: float) -> Lab:
    light, a, b = color
    return min(0.97, max(0.15, light + lighter)), a * chroma, b * chroma


def _rank(words: list[str], item: _Found) -> int:
    before = words[item.first - 1] if item.first else ""
    earlier = words[item.first - 2] if item.first > 1 else ""
    after = words[item.end] if item.end < len(words) else ""
    if before in _REFUSED or earlier in _REFUSED or after in DETAILS:
        return 3
    if before in _TOWARDS or (earlier in _TOWARDS and before in ("a", "an")):
        return 0
    if after in GARMENTS and before in _POINTING:
        return 2
    return 1
