"""The soak, in short: each event once, all acknowledged, and nothing grows."""

from __future__ import annotations

import re

from tests.benchmarks.programs import run


async def test_a_stream_that_is_cut_again_and_again_loses_and_leaks_nothing() -> None:
    ended = await run("soak.py", "--short")
    assert ended.code == 0, ended.told
    assert ended.out.endswith("all is well\n")
    assert len(re.findall(r"^( +[\d.]+){7}$", ended.out, re.MULTILINE)) == 4
    assert int(re.search(r"'connections': (\d+)", ended.out)[1]) > 3
