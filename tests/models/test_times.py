from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from piktid_async.errors import InvalidRequestError
from piktid_async.models.times import token_life, utc_text


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (timedelta(hours=1), 3600),
        (timedelta(days=30, microseconds=500_000), 2592000.5),
        (3600, 3600),
        (86400.5, 86400.5),
        ("P4Y", "P4Y"),
        ("P1M", "P1M"),
        ("PT90M", "PT90M"),
        ("P2W", "P2W"),
        ("1d,01:02:03.000004", "1d,01:02:03.000004"),
        ("1D01:02:03.000004", "1D01:02:03.000004"),
        ("01:02:03", "01:02:03"),
        ("30D", "30D"),
        ("3600", "3600"),
    ],
)
def test_a_life_is_sent_as_it_is_given(given: Any, sent: Any) -> None:
    assert token_life(given) == sent
    assert type(token_life(given)) is type(sent)


@pytest.mark.parametrize(
    "given",
    [
        timedelta(minutes=59),
        timedelta(days=1462),
        3599.9,
        0,
        -3600,
        float("nan"),
        float("inf"),
        "PT59M",
        "P5Y",
        "-P1D",
        "-1D",
        "00:59:59",
        "9" * 400 + "D",
    ],
)
def test_a_life_out_of_bounds_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="1 hour to 4 years"):
        token_life(given)


@pytest.mark.parametrize("given", ["", "P", "PT", "soon", "1 day", None, True, b"3600"])
def test_a_life_that_is_none_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="must be a timedelta"):
        token_life(given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5))), "2026-01-01T05:00:00Z"),
        (date(2026, 1, 2), "2026-01-02T00:00:00Z"),
        ("2026-01-02", "2026-01-02"),
    ],
)
def test_a_moment_is_written_in_utc(given: Any, text: str) -> None:
    assert utc_text("start", given) == text


@pytest.mark.parametrize("given", [datetime(2026, 1, 1), "tomorrow", 5, None])  # noqa: DTZ001
def test_what_is_no_moment_is_refused_by_name(given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="start"):
        utc_text("start", given)
