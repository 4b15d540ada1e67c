from __future__ import annotations

import pytest

from piktid_async.protocol.loans import Loans


def lent(feeds: int) -> Loans:
    loans = Loans()
    loans.lend(1, feeds)
    return loans


def test_the_last_feed_to_come_back_gets_the_outcome():
    loans = lent(3)
    assert loans.back(1, "handled") is None
    assert loans.back(1, "handled") is None
    assert 1 in loans
    assert loans.back(1, "handled") == "handled"
    assert 1 not in loans


@pytest.mark.parametrize("order", [("handled", "given back"), ("given back", "handled")])
def test_one_feed_that_crashes_leaves_it_unhandled_in_either_order(order):
    loans = lent(2)
    assert loans.back(1, order[0]) is None
    assert loans.back(1, order[1]) == "unhandled"


@pytest.mark.parametrize("order", [("handled", "passed"), ("passed", "handled")])
def test_one_feed_that_has_not_read_it_stands_in_nobodys_way(order):
    loans = lent(2)
    assert loans.back(1, order[0], ours=True) is None
    assert loans.back(1, order[1], ours=True) == "handled as ours"


def test_what_no_feed_has_read_is_passed_on():
    loans = lent(2)
    assert loans.back(1, "passed", ours=True) is None
    assert loans.back(1, "passed", ours=True) == "passed"


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_one_feed_that_may_acknowledge_is_enough_in_either_order(order):
    loans = lent(2)
    assert loans.back(1, "handled", ours=order[0]) is None
    assert loans.back(1, "handled", ours=order[1]) == "handled as ours"


def test_a_feed_that_may_acknowledge_but_crashed_does_not():
    loans = lent(2)
    assert loans.back(1, "given back", ours=True) is None
    assert loans.lend_again(1)
    assert loans.back(1, "handled") is None
    assert loans.back(1, "handled") == "handled"


def test_what_was_given_back_is_given_to_one_feed_more_and_no_second():
    loans = lent(2)
    assert not loans.lend_again(1)
    assert loans.back(1, "given back") is None
    assert loans.lend_again(1)
    assert not loans.lend_again(1)
    assert loans.back(1, "handled") is None
    assert loans.back(1, "handled") == "handled"


def test_what_is_not_lent_does_not_come_back():
    assert Loans().back(1, "handled") is None
    assert not Loans().lend_again(1)


def test_what_was_acknowledged_meanwhile_has_no_outcome():
    loans = lent(1)
    loans.forget(1)
    loans.forget(1)
    assert loans.back(1, "given back") is None
