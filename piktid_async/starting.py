"""Ctrl-C while the command line still imports the package: it ends in silence, with 130.

Nothing was sent, and a traceback through the imports is news to nobody. A program of somebody
else's that imports the package keeps its own way.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType


def is_the_command_line(called: str, words: Sequence[str]) -> bool:
    """Tell from `sys.argv[0]` and `sys.orig_argv` whether `piktid` is being started."""
    if called == "-m":  # until Python has found the module
        return "-m" in words[:-1] and words[words.index("-m") + 1] == "piktid_async"
    return Path(called).stem == "piktid"


def begun() -> None:
    """Have Ctrl-C end the process at once, if it is the command line's and hears it at all."""
    if (
        is_the_command_line(sys.argv[0] if sys.argv else "", sys.orig_argv)
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _end)


def over() -> None:
    """Let Ctrl-C be an exception again."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)


begun()
