from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from piktid_async import (
    AccountLimits,
    BudgetExceededError,
    ConflictError,
    ConnectionFailedError,
    CreateIdentity,
    IdentityFailedError,
    IdentityInstruction,
    IdentityLimitError,
    IdentityPreprocessing,
    IdentityTimeoutError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobResult,
    NotFoundError,
    Session,
    SessionClosedError,
    StreamSettings,
    StreamSource,
    UploadError,
)
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.settings import SandboxLimits

PICTURE = b"\xff\xd8\xff\xe0" + bytes(2000)
QUICK = StreamSettings(
    keepalive=0.2,
    silent_after=0.5,
    silent_longest=2.0,
    poll_every=0.02,
    reconnect_base=0.01,
    reconnect_cap=0.1,
    open_wait=1.0,
    close_wait=2.0,
)
STATUS = "GET /identity/{code}/status"
PROMOTE = "POST /identity/promote-generated"


@asynccontextmanager
async def running(
    *, faults: Faults | None = None, limits: SandboxLimits | None = None, **options: object
) -> AsyncIterator[tuple[Sandbox, Callable[..., Session]]]:
    """Start a sandbox that draws nothing, and sessions on it."""
    chosen = {"render": False, "seconds_per_image": 0.02, "keepalive": 0.1, **options}
    async with Sandbox(faults=faults, limits=limits, **chosen) as sandbox:  # type: ignore[arg-type]

        def session(**more: object) -> Session:
            settings = {"limits": AccountLimits.unlimited(), "stream": QUICK, "timeout": 10.0}
            return Session(sandbox.token, base_url=sandbox.url, **{**settings, **more})  # type: ignore[arg-type]

        yield sandbox, session


async def drafts(session: Session, count: int = 1) -> JobResult:
    job = await session.identities.create(
        [IdentityInstruction(prompt="a tall person", num_variations=count)], name="Spring"
    )
    return await job


# Upload and ensure


async def test_an_uploaded_identity_is_found_by_code_and_by_name() -> None:
    async with running() as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna", tag="studio")
        assert made.face_detected
        assert made.image_description == {"tag": "studio"}
        found = await session.identities.get(made)
        assert (found.identity_code, found.name) == (made.identity_code, "Anna")
        assert [each.name async for each in session.identities.list(search="ann")] == ["Anna"]
        mine = [each async for each in session.identities.list(ownership="mine")]
        assert [each.identity_code for each in mine] == [made.identity_code]


async def test_a_name_that_is_taken_is_a_conflict_with_the_code_of_the_one_there() -> None:
    async with running() as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        with pytest.raises(ConflictError) as caught:
            await session.identities.upload(PICTURE, "Anna")
        assert caught.value.identity_code == made.identity_code


async def test_ensure_from_twenty_tasks_makes_one_identity() -> None:
    async with running() as (_, make), make() as session:
        found = await asyncio.gather(
            *(session.identities.ensure(PICTURE, "Anna") for _ in range(20))
        )
        assert len({each.identity_code for each in found}) == 1
        assert len([each async for each in session.identities.list(ownership="mine")]) == 1


async def test_ensure_whose_answer_was_lost_is_sent_again_and_finds_what_it_made() -> None:
    async with running(faults=Faults(submit_lost=1)) as (sandbox, make), make() as session:
        made = await session.identities.ensure(PICTURE, "Anna")
        assert made.name == "Anna"
        assert sandbox.books.api_requests["POST /identity/upload"] == 2
        assert len([each async for each in session.identities.list(ownership="mine")]) == 1


async def test_upload_whose_answer_was_lost_is_not_sent_again() -> None:
    async with running(faults=Faults(submit_lost=1)) as (sandbox, make), make() as session:
        with pytest.raises(ConnectionFailedError):
            await session.identities.upload(PICTURE, "Anna")
        assert sandbox.books.api_requests["POST /identity/upload"] == 1


async def test_a_source_that_cannot_be_read_is_refused_before_anything_is_sent() -> None:
    async with running() as (sandbox, make), make() as session:
        with pytest.raises(UploadError, match="nowhere"):
            await session.identities.upload("/nowhere/face.jpg", "Anna")
        assert sandbox.books.api_requests == {}


async def test_a_stream_that_ends_early_is_the_error_and_not_the_broken_connection() -> None:
    async def short() -> AsyncIterator[bytes]:
        yield PICTURE[:100]

    async with running() as (_, make), make() as session:
        with pytest.raises(UploadError, match="ended after 100 of 2004"):
            await session.identities.upload(StreamSource(short(), 2004, "a.jpg"), "Anna")
        assert [each async for each in session.identities.list(ownership="mine")] == []


async def test_no_slot_left_is_raised_at_once() -> None:
    async with running(limits=SandboxLimits(identities=1)) as (sandbox, make), make() as session:
        await session.identities.upload(PICTURE, "Anna")
        with pytest.raises(IdentityLimitError, match="Maximum identities"):
            await session.identities.upload(PICTURE, "Berta")
        assert sandbox.books.api_requests["POST /identity/upload"] == 2


async def test_points_of_view_and_metadata_are_changed() -> None:
    async with running() as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        pov = await session.identities.upload_pov(made, PICTURE, 2)
        assert (pov.pov_index, pov.processed_count) == (2, 1)
        assert pov.processed_images[0].link
        changed = await session.identities.update_metadata(made, gender="female", age=31)
        assert changed.image_description == {"gender": "female", "age": 31}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "tag"),
        ({"tag": " "}, "tag"),
        ({"gender": "Male"}, "gender"),
        ({"age": -1}, "age"),
        ({"age": True}, "age"),
    ],
)
async def test_metadata_against_the_rules_is_not_sent(
    changes: dict[str, object], field: str
) -> None:
    async with running() as (sandbox, make), make() as session:
        with pytest.raises(InvalidRequestError) as caught:
            await session.identities.update_metadata("abc", **changes)
        assert caught.value.field == field
        assert sandbox.books.api_requests == {}


# Waiting


async def test_wait_returns_when_a_notification_tells_and_the_status_agrees() -> None:
    settings = {"silent_after": 60.0, "silent_longest": 60.0, "poll_every": 60.0}
    async with running() as (sandbox, make):
        async with make(stream=StreamSettings(**settings)) as session:
            made = await session.identities.upload(PICTURE, "Anna")
            ready = await session.identities.wait(made, timeout=10)
            assert ready.ready
        # it was this session's: nobody else needs them
        assert sandbox.books.notifications_outstanding == ()


async def test_wait_without_a_stream_lives_on_status_calls() -> None:
    async with running() as (sandbox, make):
        async with make(stream=StreamSettings(connect=False, poll_every=0.01)) as session:
            made = await session.identities.upload(PICTURE, "Anna")
            assert (await session.identities.wait(made.identity_code, timeout=10)).ready
        assert "GET /notifications/events" not in sandbox.books.api_requests


async def test_wait_whose_notifications_are_lost_asks_after_a_silence() -> None:
    async with running(faults=Faults(drop_events=100)) as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        assert (await session.identities.wait(made, timeout=10)).ready


async def test_wait_for_what_another_session_made_leaves_its_notifications() -> None:
    async with running() as (sandbox, make):
        async with make() as theirs, make() as ours:
            made = await theirs.identities.upload(PICTURE, "Anna")
            await ours.identities.wait(made.identity_code, timeout=10)
        assert len(sandbox.books.notifications_outstanding) == 2


async def test_waiting_for_one_leaves_the_notifications_of_the_other_to_its_waiter() -> None:
    async with running() as (sandbox, make):
        async with make() as session:
            both = [await session.identities.upload(PICTURE, name) for name in ("Anna", "Berta")]
            await asyncio.gather(*(session.identities.wait(each, 10) for each in both))
        assert sandbox.books.notifications_outstanding == ()


async def test_acks_that_are_off_leave_the_notifications() -> None:
    async with running() as (sandbox, make):
        async with make(ack="never") as session:
            made = await session.identities.upload(PICTURE, "Anna")
            await session.identities.wait(made, timeout=10)
        assert len(sandbox.books.notifications_outstanding) == 2


async def test_a_feed_beside_the_wait_sees_the_notifications() -> None:
    async with (
        running() as (_, make),
        make() as session,
        session.notifications(names=["identity_preprocessing"]) as feed,
    ):
        made = await session.identities.upload(PICTURE, "Anna")
        await session.identities.wait(made, timeout=10)
        payloads = [(await anext(feed)).payload for _ in range(2)]
        assert all(isinstance(each, IdentityPreprocessing) for each in payloads)
        assert {each.identity_code for each in payloads} == {made.identity_code}  # type: ignore[union-attr]


async def test_a_preparation_that_failed_raises_with_the_services_words() -> None:
    async with running(faults=Faults(identities_fail=1)) as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        with pytest.raises(IdentityFailedError, match="No face") as caught:
            await session.identities.wait(made, timeout=10)
        assert caught.value.identity_code == made.identity_code


async def test_a_wait_that_timed_out_can_be_repeated() -> None:
    async with running(seconds_per_image=0.4) as (_, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        with pytest.raises(IdentityTimeoutError, match="can be awaited again"):
            await session.identities.wait(made, timeout=0.01)
        assert (await session.identities.wait(made, timeout=10)).ready


async def test_a_platform_identity_is_ready_at_once() -> None:
    async with running() as (sandbox, make), make() as session:
        (first, *_) = [each async for each in session.identities.list(ownership="default")]
        assert (await session.identities.wait(first)).ready
        assert sandbox.books.api_requests[STATUS] == 1


async def test_wait_for_a_code_that_does_not_exist_raises() -> None:
    async with running() as (_, make), make() as session:
        with pytest.raises(NotFoundError):
            await session.identities.wait("nobody", timeout=10)


async def test_closing_the_session_ends_a_wait() -> None:
    async with running(seconds_per_image=60.0) as (sandbox, make), make() as session:
        made = await session.identities.upload(PICTURE, "Anna")
        waiting = asyncio.create_task(session.identities.wait(made))
        async with session.notifications() as feed:
            sandbox.emit("identity_preprocessing", {"identity_code": made.identity_code})
            await anext(feed)
        await session.close()
        with pytest.raises(SessionClosedError):
            await waiting


async def test_a_notification_of_a_shape_unknown_makes_the_waiter_look_and_is_left() -> None:
    settings = {"silent_after": 60.0, "silent_longest": 60.0}
    async with running(faults=Faults(drop_events=2)) as (sandbox, make):
        async with make(stream=StreamSettings(**settings)) as session:
            made = await session.identities.upload(PICTURE, "Anna")
            waiting = asyncio.create_task(session.identities.wait(made, timeout=10))
            while not (await session.identities.status(made)).ended:
                pass
            sandbox.emit("identity_preprocessing", {"something": "new"})
            assert (await waiting).ready
        assert len(sandbox.books.notifications_outstanding) == 1


# Drafts


async def test_drafts_are_made_promoted_and_prepared() -> None:
    async with running() as (sandbox, make):
        async with make() as session:
            result = await drafts(session, 3)
            assert (result.kind, len(result.ok)) == ("identity_creation", 3)
            promotion = await session.identities.promote(result.outputs[1], "Carla")
            ready = await session.identities.wait(promotion, timeout=10)
            assert (ready.name, ready.ready) == ("Carla", True)
            assert sandbox.books.credits_charged == 3 * 5.0 + 50.0
        assert sandbox.books.notifications_outstanding == ()


async def test_a_draft_is_promoted_once_and_the_second_time_names_the_identity() -> None:
    async with running() as (_, make), make() as session:
        (draft,) = (await drafts(session)).outputs
        promotion = await session.identities.promote(draft)
        with pytest.raises(ConflictError) as caught:
            await session.identities.promote(draft)
        assert caught.value.identity_code == promotion.identity_code


async def test_a_lost_promotion_is_not_sent_again_and_a_second_call_tells() -> None:
    async with running() as (sandbox, make), make(max_credits=50) as session:
        async with make() as unbounded:
            (draft,) = (await drafts(unbounded)).outputs
        sandbox.faults.submit_lost = 1
        with pytest.raises(ConnectionFailedError):
            await session.identities.promote(draft)
        assert sandbox.books.api_requests[PROMOTE] == 1
        # it may have been charged for, so the budget counts it
        with pytest.raises(BudgetExceededError):
            await session.identities.promote(draft)
        async with make() as unbounded:
            with pytest.raises(ConflictError) as caught:
                await unbounded.identities.promote(draft)
        assert caught.value.identity_code


async def test_a_promotion_that_was_refused_gives_its_credits_back_to_the_budget() -> None:
    async with running(limits=SandboxLimits(identities=1)) as (sandbox, make):
        async with make() as unbounded:
            (draft,) = (await drafts(unbounded)).outputs
            await unbounded.identities.upload(PICTURE, "Anna")
        async with make(max_credits=50) as session:
            for _ in range(2):
                with pytest.raises(IdentityLimitError):
                    await session.identities.promote(draft)
        assert sandbox.books.api_requests[PROMOTE] == 2


async def test_promotions_beyond_the_rate_wait_their_turn() -> None:
    window = SandboxLimits(window=0.3)
    async with running(limits=window) as (sandbox, make):
        async with make(limits=AccountLimits(window=0.3)) as session:
            result = await drafts(session, 7)
            await asyncio.gather(*(session.identities.promote(each) for each in result.outputs))
        assert sandbox.books.api_requests[PROMOTE] == 7


async def test_a_promotion_that_was_refused_for_its_rate_is_sent_again() -> None:
    window = SandboxLimits(window=0.2)
    faults = Faults(retry_after=1.0)
    async with running(limits=window, faults=faults) as (_, make), make() as session:
        result = await drafts(session, 6)
        made = await asyncio.gather(*(session.identities.promote(each) for each in result.outputs))
        assert len({each.identity_code for each in made}) == 6


async def test_too_few_credits_for_a_promotion_are_told() -> None:
    async with running(credits=20.0) as (_, make), make() as session:
        (draft,) = (await drafts(session)).outputs
        with pytest.raises(InsufficientCreditsError) as caught:
            await session.identities.promote(draft)
        assert caught.value.required_credits == 50.0


async def test_a_draft_that_is_known_from_events_alone_cannot_be_promoted() -> None:
    async with running() as (sandbox, make), make() as session:
        job = await session.identities.create([{"prompt": "somebody"}])
        (draft,) = [output async for output in job.outputs()]
        assert draft.image_result_id is None
        with pytest.raises(InvalidRequestError, match="image_result_id"):
            await session.identities.promote(draft)
        assert PROMOTE not in sandbox.books.api_requests


async def test_drafts_have_no_known_price_so_a_budget_refuses_them() -> None:
    async with running() as (sandbox, make), make(max_credits=1000) as session:
        with pytest.raises(InvalidRequestError, match="price"):
            await drafts(session)
        assert "POST /identity/create" not in sandbox.books.api_requests


async def test_a_draft_job_made_elsewhere_is_picked_up() -> None:
    async with running() as (_, make), make() as session, make() as other:
        job = await session.identities.create([{"prompt": "somebody"}])
        result = await other.job(job.id, kind=CreateIdentity)
        assert len(result.ok) == 1


@pytest.mark.parametrize("timeout", ["x", float("nan"), -1])
async def test_a_time_to_wait_for_an_identity_is_checked(timeout: float) -> None:
    async with Session("token", base_url="http://127.0.0.1:9") as session:
        with pytest.raises(InvalidRequestError, match=r"^timeout: must be seconds, 0 or more"):
            await session.identities.wait("somebody", timeout)
