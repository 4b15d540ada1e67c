"""What is released: the changelog's form, the reference's completeness, the oldest dependencies."""

from __future__ import annotations

import importlib
import re
import tomllib
from datetime import date
from itertools import chain
from pathlib import Path

import pytest

import piktid_async
from piktid_async import PiktidError

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
RELEASE = re.compile(r"## \[(?P<version>Unreleased|\d+\.\d+\.\d+)\](?: - (?P<day>[\d-]{10}))?")


def faults_of(changelog: str) -> list[str]:
    """Return where a changelog leaves the form of Keep a Changelog."""
    faults, releases, kinds = [], [], []
    for line in changelog.splitlines():
        if line.startswith("## "):
            if (found := RELEASE.fullmatch(line)) is None:
                faults.append(f"no release: {line}")
                continue
            releases.append(found)
            kinds = []
            if (found["version"] == "Unreleased") != (found["day"] is None):
                faults.append(f"a release has a day, what is unreleased has none: {line}")
        elif line.startswith("### "):
            kinds.append(line.removeprefix("### "))
            if kinds != sorted(set(kinds) & set(KINDS), key=KINDS.index):
                faults.append(f"of no kind, twice, or out of order: {line}")
        elif line.startswith("- "):
            if not kinds or not line.endswith("."):
                faults.append(f"no sentence, or below no kind: {line}")
        elif line and releases:
            faults.append(f"neither heading nor entry: {line}")
    return faults + wrong_order([(each["version"], each["day"]) for each in releases])


def wrong_order(releases: list[tuple[str, str | None]]) -> list[str]:
    if not releases or releases[0][0] != "Unreleased":
        return ["what is unreleased comes first"]
    done = [
        (tuple(map(int, version.split("."))), date.fromisoformat(day) if day else date.min)
        for version, day in releases[1:]
    ]
    return [] if done == sorted(done, reverse=True) else ["the newest release comes first"]


CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_changelog_has_its_form() -> None:
    assert "https://keepachangelog.com" in CHANGELOG
    assert faults_of(CHANGELOG) == []


HEAD = "# Changelog\n\n## [Unreleased]\n\n"
MALFORMED = {
    "## [1.0.0] - 2026-01-01\n\n### Added\n\n- It.\n": "what is unreleased comes first",
    HEAD + "### Added\n\n- No full stop\n": "no sentence",
    HEAD + "- Below no kind.\n": "below no kind",
    HEAD + "### New\n\n- It.\n": "of no kind",
    HEAD + "### Fixed\n\n- It.\n\n### Added\n\n- It.\n": "out of order",
    HEAD + "## [1.0.0]\n": "a release has a day",
    HEAD + "## Version 1\n": "no release",
    HEAD + "## [1.0.0] - 2026-01-01\n\n## [1.1.0] - 2026-02-01\n": "the newest release comes first",
}


@pytest.mark.parametrize("text", MALFORMED, ids=MALFORMED.values())
def test_a_changelog_without_it_is_found_out(text: str) -> None:
    assert any(MALFORMED[text] in fault for fault in faults_of(text))


REFERENCE = {
    name
    for page in (ROOT / "docs" / "reference").glob("*.md")
    for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
}


@pytest.mark.parametrize("module", ["", ".batch", ".sandbox", ".testing", ".vtryon"])
def test_the_reference_has_every_public_name(module: str) -> None:
    module = f"piktid_async{module}"
    names = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    assert names - REFERENCE == {f"{module}.__version__"} & names


def test_the_reference_has_no_name_that_is_gone() -> None:
    for name in REFERENCE:
        module, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(module), attribute), name


def test_troubleshooting_has_every_error() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^### (\w+Error)$", page, re.MULTILINE))
    assert told == {name for name in piktid_async.__all__ if is_error(name)}


def is_error(name: str) -> bool:
    found = getattr(piktid_async, name)
    return isinstance(found, type) and issubclass(found, PiktidError)


def test_pictures_of_the_guides_are_small_and_all_used() -> None:
    pictures = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").iterdir()}
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert set(pictures) == set(re.findall(r"pictures/([\w.-]+)\)", pages))
    assert max(pictures.values()) < 60_000


def test_every_dependency_names_its_oldest_version() -> None:
    project = PROJECT["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    assert all(re.match(r"[\w.-]+(\[[\w,]+\])?>=\d", each) for each in asked)
