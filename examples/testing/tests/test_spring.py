"""The program's tests, with the fixtures of piktid-async's pytest plugin: no token, no network."""

import asyncio
import json
from pathlib import Path

import pytest
from spring import job_of_webhook, main, recolor_folder

from piktid_async import (
    AccountLimits,
    GarmentRecolor,
    JobTimeoutError,
    Session,
    SubmissionUnknownError,
    WebhookSignatureError,
)
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.imaging import sample_photos
from piktid_async.testing import ManualClock
from piktid_async.webhooks import sign


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, photo in zip(("back.jpg", "front.jpg"), sample_photos(2, size=300), strict=True):
        (tmp_path / name).write_bytes(photo.data)
    return tmp_path


async def test_photos_are_recolored(piktid_session: Session, folder: Path) -> None:
    told = await recolor_folder(piktid_session, folder, "navy")
    assert told == {"back.jpg": "done", "front.jpg": "done"}
    assert sorted(path.name for path in (folder / "navy").iterdir()) == ["back.jpg", "front.jpg"]


async def test_the_program_finds_the_sandbox_by_itself(
    piktid_sandbox: Sandbox, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await main(folder, "navy")
    assert capsys.readouterr().out == "back.jpg done\nfront.jpg done\n"
    assert piktid_sandbox.books.jobs_created == 1


@pytest.mark.piktid_sandbox(faults=Faults(images_fail=1))
async def test_a_failed_photo_is_told(piktid_session: Session, folder: Path) -> None:
    told = await recolor_folder(piktid_session, folder, "navy")
    assert sorted(told.values()) == ["done", "failed"]


@pytest.mark.piktid_sandbox(faults=Faults(submit_lost=1))
async def test_a_lost_answer_pays_nothing_twice(
    piktid_sandbox: Sandbox, piktid_session: Session, folder: Path
) -> None:
    with pytest.raises(SubmissionUnknownError) as caught:
        await recolor_folder(piktid_session, folder, "navy")
    job = await caught.value.reconcile()
    assert job is not None
    assert (await job).status == "completed"
    assert piktid_sandbox.books.jobs_created == 1


@pytest.mark.piktid_session(limits=AccountLimits())  # as the service has them: 5 a minute
async def test_the_sixth_job_waits_for_its_minute(
    piktid_clock: ManualClock, piktid_session: Session, folder: Path
) -> None:
    project = await piktid_session.projects.ensure("spring")
    image = await piktid_session.upload(folder / "front.jpg")
    request = GarmentRecolor(project=project, images=[image], reference_text="navy")
    for _ in range(5):
        await piktid_session.run(request)
    sixth = asyncio.create_task(piktid_session.run(request))
    await piktid_clock.advance(59)
    assert not sixth.done()
    await piktid_clock.advance(1)
    assert (await sixth).status == "completed"


@pytest.mark.piktid_sandbox(seconds_per_image=120)
async def test_patience_ends(
    piktid_clock: ManualClock, piktid_session: Session, folder: Path
) -> None:
    recoloring = recolor_folder(piktid_session, folder, "navy", patience=60)
    with pytest.raises(JobTimeoutError):
        await piktid_clock.until(recoloring)


def test_only_signed_webhooks_are_read() -> None:
    note = {"id": 1, "name": "batch_edit", "timestamp": 0.0, "data": {"id_task": "job_1"}}
    body = json.dumps(note).encode()
    headers = {"X-Webhook-Signature": sign(body, "whsec_1")}
    assert job_of_webhook(body, headers, "whsec_1") == "job_1"
    with pytest.raises(WebhookSignatureError):
        job_of_webhook(body + b" ", headers, "whsec_1")
