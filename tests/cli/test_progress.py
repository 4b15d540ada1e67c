from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from piktid_async.cli.progress import Bars, Lines, view_on

FRONT = Path("photos/front.jpg")


def console(*, terminal: bool, **settings: object) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=100, _environ=settings, highlight=False
    )


def shown(target: Console) -> str:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue()


def drive(view: Lines) -> None:
    """Go through a whole run: an upload that is repeated, one that fails, two pictures."""
    with view:
        view.start_uploads(2)
        view.upload(FRONT, 500, 1000)
        view.upload(FRONT, 0, 1000)
        view.upload(FRONT, 1000, 1000)
        view.uploaded(FRONT)
        view.uploaded(Path("photos/back.jpg"), "it is gone.")
        view.start_outputs(2)
        view.submitted("job-1", 2)
        view.output("front.jpg")
        view.output("back.jpg", "no garment found")


LINES = [
    "uploaded 1/2: front.jpg",
    "not uploaded 2/2: back.jpg: it is gone.",
    "job job-1: 2 pictures ordered",
    "recolored 1/2: front.jpg",
    "failed 2/2: back.jpg: no garment found",
]


def test_without_a_terminal_each_event_is_one_plain_line() -> None:
    target = console(terminal=False)
    view = view_on(target)
    assert not isinstance(view, Bars)
    drive(view)
    assert shown(target).splitlines() == LINES


@pytest.mark.parametrize("terminal", [False, True])
def test_what_ended_in_an_earlier_run_is_counted_without_a_word(terminal: bool) -> None:
    target = console(terminal=terminal, TERM="xterm")
    with view_on(target) as view:
        view.start_outputs(2, ("making pictures", "done"))
        view.passed()
        view.output("coat, 2 pictures")
    assert re.findall("done .*", shown(target)) == ["done 2/2: coat, 2 pictures"]


def test_on_a_terminal_the_lines_stay_and_the_bars_go() -> None:
    target = console(terminal=True)
    view = view_on(target)
    assert isinstance(view, Bars)
    drive(view)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(target)).replace("\r", "\n")
    for line in LINES:
        assert line in text
    assert "0/1.0 kB" in text
    assert "recoloring" in text
    assert shown(target).endswith("\x1b[2K")  # the last bar is wiped away


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    assert not isinstance(view_on(console(terminal=True, TERM="dumb")), Bars)


def test_no_color_is_honoured() -> None:
    target = console(terminal=True, NO_COLOR="1")
    drive(view_on(target))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown(target))


def test_markup_and_control_characters_in_names_are_only_text() -> None:
    target = console(terminal=False)
    with view_on(target) as view:
        view.uploaded(Path("[bold]x[bold]\x1b[2J\nnext.jpg"))
    assert shown(target) == "uploaded 1/0: [bold]x[bold] [2J next.jpg\n"


def test_the_package_s_own_log_is_not_shown_while_a_view_is_open() -> None:
    code = (
        "import logging\n"
        "from rich.console import Console\n"
        "from piktid_async.cli.progress import view_on\n"
        "log = logging.getLogger('piktid_async.stream')\n"
        "with view_on(Console(stderr=True)):\n"
        "    log.warning('the stream was lost')\n"
        "log.warning('shown again')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr == "shown again\n"
