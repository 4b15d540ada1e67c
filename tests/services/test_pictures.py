from __future__ import annotations

import pytest

from piktid_async.pictures import HEAD, extension_of


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "jpg"),
        (b"\xff\xd8\xff\xe1\x00\x10Exif", "jpg"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "png"),
        (b"GIF87a\x01\x00", "gif"),
        (b"GIF89a\x01\x00", "gif"),
        (b"II*\x00\x08\x00\x00\x00", "tif"),
        (b"MM\x00*\x00\x00\x00\x08", "tif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "webp"),
        (b"\x00\x00\x00\x1cftypavif", "avif"),
        (b"\x00\x00\x00\x1cftypheic", "heic"),
        (b"\x00\x00\x00\x1cftypmif1", "heic"),
    ],
)
def test_format_is_told_by_the_first_bytes(head: bytes, extension: str) -> None:
    assert extension_of(head[:HEAD]) == extension
    assert extension_of((head + bytes(100))[:HEAD]) == extension


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\xff\xd8",
        b"\x89PNG",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"RIFF",
        b"\x00\x00\x00\x1cftypmp42",
        b"<?xml version='1.0'?><Error/>",
        b"<html>",
        b'{"error": "no"}',
        b"%PDF-1.7",
        b"PK\x03\x04",
        bytes(16),
    ],
)
def test_what_is_no_picture_has_no_extension(head: bytes) -> None:
    assert extension_of(head[:HEAD]) is None
