from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import BudgetExceededError, ConfigurationError, InvalidRequestError
from piktid_async.protocol.budget import Budget


def test_the_bound_may_be_reached_but_not_passed():
    budget = Budget(10.0)
    budget.reserve(4.0)
    budget.reserve(6.0)
    with pytest.raises(BudgetExceededError) as caught:
        budget.reserve(0.5)
    error = caught.value
    assert (error.estimate, error.spent, error.max_credits) == (0.5, 10.0, 10.0)


def test_what_was_refused_is_not_counted():
    budget = Budget(10.0)
    budget.reserve(8.0)
    with pytest.raises(BudgetExceededError):
        budget.reserve(5.0)
    budget.reserve(2.0)
    assert budget.spent == 10.0


def test_what_is_given_back_can_be_spent_again():
    budget = Budget(10.0)
    budget.reserve(10.0)
    budget.release(10.0)
    budget.reserve(10.0)
    assert budget.spent == 10.0


def test_without_a_bound_anything_goes():
    budget = Budget(None)
    budget.reserve(1e9)
    budget.reserve(None)
    budget.release(None)
    budget.release(1e9)


def test_a_price_that_is_not_known_cannot_be_kept_within_a_bound():
    budget = Budget(10.0)
    with pytest.raises(InvalidRequestError, match="request: its price is not known"):
        budget.reserve(None)
    assert budget.spent == 0.0


def test_a_budget_of_nothing_allows_what_costs_nothing():
    budget = Budget(0)
    budget.reserve(0.0)
    with pytest.raises(BudgetExceededError):
        budget.reserve(3.0)


@pytest.mark.parametrize("value", [-1, -0.5, float("nan"), "10", True, [10]])
def test_a_bound_that_is_no_number_from_0_up_is_refused(value):
    with pytest.raises(ConfigurationError, match="max_credits must be 0 or more, not"):
        Budget(value)


@settings(derandomize=True, deadline=None)
@given(
    bound=st.integers(0, 50),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from([3.0, 5.0, 10.0])), max_size=30),
)
def test_no_order_of_taking_and_giving_back_passes_the_bound(bound, steps):
    budget, taken = Budget(bound), []
    for take, estimate in steps:
        if take:
            try:
                budget.reserve(estimate)
            except BudgetExceededError:
                assert sum(taken) + estimate > bound
            else:
                taken.append(estimate)
        elif taken:
            budget.release(taken.pop())
        assert budget.spent == sum(taken) <= bound
