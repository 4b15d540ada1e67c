"""`piktid sandbox` as a program."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from piktid_async import GarmentRecolor, Session
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.cli.support import Command, draw_garment, environment, hear_interrupts


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


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run `piktid sandbox` and yield its process and URL."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "piktid_async", "sandbox", "--token", "secret", *options),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            first = (await process.stdout.readline()).decode()
        yield process, first.split()[2].rstrip(",")
    finally:
        process.kill()
        await process.communicate()


async def ask(url: str, method: str = "GET", path: str = "/project", **more: Any) -> Any:
    headers = {"Authorization": "Bearer secret"}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.request(method, url + path, **more) as answer,
    ):
        return answer.status, await answer.json()


async def test_a_folder_of_state_outlives_a_kill(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    async with serving("--state", folder) as (_, url):
        status, _ = await ask(url, "POST", json={"project_name": "spring"})
        assert status == 201
    async with serving("--state", folder) as (_, again):
        assert again == url
        _, body = await ask(again)
        assert [each["project_text"] for each in body["projects"]] == ["spring"]


async def test_without_drawing_every_result_is_one_small_picture(tmp_path: Path) -> None:
    calm = ("--no-drawing", "--no-limits", "--seconds-per-image", "0")
    async with serving(*calm) as (_, url), Session("secret", base_url=url) as session:
        project = await session.projects.ensure("spring")
        image = await session.upload(draw_garment(tmp_path / "coat.jpg"))
        request = GarmentRecolor(project=project, images=[image], reference_text="navy")
        job = await session.submit(request)
        (path,) = await job.download(tmp_path / "out")
    assert path.read_bytes() == PLAIN_JPEG


async def test_faults_are_asked_for_by_name_and_set_while_it_runs() -> None:
    asked = ("errors=1", "reset_after=5%", "on=GET /project", "submit_status=[503]")
    options = [word for each in asked for word in ("--fault", each)]
    async with serving(*options) as (_, url):
        _, told = await ask(url, path="/_sandbox/faults")
        assert told["options"]["rates"] == {"reset_after": 0.05}
        assert told["options"]["on"] == "GET /project"
        assert told["options"]["submit_status"] == [503]
        assert (await ask(url))[0] == 500
        changes = {"errors": 1, "error_statuses": [503], "rates": {}}
        _, told = await ask(url, "PUT", "/_sandbox/faults", json=changes)
        assert told["counts"] == {"errors": 1}
        assert (await ask(url))[0] == 503


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("acks_fail", "give NAME=VALUE"),
        ("acks_fial=1", "did you mean 'acks_fail'"),
        ("acks_fail=-1", "acks_fail must be 0 or more"),
        ("acks_fail=150%", "must be between 0 and 1"),
    ],
)
async def test_a_fault_that_is_none_is_named(piktid: Command, fault: str, words: str) -> None:
    ended = await piktid("sandbox", "--fault", fault)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.text


async def test_a_folder_that_cannot_be_used_is_named(piktid: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = await piktid("sandbox", "--state", str(tmp_path / "file"))
    assert (ended.code, ended.err) == (2, f"{tmp_path / 'file'} cannot be made (File exists).\n")
