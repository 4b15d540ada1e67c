"""`piktid sandbox`: the local server, until Ctrl-C."""

from __future__ import annotations

import asyncio
import shlex
import signal
from typing import TYPE_CHECKING

from rich.console import Console

from piktid_async.cli.errors import Trouble

if TYPE_CHECKING:
    from piktid_async.sandbox import Sandbox


def serve(
    *,
    host: str,
    port: int,
    token: str,
    limits: bool,
    seconds_per_image: float,
    console: Console,
) -> None:
    """Run a sandbox; Ctrl-C or a polite kill is its normal end."""
    from piktid_async.sandbox import Sandbox

    server = Sandbox(
        host=host, port=port, limits=limits, seconds_per_image=seconds_per_image, token=token
    )
    try:
        asyncio.run(_serve(server, console))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise Trouble(
            f"Cannot listen on {host}:{port} ({error.strerror or error}): choose another --port."
        ) from error


async def _serve(server: Sandbox, console: Console) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with server:
        console.print(
            f"Sandbox at {server.url}, token {server.token}. Ctrl-C stops it.\n\n"
            f"export PIKTID_BASE_URL={server.url}\n"
            f"export PIKTID_API_TOKEN={shlex.quote(server.token)}\n"
            f"export VTRYON_BASE_URL={server.vtryon_url}\n"
            f"export VTRYON_API_KEY={shlex.quote(server.vtryon_key)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        await stop.wait()
