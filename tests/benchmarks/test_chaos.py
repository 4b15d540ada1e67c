"""The chaos run, in short: its books balance, and those of a client that guesses do not."""

from __future__ import annotations

import re

from tests.benchmarks.programs import Ended, run


async def test_all_books_balance_under_all_faults() -> None:
    ended = await run("chaos.py", "--short")
    assert ended.code == 0, ended.told
    assert re.findall(r"^ +(\d) +25 .* balances$", ended.out, re.MULTILINE) == ["1", "2"]
    assert "FAILED" not in ended.told
    happened = _faults(ended)
    assert len(happened) > 45
    assert sum(times > 0 for times in happened.values()) > len(happened) / 2


async def test_a_client_that_submits_again_on_a_guess_is_caught() -> None:
    ended = await run("chaos.py", "--control=guess", "--jobs=25", "--seed=1", "--grace=1")
    assert ended.code == 1, ended.told
    assert re.search(r"\w+ job_\w+ was made and nobody has it", ended.out)
    assert re.search(r"25 were asked for, (2[6-9]|[3-9]\d) were made", ended.out)
    assert "again: python benchmarks/chaos.py --jobs 25 --seed 1 --control guess" in ended.out


async def test_each_book_is_looked_at() -> None:
    ended = await run(
        "chaos.py", "--control=spoil", "--jobs=8", "--seed=1", "--grace=1", "--render"
    )
    assert ended.code == 1, ended.told
    for words in (
        r"files: item \d+: output \(.+\) is not on disk",
        r"files: item \d+: output \(.+\) is not what was made",
        r"files: .+\.piktid-half\.part was left behind",
        r"uploads: item 7: upload \S+ is not what was sent",
        r"notifications: 1 of others were deleted",
        r"notifications: 1 were delivered more than once",
        r"tasks are left: a task that nobody ends",
        r"descriptors are left: \{'/dev/null': 1\}",
        r"\d+ futures are left waiting",
    ):
        assert re.search(words, ended.out), f"{words} is not in:\n{ended.told}"


def _faults(ended: Ended) -> dict[str, int]:
    table = ended.out.split("faults that happened:\n", 1)[1].split("\n\n", 1)[0]
    rows = (line.split() for line in table.splitlines()[1:])
    return {name: int(times) for name, times in rows}
