"""The pytest plugin, in projects of its own: each runs pytest as its users do."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "testing"


async def pytest_in(folder: Path, *options: str) -> str:
    """Run pytest there, warnings as errors, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-rA", "-W", "error", "-p", "no:cacheprovider", *options),
        cwd=folder,
        env={name: each for name, each in os.environ.items() if not name.startswith("PYTEST_")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that is no part of ours, with no settings."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_default_fixture_loop_scope = function\n", encoding="utf-8"
    )
    return tmp_path


async def test_the_example_project_passes(tmp_path: Path) -> None:
    copy = tmp_path / "spring"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    out = await pytest_in(copy)
    assert "7 passed" in out.splitlines()[-1], out


STRICT_AND_ANYIO = """
import asyncio, pytest
from piktid_async.sandbox import Faults

pytestmark = pytest.mark.piktid_sandbox(credits=50.0, faults=Faults(errors=1, on="GET /project"))

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.fixture
def piktid_sandbox_options():
    return {"credits": 10.0, "token": "token-of-the-project"}

@pytest.fixture
def piktid_session_options():
    return {"max_credits": 7.0}

async def works(sandbox, session):
    project = await session.projects.ensure("strict")
    assert [each.project_name async for each in session.projects.list()] == ["strict"]
    assert sandbox.faults.counts["errors"] == 1
    assert sandbox.token == "token-of-the-project"

@pytest.mark.anyio
async def test_with_anyio(piktid_sandbox, piktid_session):
    await works(piktid_sandbox, piktid_session)
    assert piktid_sandbox.books.credits_left == 50

@pytest.mark.asyncio
@pytest.mark.piktid_sandbox(credits=90.0)
async def test_with_asyncio(piktid_clock, piktid_session, piktid_sandbox):
    await piktid_clock.until(works(piktid_sandbox, piktid_session))
    assert piktid_sandbox.books.credits_left == 90
"""


async def test_strict_mode_and_anyio(project: Path) -> None:
    (project / "test_both.py").write_text(STRICT_AND_ANYIO, encoding="utf-8")
    out = await pytest_in(project, "--strict-markers")
    assert "2 passed" in out.splitlines()[-1], out


async def test_anyio_alone(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    alone = STRICT_AND_ANYIO.split("@pytest.mark.asyncio")[0]
    (project / "test_anyio.py").write_text(alone, encoding="utf-8")
    out = await pytest_in(project, "-p", "no:asyncio")
    assert "1 passed" in out.splitlines()[-1], out


BYSTANDER = """
import sys

def test_nothing_of_it_was_imported():
    assert "pytest_piktid" in sys.modules
    assert not {"piktid_async", "aiohttp", "attrs", "PIL"} & set(sys.modules)
"""


async def test_a_run_that_does_not_use_it_pays_nothing(project: Path) -> None:
    (project / "test_bystander.py").write_text(BYSTANDER, encoding="utf-8")
    out = await pytest_in(project)
    assert "1 passed" in out.splitlines()[-1], out


NO_EXTRA = """
import sys, pytest

sys.modules["PIL"] = None

@pytest.mark.asyncio
async def test_it(piktid_session):
    raise AssertionError

@pytest.mark.asyncio
@pytest.mark.piktid_sandbox("by place")
async def test_marked(piktid_session):
    raise AssertionError
"""


async def test_what_is_missing_or_wrong_is_named(project: Path) -> None:
    (project / "test_missing.py").write_text(NO_EXTRA, encoding="utf-8")
    out = await pytest_in(project)
    assert "2 errors" in out.splitlines()[-1], out
    assert "needs PIL, which the extra sandbox brings: pip install 'piktid-async[sandbox]'" in out
    assert "@pytest.mark.piktid_sandbox takes options by name, not ('by place',)" in out
