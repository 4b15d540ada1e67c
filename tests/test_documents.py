"""Every code block of the README and the guides runs; a page that is broken is found out."""

from __future__ import annotations

import io
import keyword
import tokenize
from pathlib import Path

import pytest

from piktid_async.sandbox import Sandbox
from tests.documents import ROOT, Block, DocumentError, blocks, pages, reader

README = ROOT / "README.md"
PROGRAM = next(block for block in blocks(README) if block.is_program)
LINES = [number for number, line in enumerate(PROGRAM.code.splitlines()) if line.strip()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
async def test_the_blocks_of_the_page_run(page: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    async with reader(sandbox, tmp_path) as someone:
        for block in blocks(page):
            await someone.run(block)


def test_there_are_blocks_to_run() -> None:
    runnable = [block for page in pages() for block in blocks(page) if block.language != "text"]
    assert len(pages()) > 10
    assert len(runnable) > 40


def test_the_readme_s_program_is_the_first_example_in_twelve_lines() -> None:
    assert PROGRAM.code == (ROOT / "examples" / "01_recolor.py").read_text(encoding="utf-8")
    assert len(LINES) == 12


async def test_the_readme_s_program_leaves_its_pictures(sandbox: Sandbox, tmp_path: Path) -> None:
    async with reader(sandbox, tmp_path) as someone:
        await someone.run(PROGRAM)
        assert len(someone.printed.splitlines()) == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "0_0_v0.jpg", "1_0_v0.jpg",
    ]  # fmt: skip


def misspelt(code: str, number: int) -> str:
    """Return the code with the longest name of one line misspelt."""
    lines = code.splitlines()
    words = [
        token
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.start[0] == number + 1
        and token.type == tokenize.NAME
        and not keyword.iskeyword(token.string)
    ]
    end = max(words, key=lambda word: len(word.string)).end[1]
    lines[number] = f"{lines[number][:end]}x{lines[number][end:]}"
    return "\n".join(lines)


@pytest.mark.parametrize("number", LINES)
async def test_one_broken_line_of_the_program_is_found_out(
    number: int, sandbox: Sandbox, tmp_path: Path
) -> None:
    broken = Block("README.md", 1, "python", misspelt(PROGRAM.code, number), {})
    async with reader(sandbox, tmp_path) as someone:
        with pytest.raises(AssertionError, match=r"ended with 1:\n(.*\n)*\w*Error: .*x"):
            await someone.run(broken)


BROKEN = {
    "```python\nprint(1)\n": "not closed, or not found",
    "```\nprint(1)\n```\n": "'' is not run: make it python, sh or text",
    "```console\n$ ls\n```\n": "'console' is not run",
    "<!-- file: a.py -->\n```python\n1 / 0\n```\n": "nothing uses a.py",
    "<!-- skip -->\n```python\n1 / 0\n```\n": "<!-- skip --> means nothing",
}


@pytest.mark.parametrize("text", BROKEN, ids=BROKEN.values())
def test_no_block_is_left_out_in_silence(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError, match=BROKEN[text]):
        blocks(page)


FAILING = {
    "```python\nawait nothing()\n```\n": "'nothing' is not defined",
    "```sh\nfalse\n```\n": "ended with 1",
    "<!-- given: session -->\n```python\nsession.nothing\n```\n": "no attribute 'nothing'",
    "<!-- raises: KeyError -->\n```python\n1\n```\n": "KeyError was not raised",
    "<!-- ends when it prints: 2 -->\n```python\nprint(1)\n```\n": "ended without printing '2'",
    "```python\nprint(1)\n```\n<!-- prints -->\n```text\n2…\n```\n": "printed was\n1",
}


@pytest.mark.parametrize("text", FAILING, ids=FAILING.values())
async def test_what_a_page_gets_wrong_fails(text: str, sandbox: Sandbox, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    *before, last = blocks(page)
    async with reader(sandbox, tmp_path) as someone:
        for block in before:
            await someone.run(block)
        with pytest.raises((AssertionError, NameError, AttributeError), match=FAILING[text]):
            await someone.run(last)
