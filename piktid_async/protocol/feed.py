"""Events of the stream, and bodies of webhooks, to notifications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from piktid_async.errors import ResponseFormatError
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.parsing import parsed
from piktid_async.protocol.sse import ServerSentEvent


class Synced:
    """The backfill is over: what comes now is live."""


SYNCED: Final = Synced()

Arrival: TypeAlias = bytes | ServerSentEvent | WireNotification | Synced
"""What a stream tells, read or not: nearly all of it is the bare data of one notification."""

PING: Final = "ping"
"""Name of the notification that is sent when a webhook is registered."""
BACKFILLED: Final = "backfill_complete"
"""Name of the event that ends it."""
NO_ID: Final = ""
"""Id of a notification that came without one; no real id is empty."""


def read_event(event: ServerSentEvent) -> WireNotification | Synced:
    """Turn one event into a notification; raise `ResponseFormatError` when it is none.

    The backfill and live messages hold the same objects; only the end mark differs. An event
    name that is not known is read like a live one: its data decides.
    https://docs.piktid.com/docs/v2/notifications/notifications_stream__get
    """
    if event.event == BACKFILLED:
        return SYNCED
    return read_notification(event.data)


def replayed(arrivals: Sequence[Arrival]) -> tuple[int, bool]:
    """Count the notifications up to the end of the backfill; return whether that was there."""
    for number, arrival in enumerate(arrivals):
        event = arrival.event if isinstance(arrival, ServerSentEvent) else None
        if isinstance(arrival, Synced) or event == BACKFILLED:
            return number, True
    return len(arrivals), False


def read_arrival(arrival: Arrival) -> WireNotification | Synced:
    """Turn whatever a stream tells into a notification; raise `ResponseFormatError` as above."""
    if isinstance(arrival, bytes):
        return read_notification(arrival)
    return read_event(arrival) if isinstance(arrival, ServerSentEvent) else arrival


def read_webhook(body: bytes) -> WireNotification:
    """Read the verified body of a webhook.

    The body of a `ping` is not documented: one that has no id gets `NO_ID`, and its name may
    also be called `event` or `type`.
    """
    value = parsed("notification", body)
    if isinstance(value, dict):
        names = [value.get(key) for key in ("name", "event", "type")]
        if PING in names and not value.get("id"):
            data = value.get("data")
            told = data if isinstance(data, dict) else {}
            return WireNotification(NO_ID, PING, 0.0, None, told)
    return notification_of(value)


def read_notification(text: str | bytes) -> WireNotification:
    """Check the outer shape of one notification and find its job."""
    if isinstance(text, bytes):
        # As the standard reads a stream: what is no UTF-8 becomes U+FFFD.
        text = text.decode("utf-8", "replace")
    return notification_of(parsed("notification", text))


def notification_of(value: Any) -> WireNotification:
    """Check the outer shape of one notification that is parsed already."""
    try:
        note_id, name, data = value["id"], value["name"], value.get("data")
        timestamp = value.get("timestamp")
    except (TypeError, KeyError, AttributeError):
        raise ResponseFormatError("notification", "an object with id and name expected") from None
    if type(note_id) is not int and not (isinstance(note_id, str) and note_id):
        raise ResponseFormatError("notification", "id: a number or a text expected")
    if not isinstance(name, str):
        raise ResponseFormatError("notification", "name: a text expected")
    if not isinstance(data, dict):
        data = {}
    # The guides read either key.
    job_id = data.get("id_task") or data.get("job_id")
    return WireNotification(
        note_id,
        name,
        float(timestamp) if type(timestamp) in (float, int) else 0.0,
        job_id if isinstance(job_id, str) else str(job_id) if type(job_id) is int else None,
        data,
    )
