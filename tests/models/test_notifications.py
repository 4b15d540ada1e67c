from __future__ import annotations

import pickle

import attrs
import pytest

from piktid_async.errors import ConfigurationError
from piktid_async.models.notifications import (
    BatchEdit,
    IdentityPreprocessing,
    ImageResult,
    Notification,
    UnknownPayload,
    WireNotification,
)
from piktid_async.types import Link, NoteId

SIGNED = "https://cdn.example/0.png?Signature=opensesame"
IMAGE = ImageResult(
    image_index=0, status="completed", output_link=SIGNED, output_thumbnail_link=SIGNED
)
NOTE = Notification(1, "image_result", 0.0, "job_1", IMAGE, {"output_link": SIGNED})


@pytest.mark.parametrize(
    "shown", [IMAGE, NOTE, WireNotification(1, "image_result", 0.0, "job_1", {"link": SIGNED})]
)
def test_a_notification_shows_no_signed_query(shown):
    assert "opensesame" not in repr(shown)


async def test_a_notification_of_no_session_says_so_when_acknowledged():
    with pytest.raises(ConfigurationError, match="did not come from a session"):
        await NOTE.ack()
    with pytest.raises(ConfigurationError, match="did not come from a session"):
        await pickle.loads(pickle.dumps(NOTE)).ack()


async def test_a_notification_is_acknowledged_by_its_id():
    async def delete(note_id: NoteId) -> None:
        deleted.append(note_id)

    deleted: list[NoteId] = []
    await attrs.evolve(NOTE, acker=Link(delete)).ack()
    assert deleted == [1]


def test_where_a_notification_came_from_does_not_make_it_another():
    assert attrs.evolve(NOTE, acker=Link(print)) == NOTE
    assert pickle.loads(pickle.dumps(NOTE)) == NOTE


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (NOTE, "id"),
        (IMAGE, "status"),
        (BatchEdit(status="pending"), "status"),
        (IdentityPreprocessing(), "status"),
        (UnknownPayload(), "reason"),
    ],
)
def test_values_cannot_be_changed_in_place(value, field):
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, field, "x")
