from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piktid_async.errors import (
    ActiveJobLimitError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    IdentityLimitError,
    InsufficientCreditsError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ResponseFormatError,
    ServerError,
    StatusError,
)
from piktid_async.protocol.messages import Request, Response
from piktid_async.protocol.responses import error_for, raise_for_status, read_json, read_object
from tests.protocol.support import answer, sample

REQUEST = Request(method="POST", path="/garment-recolor")
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


def error_of(name: str) -> StatusError:
    return error_for(REQUEST.call, sample(name).response)


def words_of(body: Any) -> str:
    return error_for(REQUEST.call, answer(body, 400)).message


def retry_after(value: str, date: str | None = None) -> float | None:
    headers = {"retry-after": value} | ({} if date is None else {"date": date})
    return error_for("GET /x", Response(status=429, headers=headers)).retry_after


# Statuses


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_raises_nothing(status):
    raise_for_status(REQUEST, Response(status=status))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (402, InsufficientCreditsError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (502, ServerError),
        (503, ServerError),
        (599, ServerError),
        (199, StatusError),
        (301, StatusError),
        (304, StatusError),
        (408, StatusError),
        (410, StatusError),
        (418, StatusError),
    ],
)
def test_each_status_has_its_error(status, kind):
    with pytest.raises(StatusError) as caught:
        raise_for_status(REQUEST, answer({"error": "No."}, status))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.call) == (status, "POST /garment-recolor")
    assert caught.value.message == "No."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("recolor_429_jobs", ActiveJobLimitError),
        ("recolor_429_rate", RateLimitError),
        ("identity_429_slots", IdentityLimitError),
    ],
)
def test_the_three_kinds_of_429_are_told_apart_by_their_words(name, kind):
    assert type(error_of(name)) is kind


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Too many active jobs", ActiveJobLimitError),
        ("CONCURRENT JOB LIMIT REACHED", ActiveJobLimitError),
        ("Maximum number of identities", IdentityLimitError),
        ("Too many requests", RateLimitError),
        ("", RateLimitError),
    ],
)
def test_the_words_of_a_429_may_vary_and_the_rate_is_the_default(words, kind):
    assert type(error_for("POST /x", answer({"error": words}, 429))) is kind


def test_a_429_without_a_body_is_a_matter_of_rate():
    assert type(error_for("POST /x", Response(status=429))) is RateLimitError


def test_the_documented_402_names_its_credits():
    error = error_of("recolor_402")
    assert isinstance(error, InsufficientCreditsError)
    found = (error.required_credits, error.in_progress_credits, error.user_credits)
    assert found == (30.0, 5.0, 12.0)
    assert error.message == "Insufficient credits"


# Words


def test_the_documented_validation_body_names_its_fields():
    assert error_of("recolor_400").message == (
        "Invalid request; images: List should have at most 10 items; No recolor target"
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "No."}, "No."),
        ({"message": "No."}, "No."),
        ({"error": "No.", "message": "Never."}, "No."),
        ({"error": None, "message": "Never."}, "Never."),
        ({"error": 5}, ""),
        ({"detail": "No."}, "No."),
        ({"error": "No.", "detail": "Never."}, "No.; Never."),
        ({"detail": [{"field": "a", "message": "bad"}]}, "a: bad"),
        ({"detail": [{"field": "a"}]}, "a: invalid"),
        ({"detail": [{"message": "bad"}, 5, None, "x"]}, "bad"),
        ({"detail": {"field": "a"}}, ""),
        ({}, ""),
        ([], ""),
        ([{"error": "No."}], ""),
        ("No.", ""),
        (None, ""),
        (5, ""),
    ],
)
def test_the_words_are_found_wherever_they_are(body, words):
    assert words_of(body) == words


def test_words_without_end_are_cut():
    assert len(words_of({"error": "x" * 100_000})) == 500
    assert len(words_of({"detail": [{"field": "f" * 100, "message": "m" * 100}] * 100})) == 500


def test_at_most_ten_fields_are_named():
    assert words_of({"detail": [{"field": "f", "message": "m"}] * 50}) == "; ".join(["f: m"] * 10)


def test_a_signed_url_in_the_service_s_words_loses_its_query():
    url = "https://s3.example/a.jpg?X-Amz-Signature=opensesame"
    error = error_for("POST /x", answer({"error": f"Could not fetch {url} in time"}, 400))
    assert "opensesame" not in str(error) + repr(error)
    assert error.message == "Could not fetch https://s3.example/a.jpg?*** in time"


def test_a_signed_url_does_not_escape_by_being_cut_in_two():
    body = {"error": "x" * 460 + " https://s3.example/a.jpg?X-Amz-Signature=opensesame"}
    assert "opens" not in words_of(body)


@pytest.mark.parametrize("body", [b"", HTML, b"\xff\xfe", b"Service Unavailable", b"[" * 5000])
def test_a_body_that_is_no_json_is_no_second_error(body):
    error = error_for("GET /x", Response(status=502, body=body))
    assert (type(error), error.message, error.body) == (ServerError, "", None)
    assert error.summary == "502 on GET /x: no message"


def test_the_parsed_body_is_kept_but_not_shown():
    error = error_for("GET /x", answer({"error": "No.", "seen": "opensesame"}, 400))
    assert error.body == {"error": "No.", "seen": "opensesame"}
    assert "opensesame" not in repr(error) + str(error)


# Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"), [("12", 12.0), ("0", 0.0), (" 7 ", 7.0), ("007", 7.0)]
)
def test_seconds_are_taken_as_they_are(value, seconds):
    assert retry_after(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", "soon", "-1", "+5", "1.5", "1e3", "٣", "²", "12s", "1,2", "NaN", "inf"),
        *("9" * 400, "Tue, 99 Foo 2026 25:61:61 GMT", "Tue, 1 Jan 2020", ",", "Mon,"),
        "Tue, 1 Jan 99999999999999999999 00:00:00 GMT",
        "Tue, 1 Jan 2020 00:00:00 +99999999999999",
    ],
)
def test_garbage_is_as_good_as_nothing(value):
    assert retry_after(value, "Sat, 21 Nov 2026 10:00:00 GMT") is None


def test_no_header_is_no_time():
    assert error_for("GET /x", Response(status=429)).retry_after is None


@pytest.mark.parametrize(
    "value",
    [
        "Sat, 21 Nov 2026 10:01:30 GMT",
        "Saturday, 21-Nov-26 10:01:30 GMT",
        "Sat Nov 21 10:01:30 2026",
        "Sat, 21 Nov 2026 11:01:30 +0100",
    ],
)
def test_a_date_is_reckoned_by_the_server_s_own_clock(value):
    assert retry_after(value, "Sat, 21 Nov 2026 10:00:00 GMT") == 90.0


def test_a_date_in_the_past_is_no_wait():
    date = "Sat, 21 Nov 2026 10:00:00 GMT"
    assert retry_after("Sat, 21 Nov 2026 09:00:00 GMT", date) == 0.0
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", date) == 0.0


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_the_server_s_clock_a_date_long_ago_is_still_no_wait(date):
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", date) == 0.0


@pytest.mark.parametrize("status", [429, 503])
def test_the_header_is_read_for_every_refusal(status):
    response = Response(status=status, headers={"retry-after": "5"})
    assert error_for("GET /x", response).retry_after == 5.0


# Bodies of successes


@pytest.mark.parametrize("value", [{}, [], None, 5, "x", True])
def test_json_of_any_kind_is_read(value):
    assert read_json(REQUEST, answer(value)) == value


@pytest.mark.parametrize("body", [b"", HTML, b"{", b"NaN"])
def test_a_success_that_is_no_json_is_refused(body):
    with pytest.raises(ResponseFormatError, match=r"POST /garment-recolor: .* not JSON"):
        read_json(REQUEST, Response(status=200, body=body))


@pytest.mark.parametrize("value", [[], None, 5, "x", True])
def test_where_an_object_is_promised_nothing_else_will_do(value):
    with pytest.raises(ResponseFormatError, match="an object"):
        read_object(REQUEST, answer(value))


def test_a_refusal_counts_before_its_body():
    with pytest.raises(ServerError):
        read_object(REQUEST, Response(status=500, body=HTML))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    status=st.sampled_from([400, 402, 409, 429, 500]),
    body=st.binary(max_size=30),
    value=st.text(max_size=40),
    date=st.text(max_size=40),
)
def test_any_answer_makes_an_error_and_never_another(status, body, value, date):
    headers = {"retry-after": value, "date": date}
    error = error_for("GET /x", Response(status=status, headers=headers, body=body))
    assert isinstance(error, StatusError)
    assert error.retry_after is None or error.retry_after >= 0
    assert str(error)


DATES = st.builds(
    "{} {} {} {}:{}:{} {}".format,
    *(st.sampled_from(["Mon,", "", "1"]), st.integers(-1, 99), st.sampled_from(["Jan", "x", "13"])),
    *(
        st.integers(-1, 10**20),
        st.integers(-1, 99),
        st.integers(),
        st.sampled_from(["", "GMT", "+1"]),
    ),
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(value=DATES, date=DATES)
def test_what_looks_like_a_date_makes_no_other_error(value, date):
    seconds = retry_after(value, date)
    assert seconds is None or seconds >= 0
