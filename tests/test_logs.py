"""`PIKTID_LOG`, as a program of its own meets it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

BUILD = "from piktid_async import Session; Session('token', base_url='https://host.invalid')\n"
WARN = "import logging; logging.getLogger('piktid_async.stream').warning('a line')\n"
INFO = "import logging; logging.getLogger('piktid_async.stream').info('a quiet line')\n"
BASIC = "import logging; logging.basicConfig(level=logging.INFO)\n"


def run(program: str, **given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", program]
    environment = {name: value for name, value in os.environ.items() if name != "PIKTID_LOG"}
    return subprocess.run(command, env=environment | given, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("level", "lines"),
    [("debug", 2), ("INFO", 2), (" warning ", 1), ("error", 0)],
)
def test_the_level_that_is_asked_for_is_shown_on_stderr(level, lines):
    done = run(BUILD + BUILD + WARN + INFO, PIKTID_LOG=level)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (0, "", lines)
    if lines:
        assert done.stderr.splitlines()[0].endswith(" WARNING piktid_async.stream: a line")


@pytest.mark.parametrize("given", [{}, {"PIKTID_LOG": ""}])
def test_without_it_warnings_are_told_as_python_tells_them_and_no_handler_is_added(given):
    """That a job may exist, and cost credits, must not go unheard."""
    handlers = "print(logging.root.handlers, logging.getLogger('piktid_async').handlers)"
    done = run(BUILD + WARN + INFO + handlers, **given)
    assert (done.stdout, done.stderr) == ("[] []\n", "a line\n")


def test_with_it_the_root_is_left_alone_too():
    done = run(BUILD + WARN + "print(logging.root.handlers, logging.root.level)", PIKTID_LOG="info")
    assert done.stdout == "[] 30\n"


@pytest.mark.parametrize("first", [BASIC + BUILD, BUILD + BASIC])
def test_a_line_is_shown_once_where_the_program_logs_to_stderr_itself(first):
    assert run(first + WARN, PIKTID_LOG="debug").stderr.count("a line") == 1


def test_a_word_that_is_no_level_is_named():
    done = run(BUILD, PIKTID_LOG="verbose")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "ConfigurationError: PIKTID_LOG must be one of debug, info, warning, error, not 'verbose'"
    )
