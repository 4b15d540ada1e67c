"""The month in virtual time, in short, on a real journal: nothing is paid twice, nothing lost."""

from __future__ import annotations

import re

from tests.benchmarks.programs import run

LEDGERS = ("enterprise", "normal, calm", "normal, alone", "normal")


async def test_no_weather_makes_a_ledger_pay_twice_and_without_one_it_is_seen() -> None:
    ended = await run("simulation.py", "--short")
    assert ended.code == 0, ended.told
    assert ended.out.endswith("all is well\n")
    # products, done, days, best, ratio, twice, lost, in doubt, ...
    lines = re.findall(r"^ *(\S.*?)  +(\d+)  +(\d+)  +[\d.]+ .*$", ended.out, re.MULTILINE)
    assert [name for name, *_ in lines] == [*LEDGERS, "no ledger"]
    columns = {line[0]: _cells(ended.out, line[0]) for line in lines}
    for name in LEDGERS:
        assert columns[name][5:7] == ["0", "0"], ended.told
        assert columns[name][0] == "500"
    for name in ("normal, calm", "normal, alone"):
        assert columns[name][8:10] == ["0", "0"], ended.told  # nobody was refused
    assert int(columns["no ledger"][5]) > 0
    for what in ("kills", "freezes", "lost answers", "others", "caught in intent", "settled"):
        assert re.search(rf"[1-9]\d* {what}", ended.out), f"no {what}: {ended.told}"


async def test_an_invariant_that_is_broken_ends_it_with_1() -> None:
    ended = await run("simulation.py", "--only=no ledger", "--products=50", "--seed=1")
    assert ended.code == 1, ended.told
    assert "FAILED: without a ledger nothing was paid twice, so this proves nothing" in ended.out


def _cells(table: str, name: str) -> list[str]:
    line = re.search(rf"^ *{re.escape(name)}  +(\d.*)$", table, re.MULTILINE)
    assert line is not None
    return line[1].split()
