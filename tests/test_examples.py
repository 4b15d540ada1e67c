"""Every example runs, as its own program, against the sandbox; the README shows the first one."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from piktid_async import Session
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.imaging import sample_photos

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NEED_MORE = {"13_fastapi_backend.py": "a browser", "16_processes.py": "a database"}
"""Run by tests of their own."""
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
    [example for example in EXAMPLES if example.name not in NEED_MORE],
    ids=lambda path: path.name,
)
async def test_the_example_runs(example: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    names = ("front.jpg", "back.jpg", "model.jpg")
    for name, photo in zip(names, sample_photos(3, size=400), strict=True):
        (tmp_path / name).write_bytes(photo.data)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", example),
        cwd=tmp_path,
        env=os.environ
        | {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
        | {"VTRYON_API_KEY": sandbox.vtryon_key, "VTRYON_BASE_URL": sandbox.vtryon_url}
        | {"PYTHONPATH": "", "PORT": str(_free_port())},
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


README = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_the_readme_shows_the_first_example_as_it_is() -> None:
    assert README[0] == EXAMPLES[0].read_text()


async def test_the_readme_s_sandbox_lines_run() -> None:
    code = compile(README[1], "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, {})


async def test_the_readme_s_feed_lines_run(
    sandbox: Sandbox, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.emit("batch_edit", {"id_task": "somebody's", "status": "completed"})
    sandbox.emit("batch_edit", {"id_task": "last", "status": "completed"})
    once = README[2] + "        if note.job_id == 'last': break\n"
    code = compile(once, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, {"session": session})
    assert capsys.readouterr().out.startswith("batch_edit somebody's BatchEdit(")
    assert len(sandbox.books.notifications_outstanding) == 2  # foreign ones are left alone


async def test_the_readme_s_batch_lines_run(
    sandbox: Sandbox, session: Session, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    photos = sample_photos(2, size=400)
    for photo in photos:
        (tmp_path / photo.name).write_bytes(photo.data)
    rows = [f"{number},{photo.name},navy" for number, photo in enumerate(photos)]
    (tmp_path / "spring.csv").write_text("\n".join(["key,images,colour", *rows, "2,none.jpg,red"]))
    code = compile(README[4], "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with contextlib.chdir(tmp_path):
        await eval(code, {"session": session})
    told = sorted(capsys.readouterr().out.splitlines())
    assert told[:2] == [f"{n} (PosixPath('spring/{n}/0_0_v0.jpg'),)" for n in (0, 1)]
    assert told[2].startswith("2 upload of none.jpg: cannot be read")
    assert sandbox.books.jobs_created == 2


def test_the_first_example_has_twelve_lines_of_code() -> None:
    lines = [line for line in EXAMPLES[0].read_text().splitlines() if line.strip()]
    assert len(lines) == 12
