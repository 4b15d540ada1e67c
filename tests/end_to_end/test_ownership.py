"""Whose notification is it, and when may it be deleted."""

from __future__ import annotations

import asyncio

import pytest

from piktid_async import ImageResult, InvalidRequestError, Notification, NotificationFeed
from piktid_async.sandbox import Faults


async def test_events_that_outrun_the_answer_of_their_own_post_are_delivered(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(faults=Faults(submit_delay=0.3)) as sandbox:
        async with make_session(sandbox) as session:
            (job,) = await submit_jobs(session, 1)
            assert sandbox.books.active_jobs == 0  # it had ended before its 202 came
            names = [note.name async for note in job.events()]
            assert names[0] == "batch_edit"
            assert names.count("image_result") == 2
            assert (await job).status == "completed"
            # the status was not needed: the events were kept
            assert "GET /jobs/{job_id}/status" not in sandbox.books.api_requests
        assert sandbox.books.notifications_outstanding == ()


async def test_events_of_a_foreign_job_are_neither_delivered_nor_deleted(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session:
            foreign = sandbox.emit("batch_edit", {"id_task": "theirs", "status": "completed"})
            (job,) = await submit_jobs(session, 1)
            later = sandbox.emit("image_result", {"id_task": "theirs", "image_index": 0})
            seen = [note async for note in job.events()]
            await job
        assert {note.job_id for note in seen} == {job.id}
        assert sandbox.books.notifications_outstanding == (foreign, later)


async def test_a_feed_shows_foreign_notifications_and_leaves_them(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        held = sandbox.emit("batch_edit", {"id_task": "theirs", "status": "processing"})
        async with session.notifications() as feed:
            live = sandbox.emit("something_new", {"id_task": "theirs"})
            notes = [await anext(feed), await anext(feed)]
        assert [note.id for note in notes] == [held, live]
        assert sandbox.books.notifications_outstanding == (held, live)


async def test_a_feed_that_may_delete_foreign_ones_does_so_once_the_loop_comes_back(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session:
            ids = [sandbox.emit("batch_edit", {"id_task": "theirs"}) for _ in range(3)]
            async with session.notifications(ack_foreign=True) as feed:
                await anext(feed)
                assert sandbox.books.notifications_outstanding == tuple(ids)
                await anext(feed)
        assert sandbox.books.acknowledged == tuple(ids[:2])


async def test_a_notification_whose_handling_crashed_is_delivered_again(make_sandbox, make_session):
    async with make_sandbox() as sandbox:
        first = sandbox.emit("batch_edit", {"id_task": "theirs"})
        async with make_session(sandbox) as session:
            with pytest.raises(RuntimeError, match="crash"):
                await _crash(session.notifications(ack_foreign=True))
            assert sandbox.books.notifications_outstanding == (first,)
            async with session.notifications(ack_foreign=True) as feed:
                assert (await anext(feed)).id == first
        assert sandbox.books.notifications_outstanding == ()


async def _crash(notifications: NotificationFeed) -> None:
    async with notifications as feed:
        async for _ in feed:
            raise RuntimeError("crash in the body")


async def test_job_and_feed_see_the_same_notification_and_it_is_deleted_after_both(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session, session.notifications() as feed:
            (job,) = await submit_jobs(session, 1)
            first = await anext(feed)
            await job
            assert first.id in sandbox.books.notifications_outstanding
            async for note in feed:
                if isinstance(note.payload, ImageResult):
                    break
            assert job.done
        assert first.id in sandbox.books.acknowledged


async def test_feeds_filter_by_name_and_job(make_sandbox, make_session):
    async with (
        make_sandbox() as sandbox,
        make_session(sandbox) as session,
        session.notifications(names=["image_result"]) as by_name,
        session.notifications(jobs=["b"]) as by_job,
    ):
        sandbox.emit("batch_edit", {"id_task": "a"})
        one = sandbox.emit("image_result", {"id_task": "a"})
        two = sandbox.emit("batch_edit", {"id_task": "b"})
        assert (await anext(by_name)).id == one
        assert (await anext(by_job)).id == two


async def test_manual_acknowledgement_leaves_everything_until_it_is_asked_for(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox, ack="manual") as session:
            (job,) = await submit_jobs(session, 1)
            notes: list[Notification] = [note async for note in job.events()]
            await job
            assert len(sandbox.books.notifications_outstanding) == len(notes)
            await notes[0].ack()
            await notes[0].ack()  # gone already: no error
        assert sandbox.books.acknowledged == (notes[0].id,)


async def test_without_acknowledgement_nothing_is_ever_deleted(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox, ack="never") as session:
            (job,) = await submit_jobs(session, 1)
            await job
        assert sandbox.books.acknowledged == ()


async def test_acknowledgements_that_fail_are_made_good(make_sandbox, make_session, submit_jobs):
    async with make_sandbox(faults=Faults(acks_fail=4)) as sandbox:
        async with make_session(sandbox) as session:
            (job,) = await submit_jobs(session, 1)
            await job
        assert sandbox.faults.counts["acks_fail"] == 4
        assert sandbox.books.notifications_outstanding == ()


async def test_a_replay_of_a_handled_notification_is_deleted_again_and_not_delivered_again(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox(faults=Faults(acks_fail=1_000)) as sandbox:
        async with make_session(sandbox) as session:
            (job,) = await submit_jobs(session, 1)
            before = [note.id async for note in job.events()]
            await job
            sandbox.faults.acks_fail = 0
            await sandbox.cut_streams()  # reconnect: everything is replayed
            async with session.notifications(names=["marker"], ack_foreign=True) as feed:
                sandbox.emit("marker", {})
                await anext(feed)
            after = [note.id async for note in job.events()]
        assert before == after
        assert sandbox.books.notifications_outstanding == ()


async def test_a_bad_event_is_left_out_and_the_next_one_arrives(make_sandbox, make_session):
    async with make_sandbox() as sandbox, make_session(sandbox) as session:
        async with session.notifications() as feed:
            sandbox.emit("image_result", {"id_task": "a", "image_index": "not a number"})
            good = sandbox.emit("image_result", {"id_task": "a", "image_index": 0})
            odd, fine = await anext(feed), await anext(feed)
        assert odd.payload.__class__.__name__ == "UnknownPayload"
        assert fine.id == good


async def test_two_sessions_on_one_account_do_not_take_each_others_notifications(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as one, make_session(sandbox) as other:
            first, second = await asyncio.gather(submit_jobs(one, 5), submit_jobs(other, 5))
            results = await asyncio.gather(*first, *second)
        assert all(len(result.ok) == 2 for result in results)
        assert sandbox.books.notifications_outstanding == ()


async def test_a_feed_that_is_left_early_keeps_no_notification_of_a_job_from_deletion(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox:
        async with make_session(sandbox) as session, session.notifications() as feed:
            (job,) = await submit_jobs(session, 1)
            await job
            await anext(feed)  # the others are never read
        assert sandbox.books.notifications_outstanding == ()


async def test_a_feed_that_is_left_early_does_not_stop_another_from_deleting(
    make_sandbox, make_session
):
    async with make_sandbox() as sandbox:
        async with (
            make_session(sandbox) as session,
            session.notifications(ack_foreign=True) as reading,
            session.notifications(),
        ):
            sandbox.emit("batch_edit", {"id_task": "theirs"})
            await anext(reading)
        assert sandbox.books.notifications_outstanding == ()


async def test_what_is_outstanding_is_listed_and_changes_nothing(
    make_sandbox, make_session, submit_jobs
):
    async with make_sandbox() as sandbox, make_session(sandbox, ack="never") as session:
        one, other = await submit_jobs(session, 2)
        await asyncio.gather(one, other)
        told = [note async for note in session.outstanding()]
        assert {note.job_id for note in told} == {one.id, other.id}
        only = [note async for note in session.outstanding(["batch_edit"], [one])]
        assert {(note.name, note.job_id) for note in only} == {("batch_edit", one.id)}
        assert len(sandbox.books.notifications_outstanding) == len(told)
        await only[0].ack()
        assert only[0].id not in {note.id async for note in session.outstanding()}
        with pytest.raises(InvalidRequestError, match="names: must be a list"):
            [note async for note in session.outstanding("batch_edit")]
