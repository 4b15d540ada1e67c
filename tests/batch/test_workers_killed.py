"""Workers killed and frozen while they empty one queue: each product is paid once."""

from __future__ import annotations

from tests.batch.killing import PRICE
from tests.batch.worker_killing import WorkPlan, play_naive, play_workers


async def test_workers_that_are_killed_and_frozen_pay_once_for_each_product(database, tmp_path):
    plan = WorkPlan(products=30, kills=2, freezes=1, per_window=20, seconds_per_image=0.02)
    books = await play_workers(plan, tmp_path, database)
    assert (books.kills, books.freezes) == (plan.kills, plan.freezes)
    assert books.lost_answers > 0
    assert books.refused_with_5xx > 0
    assert books.caught > 0
    assert books.listed == books.in_doubt
    assert books.lost_in_doubt == 0
    assert books.jobs == books.files == plan.products
    assert books.credits_charged == plan.products * PRICE
    assert books.left_over == 0
    assert books.states == {"saved": plan.products}


async def test_programs_without_a_ledger_pay_twice_for_the_same(tmp_path):
    """The same show, so that the test above proves something."""
    plan = WorkPlan(products=30, kills=2, freezes=0, per_window=20, seconds_per_image=0.02)
    books = await play_naive(plan, tmp_path)
    assert books.kills == plan.kills
    assert books.files == plan.products
    assert books.jobs > plan.products
