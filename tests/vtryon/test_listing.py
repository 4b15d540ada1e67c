"""Lists that page by themselves, and deletions."""

from __future__ import annotations

import pytest

from piktid_async import (
    ConfigurationError,
    InvalidRequestError,
    NotFoundError,
    ServerError,
    StatusError,
)
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.vtryon import VtryonSession
from tests.transport.servers import Exchange, serve
from tests.vtryon.support import BLUE, LISTS, MakeSandbox, MakeSession


async def test_the_list_follows_its_pages_to_the_end(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    made = [(await session.recolor(BLUE)).id for _ in range(7)]
    listed = [task.id async for task in session.tasks(page_size=3)]
    assert sorted(listed) == made
    assert sandbox.books.vtryon.requests[LISTS] == 3


async def test_an_empty_account_lists_nothing(session: VtryonSession) -> None:
    assert [task async for task in session.tasks()] == []


async def test_a_listed_task_can_be_awaited_and_has_the_status_of_its_row(
    sandbox: Sandbox, make_session: MakeSession
) -> None:
    async with make_session(sandbox) as first:
        result = await (await first.recolor(BLUE))
    async with make_session(sandbox) as session:
        (task,) = [each async for each in session.tasks()]
        assert (task.status, task.result_url) == ("completed", result.result_url)
        assert await task == result


async def test_a_task_made_meanwhile_shows_no_other_twice(session: VtryonSession) -> None:
    for _ in range(4):
        await session.recolor(BLUE)
    seen = []
    async for task in session.tasks(page_size=2):
        if not seen:
            await session.recolor(BLUE)
        seen.append(task.id)
    assert seen == [504, 503, 502, 501]


async def test_a_page_that_was_deleted_meanwhile_is_the_end(session: VtryonSession) -> None:
    for _ in range(3):
        await session.recolor(BLUE)
    seen = []
    async for task in session.tasks(page_size=2):
        seen.append(task.id)
        await session.delete(task)
    assert seen == [503, 502]


async def test_the_next_page_is_asked_of_our_own_origin_whatever_its_link_says() -> None:
    async def stranger(exchange: Exchange) -> None:
        raise AssertionError("the key went to another origin")

    async with serve(stranger) as elsewhere:

        async def pages(exchange: Exchange) -> None:
            first = "page=1" in exchange.target
            row = {"id": 1 if first else 2, "status": "queued"}
            link = f"{elsewhere.url}/v4/models/multipose-image-recolor/?page=2"
            await exchange.answer_json({"next": link if first else None, "results": [row]})

        async with serve(pages) as server, VtryonSession("k", base_url=server.url) as session:
            assert [task.id async for task in session.tasks()] == [1, 2]
    assert elsewhere.requests == []


async def test_a_list_that_is_not_found_at_all_is_an_error() -> None:
    async def nowhere(exchange: Exchange) -> None:
        await exchange.answer_json({"detail": "Not found."}, 404)

    async with serve(nowhere) as server, VtryonSession("k", base_url=server.url) as session:
        with pytest.raises(NotFoundError):
            _ = [task async for task in session.tasks()]


async def test_a_deleted_task_is_gone(sandbox: Sandbox, session: VtryonSession) -> None:
    task = await session.recolor(BLUE)
    await session.delete(task)
    assert sandbox.books.vtryon.tasks == {}
    with pytest.raises(NotFoundError):
        await task
    with pytest.raises(NotFoundError):
        await session.delete(task.id)


async def test_a_deletion_whose_answer_was_lost_is_repeated_and_its_404_is_success(
    make_sandbox: MakeSandbox, make_session: MakeSession
) -> None:
    async with (
        make_sandbox(faults=Faults(vtryon_delete_lost=1)) as sandbox,
        make_session(sandbox) as session,
    ):
        task = await session.recolor(BLUE)
        await session.delete(task)
    assert sandbox.books.vtryon.requests["DELETE /v2/models/multipose-tasks/501/"] == 2


async def test_a_deletion_that_never_works_is_told() -> None:
    async def down(exchange: Exchange) -> None:
        await exchange.answer_json({"detail": "down"}, 503)

    async with (
        serve(down) as server,
        VtryonSession("k", base_url=server.url, max_retries=1) as session,
    ):
        with pytest.raises(ServerError):
            await session.delete(7)
    assert len(server.requests) == 2


async def test_a_redirect_is_not_followed() -> None:
    async def moved(exchange: Exchange) -> None:
        await exchange.answer(302, headers=[("Location", "/elsewhere/")])

    async with serve(moved) as server, VtryonSession("k", base_url=server.url) as session:
        with pytest.raises(StatusError, match="302"):
            await session.delete(7)
    assert len(server.requests) == 1


@pytest.mark.parametrize("wrong", ["501", 0, -1, 1.5, True, None])
async def test_what_is_no_id_is_refused_by_name(session: VtryonSession, wrong: int) -> None:
    with pytest.raises(InvalidRequestError, match="task_id: must be the number"):
        session.task(wrong)
    with pytest.raises(InvalidRequestError, match="task_id: must be the number"):
        await session.delete(wrong)


async def test_a_page_size_that_cannot_be_is_refused(session: VtryonSession) -> None:
    with pytest.raises(ConfigurationError, match="page_size must be 1 or more"):
        _ = [task async for task in session.tasks(page_size=0)]
