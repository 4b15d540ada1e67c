"""The README's security section: each promise names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Security\n", 1)[1]
ROWS = re.findall(
    r"^\| ([A-Z].*) \| \[`(\w+)`\]\((tests/[\w/]+\.py)\) \|$",
    SECTION.split("\n## ", 1)[0],
    re.MULTILINE,
)


def test_there_are_promises() -> None:
    assert len(ROWS) == SECTION.split("\n## ", 1)[0].count("\n| ") - 1  # all but the head


@pytest.mark.parametrize(("promise", "test", "path"), ROWS, ids=[row[1] for row in ROWS])
def test_a_promise_is_held_by_a_test(promise: str, test: str, path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)
