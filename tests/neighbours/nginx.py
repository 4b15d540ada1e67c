"""nginx as a reverse proxy in front of the sandbox, with a configuration and ports of its own."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from tests.transport.servers import free_port

PROGRAM = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

_CONFIG = """
{user}
daemon off;
worker_processes 2;
worker_shutdown_timeout 200ms;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    access_log off;
    {temporary}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    {directives}
    server {{
        listen 127.0.0.1:{api_port};
        location / {{ proxy_pass {api}; }}
    }}
    server {{
        listen 127.0.0.1:{storage_port};
        location / {{ proxy_pass {storage}; }}
    }}
}}
"""


@attrs.define(eq=False)
class Nginx:
    """One instance; may be stopped, killed and started again on the same ports."""

    folder: Path
    api_port: int
    storage_port: int
    log: list[str] = attrs.field(factory=list)
    _process: Process | None = None
    _reading: asyncio.Task[None] | None = None
    _changed: asyncio.Condition = attrs.field(factory=asyncio.Condition)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def storage(self) -> str:
        return f"http://127.0.0.1:{self.storage_port}"

    def configure(self, api: str, storage: str, directives: str) -> None:
        """Write the configuration."""
        places = [f"{name}_temp_path {self.folder}/{name};" for name in _FOLDERS]
        # Started by root, the workers would be somebody else, who may not write here.
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        text = _CONFIG.format(
            user=user,
            folder=self.folder,
            temporary="\n    ".join(places),
            directives=directives,
            api=api,
            storage=storage,
            api_port=self.api_port,
            storage_port=self.storage_port,
        )
        (self.folder / "nginx.conf").write_text(text)

    async def start(self) -> None:
        """Start it, and return once it serves."""
        workers = self._logged("start worker process ")
        self._process = await self._run()
        assert self._process.stderr is not None
        self._reading = asyncio.create_task(self._read(self._process.stderr))
        await self.until("start worker process ", workers + 2)

    async def reload(self) -> None:
        """Let new workers take over; return when the old ones have gone, with their streams."""
        exited = self._logged("exited with code 0")
        signalling = await self._run("-s", "reload")
        await signalling.communicate()
        await self.until("exited with code 0", exited + 2)

    async def kill(self) -> None:
        """End the master and its workers as `kill -9` does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        await self._gone(self._process)

    async def stop(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None:
            self._process.terminate()
            await self._gone(self._process)

    async def until(self, words: str, times: int, seconds: float = 10.0) -> None:
        """Wait until the log holds these words so often."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self._logged(words) >= times)

    async def _gone(self, process: Process) -> None:
        assert self._reading is not None
        await process.wait()
        await self._reading  # the pipe ends with the last worker
        self._process = None

    def _logged(self, words: str) -> int:
        return sum(words in line for line in self.log)

    async def _run(self, *arguments: str) -> Process:
        assert PROGRAM is not None
        config = self.folder / "nginx.conf"
        return await asyncio.create_subprocess_exec(
            PROGRAM, "-e", "stderr", "-p", self.folder, "-c", config, *arguments,
            stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, start_new_session=True,
        )  # fmt: skip

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            self.log.append(line.decode())
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def nginx(folder: Path, api: str, storage: str, directives: str) -> AsyncIterator[Nginx]:
    """Run nginx in front of both origins."""
    running = Nginx(folder, free_port(), free_port())
    running.configure(api, storage, directives)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()
