"""`piktid sandbox`: the local server, until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from piktid_async.cli.errors import Trouble
from piktid_async.cli.framing import tell

if TYPE_CHECKING:
    from piktid_async.sandbox import Faults, Sandbox

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")


def serve(
    *,
    host: str,
    port: int,
    token: str,
    limits: bool,
    seconds_per_image: float,
    drawing: bool,
    state: Path | None,
    faults: Iterable[str],
    console: Console,
    as_json: bool = False,
) -> None:
    """Run a sandbox; Ctrl-C or a polite kill is its normal end."""
    from piktid_async.sandbox import Sandbox
    from piktid_async.sandbox.ledger import StateError

    server = Sandbox(
        host=host,
        port=port,
        limits=limits,
        seconds_per_image=seconds_per_image,
        render=drawing,
        token=token,
        state=state,
        faults=_asked(faults),
    )
    try:
        asyncio.run(_serve(server, console, as_json=as_json))
    except KeyboardInterrupt:
        pass
    except StateError as error:
        raise Trouble(str(error)) from error
    except OSError as error:
        raise Trouble(
            f"Cannot listen on {host}:{port} ({error.strerror or error}): choose another --port."
        ) from error


def _asked(faults: Iterable[str]) -> Faults:
    """Read `NAME=VALUE`; a percentage is a probability."""
    from piktid_async.sandbox import Faults

    asked: dict[str, Any] = {}
    rates: dict[str, float] = {}
    for each in faults:
        name, sign, text = each.partition("=")
        if not sign:
            raise Trouble(f"--fault {each}: give NAME=VALUE, such as acks_fail=3 or acks_fail=5%.")
        if percent := _PERCENT.fullmatch(text):
            rates[name] = float(percent[1]) / 100
        else:
            asked[name] = _value(text)
    found = Faults()
    try:
        found.change(asked | ({"rates": {**asked.get("rates", {}), **rates}} if rates else {}))
    except (TypeError, ValueError) as error:
        raise Trouble(f"--fault: {error}.") from error
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


async def _serve(server: Sandbox, console: Console, *, as_json: bool) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with server:
        if as_json:
            tell(_addresses(server))
        else:
            console.print(_words(server), markup=False, highlight=False, soft_wrap=True)
        await stop.wait()


def _words(server: Sandbox) -> str:
    variables = "\n".join(
        f"export {name}={shlex.quote(value)}" for name, value in _addresses(server).items()
    )
    return f"Sandbox at {server.url}, token {server.token}. Ctrl-C stops it.\n\n{variables}"


def _addresses(server: Sandbox) -> dict[str, str]:
    return {
        "PIKTID_BASE_URL": server.url,
        "PIKTID_API_TOKEN": server.token,
        "VTRYON_BASE_URL": server.vtryon_url,
        "VTRYON_API_KEY": server.vtryon_key,
    }
