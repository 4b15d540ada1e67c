"""One session in several event loops, as programs of their own: a clean end is part of it."""

from __future__ import annotations

import asyncio
import sys
import textwrap

BEGINNING = """
import asyncio
from piktid_async import AccountLimits, GarmentRecolor, Session

session = Session(limits=AccountLimits.unlimited())  # outside of any loop

async def begin():
    project = await session.projects.ensure("loops")
    file = await session.upload(bytes.fromhex("ffd8ffe0") + bytes(500))
    return await session.submit(
        GarmentRecolor(project=project, images=[file], reference_text="navy")
    )

async def end(job):
    return [output.key async for output in job.outputs()], await job
"""


async def run(sandbox, program: str) -> str:
    """Run a program against the sandbox with warnings as errors; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        BEGINNING + textwrap.dedent(program),
        env={"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await process.communicate()
    assert complaints.decode() == ""
    assert process.returncode == 0
    return printed.decode().strip()


async def test_a_session_made_outside_serves_one_run_after_another(make_sandbox):
    async with make_sandbox(seconds_per_image=0.1) as sandbox:
        printed = await run(
            sandbox,
            """
            job = asyncio.run(begin())
            outputs, result = asyncio.run(end(job))
            print(outputs, result.status, asyncio.run(end(job))[1] is result)
            asyncio.run(session.close())
            """,
        )
        assert printed == "[(0, 0, 0)] completed True"
        assert sandbox.books.stream_connections == 2


async def test_a_session_that_is_never_closed_ends_cleanly_with_its_loop(make_sandbox):
    async with make_sandbox(seconds_per_image=0.1) as sandbox:
        assert await run(sandbox, "print(asyncio.run(begin()).kind)") == "garment_recolor"
        assert sandbox.books.open_streams == 0


async def test_a_session_entered_again_is_open_again(make_sandbox):
    async with make_sandbox() as sandbox:
        printed = await run(
            sandbox,
            """
            async def whole():
                async with session:
                    return (await end(await begin()))[1].status

            print(asyncio.run(whole()), asyncio.run(whole()), session.stream_state)
            """,
        )
        assert printed == "completed completed closed"


async def test_two_loops_at_once_are_refused_by_name(make_sandbox):
    async with make_sandbox() as sandbox:
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
