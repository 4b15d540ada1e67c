"""ZIP files of the service: looked through before they are kept, and put together.

Nothing is unpacked to disk here, but whoever unpacks what we keep trusts us. An archive that
would do harm is an error, and not mended: it is not what the service makes.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from piktid_async.errors import DownloadError
from piktid_async.protocol.names import leads_astray, safe_name

MAX_ENTRIES: Final = 10_000
"""Files in one archive; the service packs a hundred images."""
MAX_ENTRY: Final = 512 << 20
"""Bytes of one file, unpacked."""
MAX_RATIO: Final = 100
"""Bytes unpacked for each packed one, of one file and of the whole. Images are packed already."""
MAX_DIRECTORY: Final = 64 << 20
"""Bytes of the table of contents, which is read at once."""

_BLOCK = 1 << 20
_SMALL = 1 << 20
"""Bytes up to which a ratio says nothing: a plain picture packs well."""


def check(path: Path, label: str) -> None:
    """Raise `DownloadError` for an archive that is broken or would do harm to who unpacks it."""
    with _opened(path, label) as packed:
        for entry in _entries(packed, path.stat().st_size):
            if leads_astray(entry.filename):
                raise zipfile.BadZipFile(f"unsafe name {entry.filename[:100]!r}")


def join(
    parts: Iterable[Path],
    whole: Path,
    label: str,
    stopped: Callable[[], bool] = lambda: False,
    *,
    known: Collection[str] = (),
) -> None:
    """Put archives together in one, each in a folder of its name, until it is stopped.

    What is in a `known` folder of its archive stays in that.
    """
    taken: set[str] = set()
    with zipfile.ZipFile(whole, "x", zipfile.ZIP_STORED) as joined:
        for part in parts:
            with _opened(part, label) as packed:
                for entry in _entries(packed, part.stat().st_size):
                    if stopped():
                        return
                    if entry.is_dir():
                        continue
                    names = _safe_parts(entry.filename)
                    if len(names) == 1 or names[0] not in known:
                        names = [part.stem, *names]
                    name = _free("/".join(names), taken)
                    # Of unknown size: it may have more than four gigabytes, for all we know.
                    with packed.open(entry) as source, joined.open(name, "w") as copy:
                        _copy(source, copy, entry.file_size)


@contextmanager
def _opened(path: Path, label: str) -> Iterator[zipfile.ZipFile]:
    try:
        with _Wary(io.FileIO(path)) as file, zipfile.ZipFile(file) as packed:
            yield packed
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        # The last two: packed in a way, or under a password, that no image of ours is.
        raise DownloadError(label, f"the ZIP file is no good ({error})") from None


class _Wary(io.BufferedReader):
    """A file of which nobody reads absurdly much at once."""

    def read(self, size: int | None = -1, /) -> bytes:
        most = MAX_DIRECTORY + 1
        data = super().read(most if size is None or size < 0 else min(size, most))
        if len(data) == most:
            raise zipfile.BadZipFile("its table of contents is too long")
        return data


def _entries(packed: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """Return the entries, of which nothing but the bytes is left to be checked."""
    entries = packed.infolist()
    if len(entries) > MAX_ENTRIES:
        raise zipfile.BadZipFile(f"more than {MAX_ENTRIES} files")
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise zipfile.BadZipFile("a link or device in it")
        if entry.flag_bits & 1:
            raise zipfile.BadZipFile("a file under a password in it")
        if entry.file_size > MAX_ENTRY:
            raise zipfile.BadZipFile(f"a file longer than {MAX_ENTRY} bytes in it")
        _check_ratio(entry.file_size, entry.compress_size)
    # Entries may share their packed bytes, so that each looks harmless.
    _check_ratio(sum(entry.file_size for entry in entries), size)
    return entries


def _check_ratio(unpacked: int, packed: int) -> None:
    if unpacked > max(_SMALL, MAX_RATIO * packed):
        raise zipfile.BadZipFile(f"it unpacks to more than {MAX_RATIO} times its size")


def _copy(source: IO[bytes], copy: IO[bytes], announced: int) -> None:
    received = 0
    while block := source.read(_BLOCK):
        received += len(block)
        if received > announced:
            raise zipfile.BadZipFile("a file is longer than it says")
        copy.write(block)
    if received != announced:
        raise zipfile.BadZipFile("a file is shorter than it says")


def _safe_parts(name: str) -> list[str]:
    return [
        safe_name(part, "unnamed")
        for part in name.replace("\\", "/").split("/")
        if part not in ("", ".", "..")
    ] or ["unnamed"]


def _free(name: str, taken: set[str]) -> str:
    """Return the name, numbered if one that differs in case alone, or not at all, is taken."""
    folder, _, last = name.rpartition("/")
    stem, dot, extension = last.rpartition(".") if "." in last else (last, "", "")
    chosen, number = name, 1
    while chosen.casefold() in taken:
        number += 1
        chosen = f"{folder}/{stem}-{number}{dot}{extension}"
    taken.add(chosen.casefold())
    return chosen
