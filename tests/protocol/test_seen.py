from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piktid_async.protocol.seen import States

USUAL, OTHER = 0, 1
ids = st.one_of(st.integers(-3, 12), st.sampled_from(["a", "7", 2**70, -(2**70)]))


@given(st.lists(st.tuples(ids, st.sampled_from([USUAL, OTHER, None]))))
def test_it_holds_what_a_dictionary_holds(changes):
    states, plain = States(USUAL), {}
    for note_id, state in changes:
        if state is not None:
            states[note_id] = plain[note_id] = state
        elif note_id in plain:
            del states[note_id], plain[note_id]
    assert {note_id: states.get(note_id) for note_id in plain} == plain
    assert len(states) == len(plain)
    assert all((note_id in states) == (note_id in plain) for note_id in [*range(-3, 13), "a", "7"])


@pytest.mark.parametrize("state", [USUAL, OTHER])
def test_the_oldest_tenth_is_forgotten_but_for_what_is_kept(state):
    states = States(USUAL)
    for number in range(100):
        states[number] = state
    states.forget(held=[0], never=-1)
    assert 0 in states
    assert 1 not in states
    assert len(states) in (89, 90)
    assert 99 in states


def test_what_is_kept_stands_in_no_way_of_forgetting():
    states = States(USUAL)
    for number in range(100):
        states[number] = OTHER
    states.forget(held=range(50), never=-1)
    assert len(states) == 89


def test_a_state_never_to_forget_is_kept():
    states = States(USUAL)
    for number in range(100):
        states[number] = OTHER
    states.forget(held=(), never=OTHER)
    assert len(states) == 100


def test_thirty_thousand_that_are_done_with_cost_little():
    numbers = list(range(30_000))
    random.Random(1).shuffle(numbers)
    states = States(USUAL)
    tracemalloc.start()
    for number in numbers:
        states[number] = USUAL
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 16 * len(numbers)
