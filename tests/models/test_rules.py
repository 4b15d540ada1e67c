from __future__ import annotations

import attrs
import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models import rules


@attrs.frozen
class Checked:
    number: int = attrs.field(default=1, validator=rules.whole_number(1, 3))
    choice: object = attrs.field(default="a", validator=rules.one_of("a", 1))
    switch: bool = attrs.field(default=True, validator=rules.boolean)
    words: str | None = attrs.field(default=None, validator=rules.optional(rules.text))


@pytest.mark.parametrize("number", [1, 2, 3])
def test_whole_numbers_include_both_ends(number):
    assert Checked(number=number).number == number


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("number", 4, "number: must be a whole number from 1 to 3, not 4"),
        ("number", True, "number: must be a whole number from 1 to 3, not True"),
        ("choice", True, "choice: must be one of 'a', 1, not True"),
        ("choice", 1.0, "choice: must be one of 'a', 1, not 1.0"),
        ("switch", 1, "switch: must be True or False, not 1"),
        ("words", "\t", r"words: must be a non-empty text, not '\t'"),
        ("words", b"xyz", "words: must be a non-empty text, not <3 bytes>"),
    ],
)
def test_a_broken_rule_names_field_rule_and_value(field, value, sentence):
    with pytest.raises(InvalidRequestError) as caught:
        Checked(**{field: value})
    assert str(caught.value) == sentence
    assert caught.value.field == field


def test_none_is_fine_where_the_rule_is_optional():
    assert Checked(words=None).words is None


@pytest.mark.parametrize("value", ["ab", b"ab", {"a": 1}, 5, None])
def test_what_is_no_list_is_refused_by_type(value):
    with pytest.raises(InvalidRequestError, match=f"must be a list, not {type(value).__name__}"):
        rules.as_tuple("things", value)


def test_iterables_become_tuples():
    assert rules.as_tuple("things", iter([1, 2])) == (1, 2)
