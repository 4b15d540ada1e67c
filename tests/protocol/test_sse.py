from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import EventTooLargeError
from piktid_async.protocol.sse import Decoder, ServerSentEvent

CASES = json.loads(Path(__file__).with_name("sse_cases.json").read_text(encoding="utf-8"))["cases"]

each_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])

QUICK = settings(derandomize=True, deadline=None, max_examples=300)


def events_of(decoder: Decoder, chunk: bytes) -> list[ServerSentEvent]:
    """Feed, and take the events around an oversized one, too."""
    try:
        return decoder.feed(chunk)
    except EventTooLargeError as error:
        return list(error.events)


def run(chunks: Iterable[bytes], **bounds: int) -> tuple[list[ServerSentEvent], str, int | None]:
    decoder = Decoder(**bounds)
    events = [event for chunk in chunks for event in events_of(decoder, chunk)]
    return events, decoder.last_event_id, decoder.retry


def data_of(chunks: Iterable[bytes], **bounds: int) -> list[str]:
    return [event.data for event in run(chunks, **bounds)[0]]


def single_bytes(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def expected(case: dict[str, Any]) -> tuple[list[ServerSentEvent], str, int | None]:
    events = [ServerSentEvent(**event) for event in case["events"]]
    return events, case["final_last_event_id"], case["final_retry_ms"]


# The standard's cases


def test_all_cases_are_there():
    assert len(CASES) == 53


@each_case
def test_a_case_fed_whole(case):
    assert run([bytes.fromhex(case["input_hex"])]) == expected(case)


@each_case
def test_a_case_fed_byte_by_byte(case):
    assert run(single_bytes(bytes.fromhex(case["input_hex"]))) == expected(case)


@each_case
def test_a_case_cut_at_every_position(case):
    stream = bytes.fromhex(case["input_hex"])
    results = [run([stream[:cut], stream[cut:]]) for cut in range(len(stream) + 1)]
    assert results == [expected(case)] * (len(stream) + 1)


@each_case
def test_a_case_with_empty_chunks_between_its_bytes(case):
    pieces = single_bytes(bytes.fromhex(case["input_hex"]))
    assert run(part for byte in pieces for part in (byte, b"")) == expected(case)


@pytest.mark.parametrize("case", [case for case in CASES if "chunks_hex" in case])
def test_a_case_in_its_own_chunks(case):
    assert run(bytes.fromhex(chunk) for chunk in case["chunks_hex"]) == expected(case)


@pytest.mark.parametrize("case", [case for case in CASES if "events_before_eof" in case])
def test_no_event_waits_for_the_end_of_the_stream(case):
    events, _, _ = run(single_bytes(bytes.fromhex(case["input_hex"])))
    assert len(events) == case["events_before_eof"]


# What the cases leave open


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_there_with_the_last_byte_of_its_blank_line(end):
    decoder = Decoder()
    assert decoder.feed(b"data: x" + end) == []
    assert decoder.feed(end[:1]) == [ServerSentEvent("message", "x")]


def test_the_line_feed_after_a_cut_carriage_return_ends_no_second_line():
    decoder = Decoder()
    assert decoder.feed(b"data: a\r") == []
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: b\n\n") == [ServerSentEvent("message", "a\nb")]


def test_the_last_event_id_given_stays_until_the_stream_names_another():
    decoder = Decoder("41")
    assert decoder.feed(b"data: a\n\nid: 42\ndata: b\n\n") == [
        ServerSentEvent("message", "a", "41"),
        ServerSentEvent("message", "b", "42"),
    ]
    assert decoder.last_event_id == "42"


def test_an_unterminated_block_keeps_its_id_to_itself():
    decoder = Decoder("41")
    assert decoder.feed(b"id: 42\ndata: a\n") == []
    assert decoder.last_event_id == "41"


def test_retry_takes_effect_at_once():
    decoder = Decoder()
    decoder.feed(b"retry: 1500\n")
    assert decoder.retry == 1500


def test_leading_zeros_of_retry_do_not_change_it():
    decoder = Decoder()
    decoder.feed(b"retry: 00000000000000001500\n")
    assert decoder.retry == 1500


def test_a_retry_of_zero_is_zero():
    decoder = Decoder()
    decoder.feed(b"retry: 0\n")
    assert decoder.retry == 0


def test_an_id_that_is_no_utf8_is_replaced_not_refused():
    assert Decoder().feed(b"id: \xff\ndata: a\n\n") == [ServerSentEvent("message", "a", "\ufffd")]


def test_an_absurdly_long_retry_is_no_error():
    decoder = Decoder()
    decoder.feed(b"retry: " + b"9" * 10_000 + b"\n")
    assert decoder.retry is not None
    assert decoder.retry >= 999_999_999_999


def test_a_repeated_retry_that_is_malformed_changes_nothing():
    decoder = Decoder()
    decoder.feed(b"retry: 1500\nretry: soon\n")
    assert decoder.retry == 1500


def test_bounds_below_one_byte_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        Decoder(max_line=0)
    with pytest.raises(ValueError, match="1 or more"):
        Decoder(max_event=0)


# Bounds


def test_a_line_of_exactly_the_bound_passes():
    line = b"data: " + b"x" * 94
    assert data_of([line + b"\n\n"], max_line=100) == ["x" * 94]
    assert data_of(single_bytes(line + b"\n\n"), max_line=100) == ["x" * 94]


def test_a_line_one_byte_over_the_bound_is_refused_whole_or_cut():
    stream = b"data: " + b"x" * 95 + b"\n\n"
    with pytest.raises(EventTooLargeError, match="100 bytes a line"):
        Decoder(max_line=100).feed(stream)
    decoder = Decoder(max_line=100)
    assert decoder.feed(stream[:100]) == []
    with pytest.raises(EventTooLargeError):
        decoder.feed(stream[100:101])
    assert decoder.feed(stream[101:]) == []


def test_an_event_of_exactly_the_bound_passes():
    assert data_of([b"data: " + b"x" * 50 + b"\n\n"], max_event=50) == ["x" * 50]
    assert data_of([b"data: xx\ndata: yy\n\n"], max_event=5) == ["xx\nyy"]


def test_an_event_one_byte_over_the_bound_is_refused():
    with pytest.raises(EventTooLargeError):
        Decoder(max_event=50).feed(b"data: " + b"x" * 51 + b"\n\n")
    with pytest.raises(EventTooLargeError):
        Decoder(max_event=4).feed(b"data: xx\ndata: yy\n\n")


def test_many_tiny_data_lines_are_bounded_like_one_long_one():
    decoder = Decoder(max_event=1000)
    refused = [
        chunk for chunk in [b"data\n"] * 5000 if not events_of(decoder, chunk) and decoder._skipping
    ]
    assert len(refused) == 5000 - 1001
    assert decoder.feed(b"\n") == []


def test_the_bound_on_an_event_begins_anew_with_each_event():
    assert data_of([b"data: xxxx\n\n"] * 5, max_event=4) == ["xxxx"] * 5


def test_events_in_the_same_chunk_as_an_oversized_one_are_carried_by_the_error():
    with pytest.raises(EventTooLargeError) as caught:
        Decoder(max_line=20).feed(b"data: a\n\ndata: " + b"x" * 30 + b"\n\ndata: b\n\n")
    assert [event.data for event in caught.value.events] == ["a", "b"]


def test_events_after_an_oversized_one_come_from_the_later_feeds():
    decoder = Decoder(max_line=20)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"x" * 30)
    assert decoder.feed(b"xxx\ndata: still the same event\n\n") == []
    assert decoder.feed(b"data: b\n\n") == [ServerSentEvent("message", "b")]


def test_an_oversized_event_is_reported_once_however_it_is_cut():
    decoder = Decoder(max_line=20)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"x" * 30)
    assert [decoder.feed(b"x" * 30) for _ in range(10)] == [[]] * 10
    assert decoder.feed(b"\n\n") == []


def test_a_line_cut_short_at_its_very_end_is_no_blank_line():
    decoder = Decoder(max_line=20)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"x" * 15)
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: still the same\n\n") == []
    assert decoder.feed(b"data: b\n\n") == [ServerSentEvent("message", "b")]


def test_nothing_of_a_skipped_event_is_left_to_the_next():
    stream = b"data: a\ndata: " + b"x" * 30 + b"\ndata: c\n\ndata: b\n\n"
    assert data_of([stream], max_line=20) == ["b"]


def test_each_oversized_event_of_several_feeds_is_reported():
    decoder = Decoder(max_line=20)
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"x" * 30 + b"\n\n")
    with pytest.raises(EventTooLargeError):
        decoder.feed(b"data: " + b"y" * 30 + b"\n\n")


def test_the_id_of_a_skipped_event_is_not_committed():
    stream = b"id: 1\ndata: a\n\nid: 2\ndata: " + b"x" * 30 + b"\nid: 3\n\n"
    assert run([stream], max_line=20)[1] == "1"
    assert run(single_bytes(stream), max_line=20)[1] == "1"
    events, _, _ = run([stream, b"data: b\n\n"], max_line=20)
    assert events == [ServerSentEvent("message", "a", "1"), ServerSentEvent("message", "b", "1")]


def test_the_type_of_a_skipped_event_does_not_leak_into_the_next():
    stream = b"event: big\ndata: " + b"x" * 30 + b"\n\ndata: b\n\n"
    assert run([stream], max_line=20)[0] == [ServerSentEvent("message", "b")]


@pytest.mark.parametrize("field", [b":", b"data: ", b"event: ", b"id: ", b"retry: ", b"unknown: "])
def test_an_endless_line_of_any_field_keeps_memory_bounded(field):
    decoder = Decoder(max_line=1000, max_event=1000)
    with pytest.raises(EventTooLargeError):
        decoder.feed(field + b"1" * 1000)
    tracemalloc.start()
    try:
        fed = [decoder.feed(b"1" * 1000) for _ in range(1000)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert fed == [[]] * 1000
    assert kept < 100_000
    assert decoder.feed(b"\n\ndata: b\n\n") == [ServerSentEvent("message", "b")]


def test_an_endless_run_of_tiny_data_lines_keeps_memory_bounded():
    decoder = Decoder(max_event=10_000)
    tracemalloc.start()
    try:
        assert not [event for _ in range(100) for event in events_of(decoder, b"data:ab\n" * 1000)]
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 400_000


def test_an_oversized_comment_spoils_nothing_but_its_own_block():
    stream = b"data: a\n\n:" + b"x" * 30 + b"\n\ndata: b\n\n"
    assert data_of([stream], max_line=20) == ["a", "b"]
    assert data_of(single_bytes(stream), max_line=20) == ["a", "b"]


def test_the_error_pickles_with_its_events_and_shows_none_of_the_data():
    with pytest.raises(EventTooLargeError) as caught:
        Decoder(max_line=20).feed(b"data: secret-one\n\ndata: " + b"x" * 30 + b"\n\n")
    assert "secret" not in str(caught.value) + repr(caught.value)
    assert "xxx" not in str(caught.value) + repr(caught.value)


# Cost


class Watched(bytearray):
    """Counts the bytes that are read out of it or moved within it."""

    touched = 0

    def _touch(self, count: int) -> None:
        type(self).touched += count

    def __iadd__(self, other: Any) -> Self:
        self._touch(len(other))
        self.extend(other)
        return self

    def __add__(self, other: Any) -> Watched:
        self._touch(len(self) + len(other))
        return Watched(bytes(memoryview(self)) + bytes(other))

    def __bytes__(self) -> bytes:
        self._touch(len(self))
        return memoryview(self).tobytes()

    def __contains__(self, other: Any) -> bool:
        self._touch(len(self))
        return super().__contains__(other)

    def split(self, *args: Any) -> Any:
        self._touch(len(self))
        return super().split(*args)

    def find(self, *args: Any) -> int:
        self._touch(len(self))
        return super().find(*args)


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_an_unfinished_line_is_neither_copied_nor_searched_again(monkeypatch, piece):
    """Bytes touched, not seconds: twice the line may cost twice the work, not four times."""
    stream = b"data: " + b"x" * 20_000 + b"\n\n"
    monkeypatch.setattr(Watched, "touched", 0)
    decoder = Decoder()
    decoder._line = Watched()
    chunks = [stream[at : at + piece] for at in range(0, len(stream), piece)]
    assert [len(event.data) for chunk in chunks for event in decoder.feed(chunk)] == [20_000]
    assert 20_000 <= Watched.touched <= 3 * len(stream)


def calls_for(chunks: list[bytes]) -> int:
    """Count the function calls, Python's and C's, that decoding takes."""
    decoder = Decoder()
    count = 0

    def note(frame: object, kind: str, what: object) -> None:
        nonlocal count
        count += kind in ("call", "c_call")

    sys.setprofile(note)
    try:
        for chunk in chunks:
            decoder.feed(chunk)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "chunk", [b"data: x\n", b"data: x\n\n", b": keepalive\n\n", b"x", b"\r"], ids=repr
)
def test_work_grows_with_the_bytes_and_no_faster(chunk):
    once, twice = calls_for([chunk] * 1000), calls_for([chunk] * 2000)
    assert twice <= 2.1 * once
    whole, double = calls_for([chunk * 1000]), calls_for([chunk * 2000])
    assert double <= 2.1 * whole


# Any bytes, any chunks


LINES = st.sampled_from(
    [
        *(b"data: x", b"data", b"data:", b"data: " + b"y" * 9, b"data: \xc3\xa9\xff"),
        *(b"id: 7", b"id", b"id: \x00", b"event: e", b"retry: 5", b":c", b"\xef\xbb\xbf"),
    ]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b""])
STREAMS = st.one_of(
    st.lists(st.one_of(LINES, ENDS), max_size=25).map(b"".join),
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"d", b":", b"\r", b"\n", b"\0", b"\xef", b"\xbb", b"\xbf"])).map(
        b"".join
    ),
)


def cut(stream: bytes, borders: list[int]) -> list[bytes]:
    at = [0, *sorted(border % (len(stream) + 1) for border in borders), len(stream)]
    return [stream[start:end] for start, end in pairwise(at)]


@QUICK
@given(stream=STREAMS, borders=st.lists(st.integers(0, 1000), max_size=8))
def test_chunk_borders_never_matter(stream, borders):
    assert run(cut(stream, borders)) == run([stream])


@QUICK
@given(
    stream=STREAMS,
    borders=st.lists(st.integers(0, 1000), max_size=8),
    max_line=st.integers(1, 14),
    max_event=st.integers(1, 14),
)
def test_chunk_borders_never_matter_near_the_bounds(stream, borders, max_line, max_event):
    whole = run([stream], max_line=max_line, max_event=max_event)
    assert run(cut(stream, borders), max_line=max_line, max_event=max_event) == whole
    assert run(single_bytes(stream), max_line=max_line, max_event=max_event) == whole


@QUICK
@given(stream=STREAMS, max_event=st.integers(1, 14))
def test_no_event_passes_its_bound(stream, max_event):
    events, _, _ = run([stream], max_event=max_event)
    # A byte that is no UTF-8 becomes one character of three bytes.
    assert all(len(event.data) <= max_event for event in events)


@QUICK
@given(stream=STREAMS, data=st.text(alphabet="ab é\u2028", min_size=1, max_size=20))
def test_after_any_bytes_a_blank_line_makes_the_decoder_sound_again(stream, data):
    decoder = Decoder()
    events_of(decoder, stream + b"\n\n")
    decoder.feed(b"\n")
    (event,) = decoder.feed(f"data: {data}\n\n".encode())
    assert event.data == data


# In bulk: blocks at a time must say what lines do

blocks = st.sampled_from(
    [
        b"data: {}\n\n",
        b"data: one\n\n",
        b"data:  two\n\n",
        b"data: \n\n",
        b"data:x\n\n",
        b"data\n\n",
        b"data: a\ndata: b\n\n",
        b": keepalive\n\n",
        b":\ndata: after a comment\n\n",
        b"\n",
        b"\n\n",
        b"event: backfill\ndata: {}\n\n",
        b"id: 4\ndata: with an id\n\n",
        b"id:\n\n",
        b"id: 5\n",
        b"id:\n",
        b"event: named\n",
        b"retry: 7\n\n",
        b"data: cr\r\n\r\n",
        b"data: cr\r\r",
        b"\r",
        b"data: \xff\n\n",
        b"\xef\xbb\xbf",
        b"data: \n\ndata: \n\n",
        b"data: long" + b"g" * 40 + b"\n\n",
        b"da",
        b"data: ",
    ]
)


@settings(derandomize=True, deadline=None, max_examples=800)
@given(
    st.lists(blocks, max_size=14).map(b"".join),
    st.lists(st.integers(0, 120), max_size=6),
    st.sampled_from([{}, {"max_line": 30}, {"max_event": 9}]),
)
def test_any_chunks_say_what_single_bytes_do(stream, cuts, bounds):
    at = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(at)]
    assert run(chunks, **bounds) == run(single_bytes(stream), **bounds)


def test_events_that_are_only_data_come_as_bytes():
    assert Decoder().read(b": hello\n\ndata: a\n\ndata: b\ndata: c\n\nevent: e\ndata: d\n\n") == [
        b"a",
        b"b\nc",
        ServerSentEvent("e", "d"),
    ]
