"""A command on a terminal: a real pseudo-terminal, and an emulator that reads what it shows."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import sys
import termios
from typing import Any

import pyte

from tests.cli.support import environment, hear_interrupts


async def on_terminal(
    *args: Any, columns: int, lines: int, stdout: int | None = None, **env: str
) -> tuple[int, list[str]]:
    """Run Python so; return the exit code, and all lines that scrolling back shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=1)
    stream = pyte.ByteStream(screen)
    known = environment(TERM="xterm-256color", **env)
    for name in ("COLUMNS", "LINES"):  # the terminal tells its size
        known.pop(name, None)
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def receive() -> None:
        try:
            data = os.read(ours, 65536)
        except OSError:  # Linux: the last one has closed the other side
            data = b""
        if data:
            stream.feed(data)
        else:
            loop.remove_reader(ours)
            closed.set()

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *map(str, args)),
        env=known,
        preexec_fn=hear_interrupts,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
    )
    os.close(theirs)
    loop.add_reader(ours, receive)
    try:
        async with asyncio.timeout(60):
            await closed.wait()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
    above = ("".join(line[x].data for x in range(columns)).rstrip() for line in screen.history.top)
    return code, [*above, *(line.rstrip() for line in screen.display)]
