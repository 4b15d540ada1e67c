"""The README's table of endpoints: each call exists, and so does the test that proves it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from piktid_async import Session
from piktid_async.feeds import Notification
from piktid_async.jobs import Job
from piktid_async.login import PasswordLogin
from piktid_async.vtryon import Task, VtryonSession

ROOT = Path(__file__).parent.parent
ROW = re.compile(
    r"\| (?P<endpoint>.+) \| (?P<call>.+) \| (?:\[`(?P<test>\w+)`\]\((?P<file>.+)\))? *\|"
)
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Every endpoint", 1)[1]
TABLE = SECTION.split("\n## ", 1)[0].splitlines()
ROWS = [
    found for line in TABLE if (found := ROW.fullmatch(line)) and found["endpoint"] != "endpoint"
]
OWNERS = {
    "job": Job,
    "note": Notification,
    "Task": Task,
    "VtryonSession": VtryonSession("key", base_url="https://host.of.the.api"),
}


def test_every_line_of_the_table_is_read() -> None:
    assert len(ROWS) == sum(line.startswith("| ") for line in TABLE) - 1 > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["endpoint"])
def test_the_call_exists_and_its_test_does(row: re.Match[str]) -> None:
    if row["test"] is None:
        assert row["call"].startswith("left out: ")
        return
    tree = ast.parse((ROOT / row["file"]).read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if hasattr(node, "name")}
    assert row["test"] in names
    assert callable(called(row["call"].strip("`")))


def called(path: str) -> object:
    """Return what a call of the table names."""
    if path == "piktid_async.login.PasswordLogin":
        return PasswordLogin
    owner, *attributes = path.split(".")
    found: object = OWNERS.get(owner) or Session("token")
    for attribute in attributes:
        found = getattr(found, attribute)
    return found
