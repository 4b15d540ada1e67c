from __future__ import annotations

from typing import get_args

import attrs
import pytest

from piktid_async.models import events
from piktid_async.models.events import (
    Acknowledgement,
    Backfill,
    DownloadFinished,
    JobCharged,
    JobEnded,
    JobSubmitted,
    RequestAttempt,
    StreamReconnect,
    TurnWait,
    UploadFinished,
)
from piktid_async.protocol.feed import SYNCED, replayed
from piktid_async.protocol.sse import ServerSentEvent

REQUEST = RequestAttempt(
    method="POST",
    path="/upload",
    route="/upload",
    host="host",
    attempt=1,
    status=200,
    error=None,
    seconds=0.25,
)
LINES = [
    (REQUEST, "POST /upload: 200 in 0.250 s"),
    (attrs.evolve(REQUEST, attempt=2), "POST /upload: 200 in 0.250 s, attempt 2"),
    (
        attrs.evolve(REQUEST, status=None, error="ConnectionFailedError"),
        "POST /upload: ConnectionFailedError in 0.250 s",
    ),
    (
        TurnWait(path="/edit-chat", seconds=1.5, reason="refused"),
        "/edit-chat waited 1.500 s for its turn (refused)",
    ),
    (
        StreamReconnect(attempt=2, delay=0.5, reason="closed by the server"),
        "the stream is opened again in 0.50 s (closed by the server)",
    ),
    (Backfill(notifications=3), "3 notifications were replayed"),
    (
        Acknowledgement(notification_id=7, attempts=1, seconds=0.1, error=None),
        "notification 7: acknowledged, 1 attempt, 0.100 s",
    ),
    (
        Acknowledgement(notification_id=7, attempts=2, seconds=0.1, error="NotFoundError"),
        "notification 7: NotFoundError, 2 attempts, 0.100 s",
    ),
    (UploadFinished(file_id="f", size=9, seconds=2), "uploaded f: 9 bytes in 2.000 s"),
    (DownloadFinished(label="a ZIP", size=9, seconds=2), "downloaded a ZIP: 9 bytes in 2.000 s"),
    (
        JobSubmitted(kind="model_swap", job_id="j", credits=None),
        "model_swap job j submitted, credits estimated: unknown",
    ),
    (
        JobEnded(kind="edit_chat", job_id="j", status="completed", seconds=3, error=None),
        "edit_chat job j: completed, 3.0 s",
    ),
    (
        JobCharged(kind="edit_chat", job_id="j", credits=4.0, completed=2, failed=0),
        "edit_chat job j made 2 images, 0 failed, credits used: 4",
    ),
]


@pytest.mark.parametrize(("event", "line"), LINES, ids=lambda each: type(each).__name__)
def test_a_record_is_one_line_of_a_log(event, line):
    assert str(event) == line


def test_every_record_is_frozen_and_named_among_the_events():
    kinds = {kind for kind in vars(events).values() if attrs.has(kind)}
    assert kinds == set(get_args(events.Event)) == {type(event) for event, _ in LINES}
    for event, _ in LINES:
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            event.topic = "other"


END = ServerSentEvent(event="backfill_complete", data="{}")


@pytest.mark.parametrize(
    ("arrivals", "counted"),
    [
        ([], (0, False)),
        ([b"{}", b"{}"], (2, False)),
        ([END, b"{}"], (0, True)),
        ([b"{}", END], (1, True)),
        ([b"{}", SYNCED, b"{}"], (1, True)),
    ],
)
def test_what_was_replayed_is_counted_up_to_the_end_mark(arrivals, counted):
    assert replayed(arrivals) == counted
