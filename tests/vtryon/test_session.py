"""How a session is built, what it sends along, and how long it lives."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from piktid_async import AuthenticationError, ConfigurationError, SessionClosedError
from piktid_async.sandbox import Sandbox
from piktid_async.vtryon import VtryonSession
from tests.transport.servers import Exchange, serve
from tests.vtryon.support import BLUE, MakeSandbox

KEY = "sekrit-key-0815"


async def test_the_key_goes_out_in_its_own_header_and_nothing_else_does() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer_json({"id": 7, "status": "queued"})

    async with serve(answer) as server, VtryonSession(KEY, base_url=f"{server.url}/") as session:
        await session.recolor(BLUE)
        await session.task(7).fetch_status()
    for exchange in server.requests:
        assert exchange.header("x-api-key") == KEY
        assert exchange.header("Authorization") is None
        assert exchange.header("Cookie") is None
    assert server.requests[0].header("Content-Type") == "application/json"
    assert [each.target for each in server.requests] == [
        "/v4/models/multipose-image-recolor/",
        "/v2/models/multipose-tasks/7/",
    ]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"]
)
def test_a_session_is_not_copied(copied: Callable[[object], object]) -> None:
    session = VtryonSession(KEY, base_url="http://127.0.0.1:9")
    with pytest.raises(TypeError, match=r"a VtryonSession is neither copied .*make another"):
        copied(session)


async def test_no_key_is_shown_by_repr_and_errors() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.answer_json({"detail": "no"}, 401)

    async with serve(refuse) as server:
        async with VtryonSession(KEY, base_url=server.url) as session:
            assert repr(session) == f"<VtryonSession {server.url}>"
            with pytest.raises(AuthenticationError) as caught:
                await session.recolor(BLUE)
        assert repr(session) == f"<VtryonSession {server.url} closed>"
    assert KEY not in f"{caught.value!r} {caught.value}"
    assert len(server.requests) == 1


async def test_key_and_host_come_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTRYON_API_KEY", sandbox.vtryon_key)
    monkeypatch.setenv("VTRYON_BASE_URL", sandbox.vtryon_url)
    async with VtryonSession(poll_interval=0.02) as session:
        assert (await (await session.recolor(BLUE))).status == "completed"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": None}, "no key: .* VTRYON_API_KEY"),
        ({"api_key": ""}, "no key: .* VTRYON_API_KEY"),
        ({"api_key": "line\nend"}, "api_key holds characters"),
        ({"api_key": "sp ace"}, "api_key holds characters"),
        ({"api_key": 5}, "api_key holds characters"),
        ({"base_url": None}, "no host: .* VTRYON_BASE_URL"),
        ({"base_url": "ftp://host"}, "must be an http"),
        ({"base_url": "http://host.invalid"}, "unencrypted"),
        ({"base_url": "https://host.invalid?key=1"}, "takes no user, query"),
        ({"timeout": 0}, "timeout must be positive"),
        ({"poll_interval": 0}, "poll_interval must be positive"),
        ({"max_retries": -1}, "max_retries must be 0 or more"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(
    options: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VTRYON_API_KEY", raising=False)
    monkeypatch.delenv("VTRYON_BASE_URL", raising=False)
    chosen = {"api_key": KEY, "base_url": "https://host.invalid"} | options
    with pytest.raises(ConfigurationError, match=words) as caught:
        VtryonSession(**chosen)
    assert KEY not in str(caught.value)


async def test_a_closed_session_says_so_and_can_be_entered_again(
    sandbox: Sandbox, session: VtryonSession
) -> None:
    task = await session.recolor(BLUE)
    await session.close()
    await session.close()
    for call in (session.recolor(BLUE), session.delete(501), task.fetch_status(), task.result()):
        with pytest.raises(SessionClosedError):
            await call
    async with session:
        assert (await task).status == "completed"


async def test_a_list_of_many_tasks_is_not_kept(session: VtryonSession) -> None:
    await session.recolor(BLUE)
    async for task in session.tasks():
        assert task.id == 501
    del task
    gc.collect()
    assert dict(session._service.tasks) == {}


PROGRAM = """
import asyncio
from piktid_async.vtryon import ColorChange, Recolor, VtryonSession

session = VtryonSession(poll_interval=0.02)  # outside of any loop
BLUE = Recolor(pose_image_generation_id=936, color_changes=[ColorChange("blouse", "blue")])

async def begin():
    return await session.recolor(BLUE)

async def end(task):
    return await task
"""


async def run(sandbox: Sandbox, program: str) -> str:
    """Run a program against the sandbox with warnings as errors; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", PROGRAM + textwrap.dedent(program)),
        env={"VTRYON_API_KEY": sandbox.vtryon_key, "VTRYON_BASE_URL": sandbox.vtryon_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate()
    assert complaints.decode() == ""
    assert process.returncode == 0
    return printed.decode().strip()


async def test_a_session_made_outside_serves_one_run_after_another(sandbox: Sandbox) -> None:
    printed = await run(
        sandbox,
        """
        task = asyncio.run(begin())
        result = asyncio.run(end(task))
        print(task, result.status, asyncio.run(end(task)) is result)
        asyncio.run(session.close())
        """,
    )
    assert printed == "<Task 501 completed> completed True"


async def test_a_wait_that_one_loop_broke_off_is_taken_up_by_the_next(
    make_sandbox: MakeSandbox,
) -> None:
    async with make_sandbox(vtryon_seconds=0.5) as sandbox:
        printed = await run(
            sandbox,
            """
            async def leave(task):
                waiting = asyncio.create_task(task.result())
                await task.fetch_status()  # and ends while the other still waits

            task = asyncio.run(begin())
            asyncio.run(leave(task))
            print(asyncio.run(end(task)).status)
            """,
        )
    assert printed == "completed"


async def test_two_loops_at_once_are_refused_by_name(sandbox: Sandbox) -> None:
    printed = await run(
        sandbox,
        """
        from piktid_async import ConfigurationError

        async def both():
            async with session:
                await begin()
                try:
                    await asyncio.to_thread(asyncio.run, begin())
                except ConfigurationError as error:
                    return error

        print(asyncio.run(both()))
        """,
    )
    assert "another running event loop" in printed
