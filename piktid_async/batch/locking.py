"""One process at a time, by a lock that the system takes back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from piktid_async.errors import ConfigurationError


class FileLock:
    """An exclusive lock on a file beside the one that it guards."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock; raises `ConfigurationError` that names the process that has it."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise ConfigurationError(
                f"{self._path.name.removesuffix('.lock')} is used by another program (process "
                f"{holder}): wait for it, or choose another journal"
            ) from None
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
        self._fd = fd

    def free(self) -> None:
        """Give the lock back. The file stays: to remove it would let two processes in."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
