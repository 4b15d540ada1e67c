"""The program as such: help, version, what is missing, what is misspelt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import piktid_async
from tests.cli.support import Command, environment, hear_interrupts


def without(modules: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as if some modules were not installed."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({modules.split()!r}))\n"
        f"sys.argv = {['piktid', *args]!r}\n"
        "from piktid_async.__main__ import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment()
    )


@pytest.mark.parametrize("missing", ["typer rich", "typer", "rich"])
def test_without_its_extra_the_program_says_what_to_install(missing: str) -> None:
    ended = without(missing, "demo")
    assert ended.returncode == 2
    assert ended.stderr == (
        f"The command line needs {' and '.join(missing.split())}: pip install 'piktid-async[cli]'\n"
    )


@pytest.mark.parametrize(
    "args", [["demo"], ["sandbox"], ["recolor", "a.jpg", "--to", "red", "--out", "o", "--sandbox"]]
)
def test_without_the_sandbox_extra_the_commands_that_need_it_say_so(args: list[str]) -> None:
    ended = without("numpy PIL", *args)
    assert ended.returncode == 2
    assert ended.stderr == (
        "The sandbox needs its extra: pip install 'piktid-async[cli,sandbox]'.\n"
    )


INTERRUPTED = """
import os, signal
os.kill(os.getpid(), signal.SIGINT)
"""
PROGRAM = """
from piktid_async.__main__ import main
main()
"""


def interrupted(tmp_path: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run Python with a Ctrl-C in the middle of the import of a module."""
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        check=False,
        env=environment(PYTHONPATH=str(tmp_path)),
        preexec_fn=hear_interrupts,
    )


def test_ctrl_c_while_the_commands_are_imported_ends_it_in_silence(tmp_path: Path) -> None:
    (tmp_path / "piktid").write_text(PROGRAM)
    ended = interrupted(tmp_path, "typer", str(tmp_path / "piktid"), "--help")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


async def test_the_version_is_the_package_s(piktid: Command) -> None:
    assert (await piktid("--version")).out == f"piktid-async {piktid_async.__version__}\n"


async def test_help_names_the_commands_and_the_exit_codes(piktid: Command) -> None:
    ended = await piktid("--help")
    assert ended.code == 0
    for word in ("demo", "recolor", "sandbox", "143 a kill", "--install-completion"):
        assert word in ended.out


@pytest.mark.parametrize(
    "args", [["recolour"], ["recolor"], ["demo", "--count", "0"], ["demo", "x"]]
)
async def test_a_misused_command_line_is_exit_2_without_a_traceback(
    piktid: Command, args: list[str]
) -> None:
    ended = await piktid(*args)
    assert ended.code == 2
    assert "Traceback" not in ended.text
    assert "Error" in ended.err


def test_the_program_s_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import piktid_async\n"
        "before = set(sys.modules)\n"
        "import piktid_async.cli.app\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "PIL", "aiohttp", "rich"} & set(loaded.stdout.split())
