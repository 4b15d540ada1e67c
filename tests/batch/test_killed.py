"""Programs killed with SIGKILL: the one with a journal pays once, the one without pays twice."""

from __future__ import annotations

from tests.batch.killing import PRICE, Plan, play


async def test_a_batch_that_is_killed_pays_once_for_each_product(tmp_path):
    plan = Plan(products=60, kills=6)
    books = await play("batch", plan, tmp_path)
    assert books.kills == plan.kills
    assert books.caught > 0
    assert books.lost_answers > 0
    assert books.refused_with_5xx > 0
    assert books.settleable == 0
    assert books.jobs == plan.products
    assert books.credits_charged == plan.products * PRICE
    assert books.files == plan.products
    assert books.left_over == 0
    assert books.states == {"done": plan.products}


async def test_a_program_without_a_journal_pays_twice(tmp_path):
    """The same show, so that the test above proves something."""
    plan = Plan(products=30, kills=3)
    books = await play("naive", plan, tmp_path)
    assert books.kills == plan.kills
    assert books.files == plan.products
    assert books.jobs > plan.products
    assert books.credits_charged > plan.products * PRICE
