from __future__ import annotations

import copy
import pickle

import pytest

from piktid_async.types import Link, Secret, redact_text, redact_url, shown


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r:>20}".format, "%s".__mod__])
def test_no_way_of_showing_a_secret_shows_it(show):
    assert "opensesame" not in show(Secret("opensesame"))
    assert "***" in show(Secret("opensesame"))


def test_a_secret_has_no_attributes_that_error_trackers_would_collect():
    assert not hasattr(Secret("opensesame"), "__dict__")


def test_a_secret_is_revealed_on_demand():
    assert Secret("opensesame").reveal() == "opensesame"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_neither_pickled_nor_copied(leak):
    with pytest.raises(TypeError, match="not pickled"):
        leak(Secret("opensesame"))


def test_a_link_is_kept_by_copies_and_dropped_by_pickles():
    link = Link(print)
    assert copy.copy(link).target is print
    assert copy.deepcopy([link])[0].target is print
    assert pickle.loads(pickle.dumps(link)).target is None


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (None, "None"),
        ("https://a.example/b/c.jpg", "'https://a.example/b/c.jpg'"),
        ("https://a.example/b?X-Amz-Signature=secret", "'https://a.example/b?***'"),
        ("https://a.example/b#secret", "'https://a.example/b'"),
        ("https://user:secret@a.example:81/b", "'https://a.example:81/b'"),
        ("//user:secret@a.example/b?secret", "'/b?***'"),
        ("a.example/b?secret", "'a.example/b?***'"),
        ("?secret", "'?***'"),
        ("", "''"),
        ("http://[secret/b?secret", "'***'"),
        ("https://a.example/b?", "'https://a.example/b'"),
    ],
)
def test_a_url_is_shown_without_user_query_and_fragment(url, seen):
    assert redact_url(url) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("no URL here? none", "no URL here? none"),
        ("see https://a.example/b. Thanks", "see https://a.example/b. Thanks"),
        ("GET https://a.example/b?X=secret failed", "GET https://a.example/b?*** failed"),
        ('at "https://a.example/?secret", twice', 'at "https://a.example/?***", twice'),
        (
            "HTTPS://a.example?secret https://b.example#secret",
            "HTTPS://a.example?*** https://b.example?***",
        ),
        ("<Url>https://a.example/b?secret&amp;t</Url>", "<Url>https://a.example/b?***</Url>"),
    ],
)
def test_the_words_of_others_lose_the_queries_of_their_urls(text, seen):
    assert redact_text(text) == seen


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"\xff\xd8secret", "<8 bytes>"),
        (bytearray(b"secret"), "<6 bytes>"),
        (memoryview(b"secret"), "<6 bytes>"),
        ("a.jpg", "'a.jpg'"),
        (None, "None"),
    ],
)
def test_bytes_are_shown_by_their_number(value, seen):
    assert shown(value) == seen
