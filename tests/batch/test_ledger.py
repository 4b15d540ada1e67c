"""Which state may follow which, and what it costs; a table and no file."""

from __future__ import annotations

import itertools

import pytest

from piktid_async import BudgetExceededError, InvalidRequestError
from piktid_async.batch.ledger import (
    FOLLOWS,
    WITH_JOB,
    Bound,
    LedgerError,
    Row,
    State,
    Totals,
    advanced,
    intended,
)

NOW = "2026-01-02T03:04:05.678+00:00"
ALLOWED = {
    "pending": "intent failed",
    "intent": "pending in_doubt submitted",
    "in_doubt": "submitted pending failed",
    "submitted": "terminal failed in_doubt",
    "terminal": "saved failed",
    "saved": "done terminal",
    "done": "",
    "failed": "pending",
}


def row(state: State, **more: object) -> Row:
    job = {"job_id": "j"} if state in WITH_JOB else {}
    return Row(**{"key": "k", "seq": 1, "state": state, **job, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_every_step_is_allowed_or_refused_as_the_table_says(before, after):
    changes = {"job_id": "j" if after in WITH_JOB else None}
    if after in ALLOWED[before].split():
        assert advanced(row(before), after, NOW, changes).state is after
    else:
        with pytest.raises(LedgerError, match=f"is {before}: it cannot become {after}"):
            advanced(row(before), after, NOW, changes)


def test_a_late_doubt_does_not_drop_the_job_that_was_found_meanwhile():
    with pytest.raises(LedgerError, match="cannot become in_doubt with job 'j'"):
        advanced(row(State.SUBMITTED), State.IN_DOUBT, NOW, {"reason": "no answer has come"})


def test_every_state_can_reach_an_end():
    ends = {State.DONE, State.FAILED}
    for state in State:
        reached = {state}
        while more := {each for known in reached for each in FOLLOWS[known]} - reached:
            reached |= more
        assert reached & ends


def test_a_job_belongs_to_the_states_that_have_one():
    with pytest.raises(LedgerError):
        advanced(row(State.INTENT), State.SUBMITTED, NOW, {})
    with pytest.raises(LedgerError):
        advanced(row(State.PENDING), State.INTENT, NOW, {"job_id": "j"})


@pytest.mark.parametrize(
    ("before", "spent"),
    [
        (row(State.PENDING, estimate=5.0), 0.0),
        (row(State.INTENT, estimate=5.0), 5.0),
        (row(State.IN_DOUBT, estimate=5.0), 5.0),
        (row(State.SUBMITTED, estimate=5.0), 5.0),
        (row(State.DONE, estimate=5.0, credits_used=4.0), 4.0),
        (row(State.FAILED, estimate=5.0), 0.0),
        (row(State.FAILED, estimate=5.0, job_id="j"), 5.0),
        (row(State.FAILED, estimate=5.0, job_id="j", credits_used=0.0), 0.0),
        (row(State.PENDING, sunk=3.0, estimate=5.0), 3.0),
    ],
)
def test_what_a_product_counts_against_the_budget(before, spent):
    assert before.spent == spent


def test_a_failed_job_that_is_submitted_again_has_still_been_paid():
    failed = row(State.FAILED, job_id="j", credits_used=4.0, estimate=5.0, made=1)
    again = advanced(failed, State.PENDING, NOW, {})
    assert (again.job_id, again.made, again.spent) == (None, 0, 4.0)
    assert advanced(again, State.INTENT, NOW, {}).spent == 9.0


def test_a_doubt_that_the_user_ends_has_cost_nothing():
    assert advanced(row(State.IN_DOUBT, estimate=5.0), State.PENDING, NOW, {}).spent == 0.0


def test_the_budget_bears_what_fits_exactly_and_no_more():
    fits = intended(row(State.PENDING), NOW, {"estimate": 5.0}, Bound(10.0, 5.0))
    assert (fits.state, fits.attempt) == (State.INTENT, 1)
    with pytest.raises(BudgetExceededError, match=r"5 credits on top of 5\.5"):
        intended(row(State.PENDING), NOW, {"estimate": 5.0}, Bound(10.0, 5.5))
    with pytest.raises(InvalidRequestError, match="max_credits"):
        intended(row(State.PENDING), NOW, {"estimate": None}, Bound(10.0, 0.0))
    assert intended(row(State.PENDING), NOW, {"estimate": None}, Bound(None, 0.0)).estimate is None


def test_totals_are_what_counting_anew_gives():
    totals = Totals()
    first = row(State.PENDING)
    totals.replace(None, first)
    sent = advanced(first, State.INTENT, NOW, {"estimate": 5.0})
    totals.replace(first, sent)
    assert totals.states[State.INTENT] == 1
    assert totals.states[State.PENDING] == 0
    assert (totals.spent, totals.estimated) == (5.0, 5.0)
