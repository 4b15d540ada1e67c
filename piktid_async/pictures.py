"""Which picture format some bytes are, by their first ones."""

from __future__ import annotations

HEAD = 16
"""Bytes that are enough to tell."""

_BEGINNINGS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


def extension_of(head: bytes) -> str | None:
    """Return the usual extension without a dot; None when the bytes are no known picture."""
    for beginning, extension in _BEGINNINGS:
        if head.startswith(beginning):
            return extension
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return {b"avif": "avif", b"heic": "heic", b"mif1": "heic"}.get(head[8:12])
    return None
