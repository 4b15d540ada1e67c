"""Batches against a sandbox: what ends, what fails, what is paid, and what a second run does."""

from __future__ import annotations

import asyncio
import os
import time

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from piktid_async import (
    AccountLimits,
    BudgetExceededError,
    ConfigurationError,
    GarmentRecolor,
    InsufficientCreditsError,
    InvalidRequestError,
    JobFailedError,
    StreamSource,
    SubmissionUnknownError,
    UploadError,
)
from piktid_async.batch import BadProduct, Batch, JournalError, Product
from piktid_async.batch.ledger import State
from piktid_async.batch.sqlite import SqliteStore
from piktid_async.sandbox import Faults, Sandbox, SandboxLimits
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.batch.conftest import NAVY

PAID = ("POST /upload", "POST /garment-recolor", "GET /jobs/{job_id}/results")


async def all_of(batch, products):
    return [outcome async for outcome in batch.run(products)]


async def tell(batch, products, told):
    """Collect the outcomes that come before an error."""
    async for outcome in batch.run(products):
        told.append(outcome)


def by_key(outcomes):
    return {outcome.product.key: outcome for outcome in outcomes}


async def states(batch):
    return {row.key: row.state.value async for row in batch._store.rows(*State)}


async def test_every_product_becomes_one_job_with_its_files(
    quick, make_session, make_products, tmp_path
):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        outcomes = await all_of(batch, make_products(12))
        assert {outcome.error for outcome in outcomes} == {None}
        assert sorted(outcome.product.key for outcome in outcomes) == sorted(
            f"sku-{number}" for number in range(12)
        )
        for outcome in outcomes:
            (file,) = outcome.files
            assert file == tmp_path / "run" / outcome.product.key / "0_0_v0.jpg"
            assert file.read_bytes() == PLAIN_JPEG
            assert outcome.result.ok
        summary = batch.summary
        assert summary.ok
        assert summary.states == {"done": 12}
        assert (summary.outputs, summary.outputs_failed) == (12, 0)
        assert summary.credits_estimated == summary.credits_used == 36.0
        assert '"products": 12' in summary.to_json()
    assert quick.books.jobs_created == 12
    assert {job.project_name for job in quick.books.jobs.values()} == {
        f"batch-{batch._store.meta['mark']}"
    }


async def test_a_second_run_asks_for_nothing_and_tells_the_same(
    quick, make_session, make_products, tmp_path
):
    products = make_products(5)
    async with make_session() as session:
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            first = by_key(await all_of(batch, products))
        asked = dict(quick.books.api_requests)
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            second = by_key(await all_of(batch, products))
    assert dict(quick.books.api_requests) == asked
    assert second.keys() == first.keys()
    for key, outcome in second.items():
        assert (outcome.files, outcome.error) == (first[key].files, None)
        assert [each.key for each in outcome.result.outputs] == [(0, 0, 0)]
        assert outcome.result.outputs[0].url is None
        assert outcome.result.credits_used == 3


async def test_no_token_and_no_url_stands_in_the_journal(
    quick, make_session, make_products, tmp_path
):
    quick.faults.images_fail = 1
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        await all_of(batch, make_products(3))
        content = b"".join(path.read_bytes() for path in tmp_path.glob("run.sqlite*"))
    assert b"sku-1" in content
    assert quick.token.encode() not in content
    assert b"ignature" not in content
    assert b"/results/" not in content
    assert content.count(b"http") == content.count(quick.url.encode())


async def test_the_same_content_is_uploaded_once_also_at_the_same_time(
    quick, make_session, tmp_path
):
    picture = tmp_path / "same.jpg"
    picture.write_bytes(PLAIN_JPEG)
    products = [Product(f"k{number}", [picture, PLAIN_JPEG], NAVY) for number in range(8)]
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        outcomes = await all_of(batch, products)
    assert all(len(outcome.files) == 2 for outcome in outcomes)
    assert quick.books.api_requests["POST /upload"] == 1


async def test_files_that_have_not_changed_are_not_read_again(quick, make_session, tmp_path):
    picture = tmp_path / "a.jpg"
    picture.write_bytes(PLAIN_JPEG)
    before = picture.stat()
    product = Product("k", picture, NAVY)
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        await all_of(batch, [product])
        picture.write_bytes(PLAIN_JPEG[:-1] + b"x")
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
        (unread,) = await all_of(batch, [product])
        os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        (read,) = await all_of(batch, [product])
    assert unread.error is None
    assert isinstance(read.error, InvalidRequestError)
    assert "'k' stands in the journal with other images" in str(read.error)
    assert quick.books.jobs_created == 1


async def test_one_products_trouble_stops_no_other(quick, make_session, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    good = PLAIN_JPEG
    products = [
        Product("good", good, NAVY),
        Product("missing", tmp_path / "none.jpg", NAVY, "list:2"),
        Product("text", text, NAVY),
        Product("many", [good] * 11, NAVY),
        Product("none", [], NAVY),
        Product("rule", good, (GarmentRecolor, {"num_variations": 9, "reference_text": "x"})),
        Product("refused", good, lambda project, images: GarmentRecolor(
            project=project, images=[*images, "no-such-file"], reference_text="x")),
        BadProduct("row", "list:8", "has other cells than the header"),
        Product("good", PLAIN_JPEG, NAVY, "list:9"),
        Product("stream", StreamSource(chunks_of(PLAIN_JPEG), len(PLAIN_JPEG)), NAVY),
    ]  # fmt: skip
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        outcomes = await all_of(batch, products)
        assert await states(batch) == {
            "good": "done", "stream": "done", "missing": "failed", "text": "failed",
            "many": "failed", "none": "failed", "rule": "failed", "refused": "failed",
        }  # fmt: skip
        summary = batch.summary
    assert not summary.ok
    assert summary.failed == len(summary.failures) == 8
    words = {(failure.key, failure.line): failure.error for failure in summary.failures}
    assert "cannot be read (No such file" in words["missing", "list:2"]
    assert "is no picture" in words["text", None]
    assert "1 to 10 images, not 11: split" in words["many", None]
    assert "1 to 10 images, not 0" in words["none", None]
    assert "num_variations" in words["rule", None]
    assert "no-such-file" in words["refused", None] or "400" in words["refused", None]
    assert words["row", "list:8"] == "product: has other cells than the header (list:8)"
    assert "'good' of list:9 is the key of an earlier one, too" in words["good", "list:9"]
    assert len(outcomes) == len(products)
    assert quick.books.jobs_created == 2


async def chunks_of(data):
    yield data


async def test_a_failure_is_told_again_until_the_product_is_mended(quick, make_session, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_text("no picture")
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        (bad,) = await all_of(batch, [Product("k", path, NAVY)])
        assert isinstance(bad.error, UploadError)
        (still,) = await all_of(batch, [Product("k", path, NAVY)])
        assert isinstance(still.error, UploadError)
        path.write_bytes(PLAIN_JPEG)
        (mended,) = await all_of(batch, [Product("k", path, NAVY)])
        assert mended.error is None
        assert batch.summary.ok
    assert quick.books.jobs_created == 1


async def test_a_job_that_failed_is_recorded_and_made_again_only_when_asked(
    quick, make_session, make_products, tmp_path
):
    quick.faults.images_fail = 1
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        (first,) = await all_of(batch, make_products(1))
        (second,) = await all_of(batch, make_products(1))
        assert quick.books.jobs_created == 1
        for outcome in (first, second):
            assert isinstance(outcome.error, JobFailedError)
            assert outcome.error.job_id == next(iter(quick.books.jobs))
            assert outcome.state == "failed"
        assert str(first.error) == str(second.error)
        await batch.settle("sku-0", resubmit=True)
        (third,) = await all_of(batch, make_products(1))
        assert third.error is None
    assert quick.books.jobs_created == 2


async def test_a_lost_answer_is_found_in_the_gallery_at_once(
    quick, make_session, make_products, tmp_path
):
    quick.faults.submit_lost = 4
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        outcomes = await all_of(batch, make_products(6))
        assert {outcome.error for outcome in outcomes} == {None}
    assert quick.faults.counts["submit_lost"] == 4
    assert quick.books.jobs_created == 6


async def test_a_refusal_takes_the_intent_back_and_the_product_waits_for_its_turn(
    make_session, make_products, tmp_path
):
    limits = AccountLimits(None, {}, window=0.1)
    strict = SandboxLimits(active_jobs=1, per_minute={})
    async with (
        Sandbox(render=False, limits=strict, seconds_per_image=0.05) as sandbox,
        make_session(base_url=sandbox.url, limits=limits) as session,
        Batch(session, tmp_path / "run.sqlite") as batch,
    ):
        outcomes = await all_of(batch, make_products(5))
        assert {outcome.error for outcome in outcomes} == {None}
        attempts = [row.attempt async for row in batch._store.rows(State.DONE)]
        assert sum(attempts) == sandbox.books.api_requests["POST /garment-recolor"] > 5
        assert batch.summary.credits_bound == 15
    assert sandbox.books.jobs_created == 5


async def test_found_jobs_hold_no_slot_once_they_have_ended(make_session, make_products, tmp_path):
    limits = SandboxLimits(active_jobs=2, per_minute={})
    async with (
        asyncio.timeout(60),  # those that waited for a slot would wait for minutes
        Sandbox(
            render=False, limits=limits, seconds_per_image=0.0, faults=Faults(submit_lost=6)
        ) as strict,
        make_session(base_url=strict.url, limits=AccountLimits(2, {})) as session,
        Batch(session, tmp_path / "run.sqlite") as batch,
    ):
        outcomes = await all_of(batch, make_products(8))
        assert {outcome.error for outcome in outcomes} == {None}
        assert session.limits.jobs == ()
    assert strict.books.jobs_created == 8


@pytest.fixture
async def blind(quick):
    """Stand before the sandbox, and hide what the gallery lists."""
    async with aiohttp.ClientSession(auto_decompress=False) as client:

        async def forward(request):
            if request.path == "/gallery/by-job":
                return web.json_response({"jobs": [], "pagination": {"has_next": False}})
            kept = {"Authorization": request.headers["Authorization"]}
            body = await request.read()
            kind = request.headers.get("Content-Type")
            headers = kept | ({"Content-Type": kind} if kind else {})
            url = quick.url + request.path_qs
            async with client.request(request.method, url, headers=headers, data=body) as answer:
                response = web.StreamResponse(status=answer.status)
                response.content_type = answer.content_type
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                return response

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", forward)
        async with TestServer(app) as server:
            yield str(server.make_url("")).rstrip("/")


async def test_a_job_that_the_gallery_does_not_list_is_found_by_its_notifications(
    quick, blind, make_session, make_products, tmp_path
):
    quick.faults.submit_delay = 30.0
    async with (
        make_session(ack="never") as session,
        Batch(session, tmp_path / "run.sqlite") as batch,
    ):
        async with session.notifications() as feed:
            task = asyncio.create_task(all_of(batch, make_products(1)))
            await anext(aiter(feed))
        task.cancel()
        await asyncio.wait([task])
        assert await states(batch) == {"sku-0": "in_doubt"}
        await batch._store.keep_meta(base_url=blind)
    quick.faults.submit_delay = 0.0
    async with make_session(base_url=blind) as session:
        async with session.notifications() as feed:
            await anext(aiter(feed))  # replayed to the new session
            async with Batch(session, tmp_path / "run.sqlite") as batch:
                (outcome,) = await all_of(batch, make_products(1))
        assert outcome.error is None
        (row,) = [row async for row in batch_rows(tmp_path)]
        assert row.reason == "found by its notifications"
    assert quick.books.jobs_created == 1


async def batch_rows(folder):
    store = await SqliteStore(folder / "run.sqlite").open()
    async for row in store.rows(*State):
        yield row
    await store.close()


async def test_a_doubt_is_never_sent_again_by_itself(quick, make_session, make_products, tmp_path):
    quick.faults.submit_status = [502]
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        for _ in range(2):
            outcomes = by_key(await all_of(batch, make_products(2)))
            (doubtful,) = [each for each in outcomes.values() if each.error is not None]
            assert isinstance(doubtful.error, SubmissionUnknownError)
            assert doubtful.state == "in_doubt"
            assert quick.books.jobs_created == 1
        (doubt,) = [doubt async for doubt in batch.in_doubt()]
        assert doubt.product is doubtful.product
        assert "502" in doubt.reason
        assert doubt.since.tzinfo is not None
        assert batch.summary.in_doubt == 1
        assert not batch.summary.ok

    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        (doubt,) = [doubt async for doubt in batch.in_doubt()]
        assert (doubt.product.key, doubt.product.images) == (doubtful.product.key, ())
        await batch.settle(doubt.product.key, resubmit=True)
        outcomes = await all_of(batch, make_products(2))
        assert {outcome.error for outcome in outcomes} == {None}
    assert quick.books.jobs_created == 2


async def test_the_user_settles_a_doubt_in_three_ways(quick, make_session, make_products, tmp_path):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        (done,) = await all_of(batch, make_products(1))
        quick.faults.submit_status = [500, 500]
        products = [each for each in make_products(3) if each.key != "sku-0"]
        await all_of(batch, products)
        project = batch._store.meta["project_id"]
        elsewhere = await session.submit(
            GarmentRecolor(
                project=project, images=[await session.upload(PLAIN_JPEG)], reference_text="navy"
            )
        )
        with pytest.raises(InvalidRequestError, match="takes one of"):
            await batch.settle("sku-1")
        with pytest.raises(InvalidRequestError, match="takes one of"):
            await batch.settle("sku-1", resubmit=True, give_up=True)
        with pytest.raises(InvalidRequestError, match="not in the journal"):
            await batch.settle("sku-9", give_up=True)
        with pytest.raises(InvalidRequestError, match="cannot become"):
            await batch.settle("sku-0", give_up=True)
        with pytest.raises(InvalidRequestError, match="is that of 'sku-0'"):
            await batch.settle("sku-1", job_id=done.result.job_id)
        await batch.settle("sku-1", job_id=elsewhere.id)
        await batch.settle("sku-2", give_up=True)
        outcomes = by_key(await all_of(batch, products))
        assert outcomes["sku-1"].error is None
        assert outcomes["sku-1"].result.job_id == elsewhere.id
        assert outcomes["sku-2"].state == "failed"
    assert quick.books.jobs_created == 2


async def test_the_budget_holds_over_all_runs(quick, make_session, make_products, tmp_path):
    journal = tmp_path / "run.sqlite"
    async with make_session() as session:
        for _ in range(2):
            async with Batch(session, journal, max_credits=10, in_flight=2) as batch:
                with pytest.raises(BudgetExceededError):
                    await all_of(batch, make_products(6))
                assert batch.summary.states["done"] == 3
                assert batch.summary.credits_bound == 9
        assert quick.books.jobs_created == 3
        async with Batch(session, journal, max_credits=18) as batch:
            outcomes = await all_of(batch, make_products(6))
            assert {outcome.error for outcome in outcomes} == {None}
    assert quick.books.credits_charged == 18


async def test_an_account_without_credits_ends_the_run_after_what_is_under_way(
    make_session, make_products, tmp_path
):
    async with Sandbox(render=False, limits=False, seconds_per_image=0.01, credits=10) as poor:
        async with (
            make_session(base_url=poor.url) as session,
            Batch(session, tmp_path / "run.sqlite", in_flight=2) as batch,
        ):
            told = []
            with pytest.raises(InsufficientCreditsError):
                await tell(batch, make_products(50), told)
            assert [outcome.error for outcome in told] == [None] * 3
            assert batch.summary.states["done"] == 3
            assert batch.summary.states["pending"] < 5
        assert poor.books.jobs_created == 3


async def test_who_leaves_the_loop_gets_the_outcome_again(
    quick, make_session, make_products, tmp_path
):
    async with make_session() as session:
        async with Batch(session, tmp_path / "run.sqlite", in_flight=1) as batch:
            running = batch.run(make_products(3))
            first = await anext(running)
            await running.aclose()
            assert (await states(batch))[first.product.key] == "saved"
        async with Batch(session, tmp_path / "run.sqlite", in_flight=1) as batch:
            outcomes = await all_of(batch, make_products(3))
            assert outcomes[0].product.key == first.product.key
            assert outcomes[0].files == first.files
    assert quick.books.jobs_created == 3


async def test_products_are_drawn_as_there_is_room(quick, make_session, make_products, tmp_path):
    drawn = 0

    async def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield make_products(drawn)[-1]

    async with (
        make_session() as session,
        Batch(session, tmp_path / "run.sqlite", in_flight=3) as batch,
    ):
        running = batch.run(endless())
        for taken in range(1, 8):
            await anext(running)
            assert drawn <= taken + 3
        await running.aclose()


async def test_a_list_that_breaks_ends_the_run_after_what_is_under_way(
    quick, make_session, make_products, tmp_path
):
    def broken():
        yield from make_products(4)
        raise OSError("the list has gone")

    told = []
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        with pytest.raises(OSError, match="the list has gone"):
            await tell(batch, broken(), told)
    assert [outcome.error for outcome in told] == [None] * 4


async def test_a_plan_tells_what_a_run_would_do_and_sends_nothing(
    quick, make_session, make_products, tmp_path
):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        await all_of(batch, make_products(2))
        asked = dict(quick.books.api_requests)
        products = [
            *make_products(5),
            BadProduct("x", "list:9", "is no JSON"),
            Product("sku-0", PLAIN_JPEG, NAVY),
            Product("none", [], NAVY),
        ]
        plan = await batch.plan(products)
        assert dict(quick.books.api_requests) == asked
        assert (plan.products, plan.ended, plan.under_way, plan.to_submit) == (8, 2, 0, 3)
        assert (plan.outputs, plan.credits, plan.unpriced) == (3, 9.0, 0)
        assert [failure.key for failure in plan.bad] == ["x", "sku-0", "none"]
        assert plan.bad_count == 3
        assert len(await states(batch)) == 2


async def test_results_that_are_there_are_not_fetched_again(
    quick, make_session, make_products, tmp_path
):
    async with make_session() as session:
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            running = batch.run(make_products(1))
            outcome = await anext(running)
            await running.aclose()
        asked = dict(quick.books.api_requests)
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            running = batch.run(make_products(1))
            await anext(running)
            await running.aclose()
        assert dict(quick.books.api_requests) == asked
        outcome.files[0].unlink()
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            (again,) = await all_of(batch, make_products(1))
        assert again.files[0].read_bytes() == PLAIN_JPEG
    assert quick.books.jobs_created == 1


async def test_images_can_stay_at_the_service(quick, make_session, make_products, tmp_path):
    async with (
        make_session() as session,
        Batch(session, tmp_path / "run.sqlite", download=False) as batch,
    ):
        (outcome,) = await all_of(batch, make_products(1))
        assert outcome.files == ()
        assert outcome.result.ok[0].url is not None
        assert batch.summary.ok
    assert not (tmp_path / "run").exists()


async def test_a_journal_belongs_to_one_project(quick, make_session, make_products, tmp_path):
    async with make_session() as session:
        project = await session.projects.ensure("mine")
        async with Batch(session, tmp_path / "run.sqlite", project=project) as batch:
            await all_of(batch, make_products(1))
        async with Batch(session, tmp_path / "run.sqlite", project="other") as batch:
            with pytest.raises(ConfigurationError, match="another journal for another project"):
                await all_of(batch, make_products(1))
    assert {job.project_name for job in quick.books.jobs.values()} == {"mine"}


async def test_a_journal_belongs_to_one_service(quick, make_session, make_products, tmp_path):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        await all_of(batch, make_products(1))
    async with (
        Sandbox(render=False, limits=False) as other,
        make_session(base_url=other.url) as session,
        Batch(session, tmp_path / "run.sqlite") as batch,
    ):
        with pytest.raises(ConfigurationError, match=f"belongs to {quick.url}, not {other.url}"):
            await all_of(batch, make_products(1))


async def test_one_run_at_a_time(quick, make_session, make_products, tmp_path):
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        running = batch.run(make_products(2))
        await anext(running)
        with pytest.raises(ConfigurationError, match="one run at a time"):
            await all_of(batch, make_products(2))
        await running.aclose()
        assert len(await all_of(batch, make_products(2))) == 2


async def test_a_cancelled_submission_is_in_doubt_and_found_by_the_next_run(
    quick, make_session, make_products, tmp_path
):
    quick.faults.submit_delay = 30.0
    async with make_session() as session:
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            async with session.notifications() as feed:
                task = asyncio.create_task(all_of(batch, make_products(1)))
                await anext(aiter(feed))  # the job has begun, and its 202 is held back
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await states(batch) == {"sku-0": "in_doubt"}
        quick.faults.submit_delay = 0.0
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            (outcome,) = await all_of(batch, make_products(1))
            assert outcome.error is None
    assert quick.books.jobs_created == 1


@pytest.mark.parametrize("options", [{"max_credits": -1}, {"max_credits": "5"}, {"in_flight": 0}])
async def test_what_cannot_work_is_refused_when_it_is_built(make_session, options, tmp_path):
    async with make_session() as session:
        with pytest.raises(ConfigurationError):
            Batch(session, tmp_path / "run.sqlite", **options)


async def test_a_job_that_does_not_exist_puts_the_product_back_in_doubt(
    quick, make_session, make_products, tmp_path
):
    quick.faults.submit_status = [500]
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        session._runtime.clock = lambda: 30 * time.monotonic()  # a new job may not be seen yet
        await all_of(batch, make_products(1))
        await batch.settle("sku-0", job_id="nobodys")
        (outcome,) = await all_of(batch, make_products(1))
        assert isinstance(outcome.error, SubmissionUnknownError)
        assert "no job nobodys" in str(outcome.error)
        assert "Batch.settle or `piktid batch settle`" in str(outcome.error)
        assert outcome.state == "in_doubt"
        (doubt,) = [doubt async for doubt in batch.in_doubt()]
        assert doubt.product is outcome.product
        asked = quick.books.api_requests["GET /jobs/{job_id}/status"]
        (again,) = await all_of(batch, make_products(1))
        assert str(again.error) == str(outcome.error)
        assert quick.books.api_requests["GET /jobs/{job_id}/status"] == asked
        await batch.settle("sku-0", resubmit=True)
        (made,) = await all_of(batch, make_products(1))
        assert (made.error, made.state) == (None, "saved")
    assert quick.books.jobs_created == 1


async def test_a_full_disk_ends_the_run_and_a_later_one_goes_on(
    quick, make_session, make_products, tmp_path
):
    products, told = make_products(12), []
    async with make_session() as session:
        async with Batch(session, tmp_path / "run.sqlite", in_flight=4) as batch:
            db = batch._store._journal.db
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + 1}").close()
            with pytest.raises(JournalError, match="the disk is full; make room, then run it"):
                await tell(batch, products, told)
        assert len(told) < 12
        async with Batch(session, tmp_path / "run.sqlite") as batch:
            outcomes = await all_of(batch, products)
    assert {outcome.error for outcome in outcomes} == {None}
    assert quick.books.jobs_created == 12


@pytest.mark.parametrize(
    ("images", "settings", "words"),
    [
        (b"other", {}, "with other images:"),
        (b"", {"reference_text": "red"}, "with another request:"),
        (b"other", {"reference_text": "red"}, "with other images and another request:"),
    ],
)
async def test_what_has_changed_since_is_named(
    make_session, make_products, tmp_path, images, settings, words
):
    (product,) = make_products(1)
    kind, wish = NAVY
    changed = Product(product.key, product.images[0] + images, (kind, {**wish, **settings}))
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        await all_of(batch, [product])
        (outcome,) = await all_of(batch, [changed])
        assert words in str(outcome.error)


async def test_a_twin_is_told_in_the_same_words_before_and_in_a_run(
    make_session, make_products, tmp_path
):
    products = [*make_products(1), *make_products(1), Product("bare", (), NAVY)]
    async with make_session() as session, Batch(session, tmp_path / "run.sqlite") as batch:
        plan = await batch.plan(products)
        await all_of(batch, products)
        ran = sorted((each.key, each.error) for each in batch.summary.failures)
    assert sorted((each.key, each.error) for each in plan.bad) == ran
    assert ran == [
        ("bare", "images: takes 1 to 10 images, not 0: name at least one"),
        ("sku-0", "key: 'sku-0' of list:0 is the key of list:0, too: change it"),
    ]
