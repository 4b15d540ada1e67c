"""Files under their final names: whole, on the disk, and never in the place of something else.

What is written is synchronised before it gets its name: a file system may put the name on the
disk first, and a power cut then leaves an empty file that looks finished. That costs
milliseconds a file, in a thread, where the download took longer. The folder is not: a name that
a power cut undoes is a file that is not there, and is fetched again.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from piktid_async.errors import InvalidRequestError

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def checked_path(field: str, path: str | os.PathLike[str]) -> Path:
    """Return a path that a file system can have; raise `InvalidRequestError` for another."""
    checked = Path(path)
    try:
        found = b"\0" in os.fsencode(checked)
    except UnicodeEncodeError:
        found = True
    if found:
        raise InvalidRequestError(
            field, f"holds letters that no file name has: {str(checked)[:100]!r}"
        )
    return checked


def make_folder(directory: Path) -> None:
    """Make a folder, and those above it, where they are missing."""
    directory.mkdir(parents=True, exist_ok=True)


def create(part: Path) -> int:
    """Create a file anew, and return its descriptor; a link of that name is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(part, flags, 0o666)
    except FileExistsError:
        part.unlink()
        return os.open(part, flags, 0o666)


def settle(path: Path) -> None:
    """Wait until a finished file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace(part: Path, target: Path) -> None:
    """Give the file its name, in the place of a file or link of that name, but of nothing else.

    Atomic: whoever opens the name gets the old file or the new one. Raises `OSError`.
    """
    try:
        kind = stat.S_IFMT(target.lstat().st_mode)
    except FileNotFoundError:
        kind = stat.S_IFREG
    if kind not in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR):
        # As root, a rename puts a file in the place of /dev/null.
        raise OSError(errno.EINVAL, "Is a device or socket, not a file", str(target))
    part.replace(target)


def place(part: Path, target: Path) -> bool:
    """Give the file a name that is free; False if it is taken, by whatever and whomever.

    Atomic between processes: of two, one gets the name. Raises `OSError`.
    """
    try:
        target.hardlink_to(part)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return _reserve(part, target)
    return True


def _reserve(part: Path, target: Path) -> bool:
    # A file system without hard links: an empty file keeps the name for a moment.
    try:
        target.open("xb").close()
    except FileExistsError:
        return False
    part.replace(target)
    return True
