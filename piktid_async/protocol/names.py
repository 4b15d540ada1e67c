"""Names that somebody else chose, made fit to be a file's: one component, harmless everywhere."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 200
"""Bytes of UTF-8; file systems take 255, and what is added to a name must fit, too."""

_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])", re.IGNORECASE
)


def safe_name(name: str, otherwise: str) -> str:
    """Return the last component of a name without anything that a file system acts upon.

    No folder, no control or invisible character, no colon, no device of Windows, no dot or space
    at either end, `LONGEST` bytes at most with its extension kept. A name of which nothing is
    left becomes `otherwise`.
    """
    # One form for what looks the same, before anything is looked for in it.
    last = unicodedata.normalize("NFKC", name).replace("\\", "/").rstrip("/ .").rpartition("/")[2]
    visible = "".join(each for each in last if unicodedata.category(each)[0] != "C")
    plain = _FORBIDDEN.sub("_", visible).strip(" .")
    if _is_device(plain):
        plain = f"_{plain}"
    return _shortened(plain) or otherwise


def leads_astray(path: str) -> bool:
    """Whether a path within an archive leads out of the folder it is unpacked to, or to a device.

    Names that are merely odd are let pass: the pictures behind them are paid for.
    """
    parts = path.split("/")
    return (
        path.startswith("/")
        or "\\" in path
        or path[1:2] == ":"
        or any(part == ".." or _is_device(part) for part in parts)
        or any(unicodedata.category(letter) == "Cc" for letter in path)
    )


def _is_device(name: str) -> bool:
    return _DEVICE.fullmatch(name.partition(".")[0].strip()) is not None


def _shortened(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension if len(extension) <= 8 else ""
    kept = (stem if ending else name).encode()[: LONGEST - len(ending.encode())]
    return kept.decode(errors="ignore").rstrip(" .") + ending
