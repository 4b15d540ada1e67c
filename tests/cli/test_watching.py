"""`piktid watch` and `piktid webhook`, as programs that are told something while they run."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from piktid_async import GarmentRecolor, Session
from piktid_async.sandbox import Sandbox
from piktid_async.webhooks import sign
from tests.cli.support import NOWHERE, Command, Main


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def recolor(sandbox: Sandbox, photo: Path) -> str:
    """Make a job that nobody acknowledges."""
    async with Session(sandbox.token, base_url=sandbox.url, ack="never") as session:
        project = await session.projects.ensure("spring")
        image = await session.upload(photo)
        request = GarmentRecolor(project=project, images=[image], reference_text="navy")
        return (await session.run(request)).job_id


@pytest.mark.parametrize("as_json", [False, True])
async def test_events_are_shown_live_and_left_as_they_are(
    reach: Any, photos: list[Path], as_json: bool
) -> None:
    async with Sandbox(render=False, seconds_per_image=0) as sandbox:
        args = ("watch", "--count", 3, *(["--json"] if as_json else []))
        async with reach(*args, sandbox=sandbox, reached=b"watching 127.0.0.1") as stage:
            job_id = await recolor(sandbox, photos[0])
            async with asyncio.timeout(30):
                out, err = await stage.process.communicate()
        assert (stage.process.returncode, err) == (0, b"")
        assert len(sandbox.books.notifications_outstanding) >= 3
    lines = out.decode().splitlines()
    if as_json:
        notes = [json.loads(line) for line in lines]
        assert {note["job_id"] for note in notes} == {job_id}
        (picture,) = (note for note in notes if note["name"] == "image_result")
        assert picture["data"]["output_link"].endswith("?***")
    else:
        assert len(lines) == 3
        assert all(f"job {job_id}" in line for line in lines)
        assert "picture 0, variation 0: completed" in out.decode()


async def test_ctrl_c_is_the_normal_end_of_watching(reach: Any) -> None:
    async with (
        Sandbox(render=False) as sandbox,
        reach("watch", sandbox=sandbox, reached=b"watching") as stage,
    ):
        ended = await stage.stop(signal.SIGINT)
    assert (ended.code, ended.text) == (0, "")


async def test_a_lost_stream_is_told_and_found_again(reach: Any, photos: list[Path]) -> None:
    async with (
        Sandbox(render=False, seconds_per_image=0) as sandbox,
        reach("watch", "--count", 1, sandbox=sandbox, reached=b"watching") as stage,
    ):
        await sandbox.restart()
        await stage.process.stderr.readuntil(b"the event stream was lost")
        await recolor(sandbox, photos[0])
        async with asyncio.timeout(30):
            await stage.process.communicate()
    assert stage.process.returncode == 0


async def test_a_registered_secret_is_printed_once_and_verifies_what_comes(
    piktid: Command, reach: Any, service: dict[str, str], free_port: int
) -> None:
    url = f"http://127.0.0.1:{free_port}/hooks"
    made = await piktid("webhook", "register", url, "--json", **service)
    assert made.code == 0, made.text
    secret = json.loads(made.out)["secret"]
    assert "stored nowhere" in made.err
    assert secret not in made.err

    args = ("webhook", "listen", "--port", free_port, "--count", 1, "--json")
    async with reach(*args, reached=b"listening", PIKTID_WEBHOOK_SECRET=secret) as stage:
        assert await posted(url, note("forged"), "another secret") == 401
        assert await posted(url, b"no notification", secret) == 400
        assert await posted(url, note("right"), secret) == 204
        async with asyncio.timeout(30):
            out, err = await stage.process.communicate()
    assert stage.process.returncode == 0
    assert json.loads(out)["id"] == "right"
    assert b"refused: " in err
    assert b"left out: " in err


def note(note_id: str) -> bytes:
    data = {"id_task": "job_1", "status": "completed"}
    body = {"id": note_id, "name": "batch_edit", "timestamp": 1.0, "data": data}
    return json.dumps(body).encode()


async def posted(url: str, body: bytes, secret: str) -> int:
    headers = {"X-Webhook-Signature": sign(body, secret)}
    async with (
        aiohttp.ClientSession() as client,
        client.post(url, data=body, headers=headers) as answer,
    ):
        return answer.status


def test_listening_needs_a_secret_and_says_where_from(main: Main) -> None:
    code, out, err = main("webhook", "listen")
    assert (code, out) == (2, "")
    assert err.startswith("No secret: PIKTID_WEBHOOK_SECRET is not set. `piktid webhook register")


def test_a_url_that_is_not_https_is_refused_unsent(main: Main) -> None:
    args = ("webhook", "register", "http://example.com/hooks")
    code, _, err = main(*args, PIKTID_API_TOKEN="t", PIKTID_BASE_URL=NOWHERE)
    assert (code, err) == (2, "URL: must be https: plain http is for loopback only.\n")
