"""`piktid sandbox` as a program."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys

import aiohttp
import pytest

from tests.cli.support import Command, environment, hear_interrupts


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_the_printed_lines_lead_to_a_server_that_ends_when_told(end: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "piktid_async", "sandbox", "--token", "it's mine", "--no-limits"),
        env=environment(),
        preexec_fn=hear_interrupts,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        first, _, url_line, token_line = [
            (await process.stdout.readline()).decode().rstrip("\n") for _ in range(4)
        ]
        found = re.fullmatch(r"export PIKTID_BASE_URL=(http://127\.0\.0\.1:\d+)", url_line)
        assert found
        assert first == f"Sandbox at {found[1]}, token it's mine. Ctrl-C stops it."
        assert token_line == """export PIKTID_API_TOKEN='it'"'"'s mine'"""
        async with aiohttp.ClientSession(found[1]) as client:
            for token, status in (("it's mine", 200), ("other", 401)):
                headers = {"Authorization": f"Bearer {token}"}
                async with client.get("/project", headers=headers) as answer:
                    assert answer.status == status
        process.send_signal(end)
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


async def test_a_port_that_is_taken_is_named(piktid: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await piktid("sandbox", "--port", port)
    assert ended.code == 2
    assert ended.err.startswith(f"Cannot listen on 127.0.0.1:{port} (")
    assert ended.err.endswith("choose another --port.\n")
    assert "Traceback" not in ended.text
