"""The limits' benchmark, in short: nobody is refused, and the bound is a bound."""

from __future__ import annotations

import re

from tests.benchmarks.programs import run


async def test_two_endpoints_share_the_slots_without_a_refusal() -> None:
    ended = await run("limits.py", "--only=two endpoints", "--window=0.3", "--runs=1", "--most=99")
    assert ended.code == 0, ended.told
    row = r"^two endpoints +([\d.]+) +([\d.]+) +([\d.]+) +[\d.]+ +0$"
    line = re.search(row, ended.out, re.MULTILINE)
    assert line is not None, ended.told
    bound, median, ratio = map(float, line.groups())
    assert bound == 2.16
    assert median >= bound
    assert ratio >= 1


async def test_a_bound_that_is_missed_ends_it_with_1() -> None:
    ended = await run("limits.py", "--only=windows", "--window=0.02", "--runs=1", "--most=1")
    assert ended.code == 1, ended.told
    assert ended.out.endswith("FAILED\n")
