"""ZIP files are looked through before they are kept: bounds, links, names."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from piktid_async import DownloadError, archives
from piktid_async.archives import check, join
from tests.security.service import hostile, sending
from tests.transport.servers import PNG


def packed(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return written.getvalue()


def special(kind: int) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        entry = zipfile.ZipInfo("0_0_v0.png")
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return written.getvalue()


def patched(archive: bytes, *fields: tuple[bytes, int, str, int]) -> bytes:
    """Lie in a header: (its mark, offset in it, format, value)."""
    changed = bytearray(archive)
    for mark, offset, form, value in fields:
        struct.pack_into(form, changed, changed.rindex(mark) + offset, value)
    return bytes(changed)


GOOD = packed(("0_0_v0.png", PNG))
CENTRAL, END = b"PK\x01\x02", b"PK\x05\x06"

BAD: dict[str, tuple[bytes, str]] = {
    "climbing name": (packed(("../evil.sh", PNG)), "unsafe name"),
    "absolute name": (packed(("/etc/cron.d/evil", PNG)), "unsafe name"),
    "backslashes": (packed(("..\\evil.sh", PNG)), "unsafe name"),
    "drive": (packed(("C:evil.sh", PNG)), "unsafe name"),
    "device": (packed(("a/CON.jpg", PNG)), "unsafe name"),
    "control characters": (packed(("a\x1b[31m.jpg", PNG)), "unsafe name"),
    "link": (special(stat.S_IFLNK), "a link or device in it"),
    "block device": (special(stat.S_IFBLK), "a link or device in it"),
    "bomb": (packed(("a.png", bytes(64 << 20))), "unpacks to more than 100 times its size"),
    "many small bombs": (
        packed(*((f"{number}.png", bytes(1 << 20)) for number in range(40))),
        "unpacks to more than 100 times its size",
    ),
    "password": (patched(GOOD, (CENTRAL, 8, "<H", 1)), "under a password"),
    "huge by its own word": (patched(GOOD, (CENTRAL, 24, "<I", 1 << 31)), "longer than"),
    "endless table of contents": (
        patched(GOOD, (END, 12, "<I", 1 << 30)),
        "the ZIP file is no good",
    ),
    "cut": (GOOD[:-30], "the ZIP file is no good"),
    "garbage": (b"PK\x03\x04" + bytes(500), "the ZIP file is no good"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_zip_that_would_do_harm_is_not_kept(tmp_path: Path, name: str) -> None:
    body, words = BAD[name]
    (tmp_path / "all.zip").write_bytes(b"old")
    async with hostile({"storage:/": sending(body)}) as running:
        with pytest.raises(DownloadError, match=words) as raised:
            await running.job().download_zip(tmp_path / "all.zip")
    assert "ZIP of job j" in str(raised.value)
    assert (tmp_path / "all.zip").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["all.zip"]


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        packed(),
        packed(
            ("j/", b""), ("j/0_0_v0.png", PNG), ("j/été.jpg", PNG), ("e\u0301: ?" + 200 * "x", PNG)
        ),
    ],
)
async def test_a_zip_of_images_is_kept_byte_for_byte(tmp_path: Path, body: bytes) -> None:
    async with hostile({"storage:/": sending(body)}) as running:
        await running.job().download_zip(tmp_path / "all.zip")
    assert (tmp_path / "all.zip").read_bytes() == body


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 3)
    for count, fits in ((3, True), (4, False)):
        path = tmp_path / f"{count}.zip"
        path.write_bytes(packed(*((f"{number}.png", PNG) for number in range(count))))
        if fits:
            check(path, "ZIP")
        else:
            with pytest.raises(DownloadError, match="more than 3 files"):
                check(path, "ZIP")


def test_the_table_of_contents_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read at once, and may be as long as the archive itself."""
    path = tmp_path / "all.zip"
    path.write_bytes(packed(*((f"{number:0150}.png", b"") for number in range(100))))
    check(path, "ZIP")
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 15_000)
    with pytest.raises(DownloadError, match="its table of contents is too long"):
        check(path, "ZIP")


def written(folder: Path, *archives: bytes) -> list[Path]:
    paths = [folder / f"part-{number}.zip" for number, _ in enumerate(archives, 1)]
    for path, archive in zip(paths, archives, strict=True):
        path.write_bytes(archive)
    return paths


def test_parts_are_put_together_under_safe_names_each_once(tmp_path: Path) -> None:
    first = packed(("a/0.png", PNG), ("a\\0.png", b"two"), ("../a/0.PNG", b"three"))
    second = packed(("/NUL", b"four"), ("..", b"five"), ("x/", b""))
    join(written(tmp_path, first, second), tmp_path / "whole.zip", "ZIP")
    with zipfile.ZipFile(tmp_path / "whole.zip") as whole:
        assert {name: whole.read(name) for name in whole.namelist()} == {
            "part-1/a/0.png": PNG,
            "part-1/a/0-2.png": b"two",
            "part-1/a/0-3.PNG": b"three",
            "part-2/_NUL": b"four",
            "part-2/unnamed": b"five",
        }
    check(tmp_path / "whole.zip", "ZIP")


LIES: dict[str, Callable[[bytes], bytes]] = {
    "shorter than it says": lambda archive: patched(archive, (CENTRAL, 24, "<I", len(PNG) + 1)),
    "longer than it says": lambda archive: patched(archive, (CENTRAL, 24, "<I", len(PNG) - 1)),
    "another checksum": lambda archive: patched(archive, (CENTRAL, 16, "<I", 1)),
    "broken packing": lambda archive: archive.replace(archive[60:90], bytes(30)),
    "an unknown packing": lambda archive: patched(archive, (CENTRAL, 10, "<H", 99)),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_entry_that_is_not_what_it_says_fails_the_joining(tmp_path: Path, lie: str) -> None:
    parts = written(tmp_path, LIES[lie](GOOD))
    with pytest.raises(DownloadError, match="the ZIP file is no good"):
        join(parts, tmp_path / "whole.zip", "ZIP")
