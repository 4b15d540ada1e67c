"""Every example runs, as its own program, against the sandbox."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.imaging import sample_photos

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SERVES = "13_fastapi_backend.py"
"""Runs until it is stopped: `tests/neighbours/test_backend_example.py`."""
PRINTED = {
    "01_recolor.py": r"([01] http://127\.0\.0\.1:\S+\n){2}",
    "02_on_the_sandbox.py": r"4 pictures, 12 credits\n(navy/[01]-[01]\.jpg\n){4}",
    "04_packshot.py": r"4 pictures, 16 credits\n(packshots/[0-2]_[01]_v0\.(jpg|png)\n){4}",
    "05_flat_to_model.py": r"2 pictures, 6 credits\n(on-model/[01]\.jpg\n){2}",
    "03_waiting.py": r"not yet; the job goes on.*\ncompleted 100\.0\n",
    "06_model_swap.py": r"2 pictures, credits: None\n(swaps/[01]\.jpg\n){2}",
    "07_image_playground.py": (
        r"(street/first-[01]\.jpg\n){2}street/second-0\.jpg\none conversation: True\n"
    ),
    "08_webhooks_aiohttp.py": r"(0 [01] completed\n){2}completed\n",
    "09_webhooks_fastapi.py": r"(0 [01] completed\n){2}completed\n",
    "11_batch.py": (
        r"3 to submit, 9 credits\n(\w+: forest/\w+/0_0_v0\.jpg\n){2}"
        r"the budget is spent; what is left waits in the journal\n.*'done': 2.*, 6 credits\n"
        r"1 to submit, 3 credits\n(\w+: forest/\w+/0_0_v0\.jpg\n){3}\{'done': 3\}, 9 credits\n"
    ),
    "12_folder_upload.py": r"no-such-picture\.jpg did not arrive: UploadError\n3 of 4 arrived\n",
    "14_ingestion.py": (
        r"(?=(.*\n)*jacket: 2 files\n)(?=(.*\n)*shirt: 1 files\n)"
        r"(?=(.*\n)*ghost \(catalogue\.csv:4\): UploadError\n)(.*\n){3}9 of 9 credits\n"
    ),
    "15_pipeline.py": r"((back|front|model)\.jpg: completed\n){3}",
    "16_processes.py": r"navy: completed\nforest green: completed\nwine red: completed\n",
    "17_telemetry.py": (
        r"(?=(.*\n)*POST /garment-recolor: \S+ s, in: recolor the shirt\n)"
        r"(?=(.*\n)*PUT: \S+ s, in: recolor the shirt\n)"
        r"(?=(.*\n)*piktid\.job: \S+ s, in: recolor the shirt\n)"
        r"(?=(.*\n)*GET /notifications/events: \S+ s, in: None\n)"
        r"(?=(.*\n)*http\.client\.request\.duration \[s\]: \d)"
        r"(?=(.*\n)*piktid\.credits\.used \[\{credit\}\]: 5\n)(.*\n)+"
    ),
    "10_vtryon.py": r"not yet; the task goes on.*\ncompleted look\.jpg\n501 completed\n",
}
LEFT = {
    "01_recolor.py": ("out/?_0_v0.jpg", 2),
    "02_on_the_sandbox.py": ("navy/*.jpg", 4),
    "14_ingestion.py": ("catalogue/*/?_0_v0.jpg", 3),
    "15_pipeline.py": ("pipeline/*/0_0_v0.jpg", 3),
}


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if example.name != SERVES],
    ids=lambda path: path.name,
)
async def test_the_example_runs(
    example: Path, sandbox: Sandbox, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shared = example.name == "16_processes.py"
    database = request.getfixturevalue("database") if shared else ""
    names = ("front.jpg", "back.jpg", "model.jpg")
    for name, photo in zip(names, sample_photos(3, size=400), strict=True):
        (tmp_path / name).write_bytes(photo.data)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", example),
        cwd=tmp_path,
        env=os.environ
        | {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        | {"VTRYON_API_KEY": sandbox.vtryon_key, "VTRYON_BASE_URL": sandbox.vtryon_url}
        | {"PYTHONPATH": "", "PORT": str(free_port()), "PIKTID_DATABASE": database},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    assert re.fullmatch(PRINTED[example.name], out.decode())
    if example.name in LEFT:
        pattern, files = LEFT[example.name]
        assert len(list(tmp_path.glob(pattern))) == files
    assert sandbox.books.notifications_outstanding == ()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
