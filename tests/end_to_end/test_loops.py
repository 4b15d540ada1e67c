"""One session in several event loops, as programs of their own: a clean end is part of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from piktid_async.sandbox import Faults

BEGINNING = """
import asyncio
from piktid_async import AccountLimits, GarmentRecolor, Session, StreamSettings

QUICK = StreamSettings(keepalive=0.2, silent_after=0.5, reconnect_base=0.01, close_wait=2.0)
session = Session(limits=AccountLimits.unlimited(), stream=QUICK)  # outside of any loop

async def begin(session=session):
    project = await session.projects.ensure("loops")
    file = await session.upload(bytes.fromhex("ffd8ffe0") + bytes(500))
    return await session.submit(
        GarmentRecolor(project=project, images=[file], reference_text="navy")
    )

async def end(job):
    return [output.key async for output in job.outputs()], await job
"""


async def run(sandbox, program: str, *, warnings: str = "error", path: Path | None = None) -> str:
    """Run a program against the sandbox with warnings as errors; return what it printed.

    With a path, as a file: a process that is spawned imports it.
    """
    text = BEGINNING + textwrap.dedent(program)
    if path is not None:
        path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        warnings,
        "-W",
        "ignore:This process:DeprecationWarning",  # Python 3.12 on forks beside threads
        *(("-c", text) if path is None else (str(path),)),
        env={"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(60):
            printed, complaints = await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)  # a child that was forked holds the pipes, too
        printed, complaints = await process.communicate()
        raise AssertionError(f"it hangs: {printed.decode()} {complaints.decode()}") from None
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


async def test_open_jobs_and_used_up_limits_are_carried_into_the_next_run(make_sandbox):
    async with make_sandbox(seconds_per_image=0.3) as sandbox:
        printed = await run(
            sandbox,
            """
            limits = AccountLimits(active_jobs=1)
            session = Session(limits=limits, stream=QUICK)

            async def one_more(job):
                # Its slot is only free when the first run's job has ended.
                later = await begin(session)
                return job.done, (await later).status

            async def impatient():
                try:
                    await asyncio.wait_for(begin(session), 0.2)
                except TimeoutError:
                    return "waits for the slot"

            job = asyncio.run(begin(session))
            print(asyncio.run(impatient()))
            print(asyncio.run(one_more(job)))
            asyncio.run(session.close())
            """,
        )
        assert printed == "waits for the slot\n(True, 'completed')"
        assert sandbox.books.jobs_created == 2


async def test_acknowledgements_that_were_not_sent_go_out_in_the_next_run(make_sandbox):
    async with make_sandbox(faults=Faults(acks_fail=1)) as sandbox:
        printed = await run(
            sandbox,
            """
            from piktid_async import StreamSettings

            # Without a stream in the second run, nothing is replayed that could remind it.
            async def first():
                job = await begin(session)
                return await job

            async def second():
                await session.projects.list().__anext__()
                await session.close()

            asyncio.run(first())
            asyncio.run(second())
            print(session.stream_state)
            """,
        )
        assert printed == "closed"
        assert sandbox.books.notifications_outstanding == ()


async def test_a_feed_is_read_on_in_the_next_run(make_sandbox):
    async with make_sandbox() as sandbox:
        printed = await run(
            sandbox,
            """
            feed = session.notifications(names=["batch_edit"])

            async def opened():
                await feed.__aenter__()
                try:
                    await asyncio.wait_for(anext(feed), 0.1)
                except TimeoutError:
                    return "nothing yet"

            async def read():
                job = await begin()
                note = await anext(feed)
                await feed.__aexit__(None, None, None)
                await session.close()
                return note.job_id == job.id

            print(asyncio.run(opened()), asyncio.run(read()))
            """,
        )
        assert printed == "nothing yet True"


async def test_a_loop_that_is_closed_by_hand_harms_no_later_one(make_sandbox):
    """Its tasks are destroyed, as asyncio says in as many lines; nothing else is said."""
    async with make_sandbox(seconds_per_image=0.2) as sandbox:
        printed = await run(
            sandbox,
            """
            import gc, logging
            lines = []
            class Keep(logging.Handler):
                def emit(self, record):
                    lines.append(record.getMessage())
            logging.getLogger("asyncio").addHandler(Keep())

            async def wait_too():
                job = await begin()
                asyncio.create_task(job.result(), name="the user's own")
                asyncio.create_task(session.submit(job.request), name="the user's own")
                await asyncio.sleep(0)
                return job

            loop = asyncio.new_event_loop()
            job = loop.run_until_complete(wait_too())
            loop.close()
            print(asyncio.run(end(job))[1].status)
            again = session.job(job.id, kind="garment_recolor")
            print(asyncio.run(end(again))[1].status)
            asyncio.run(session.close())
            gc.collect()
            print(len(lines) < 12, {line.split("\\n")[0] for line in lines})
            """,
            warnings="default",
        )
        assert printed == ("completed\ncompleted\nTrue {'Task was destroyed but it is pending!'}")


@pytest.mark.parametrize("end", ["raise ValueError", "raise KeyboardInterrupt", "interrupt()"])
async def test_a_run_that_ends_by_an_exception_is_followed_by_a_good_one(end, make_sandbox):
    async with make_sandbox(seconds_per_image=0.2) as sandbox:
        printed = await run(
            sandbox,
            f"""
            import signal

            def interrupt():
                signal.raise_signal(signal.SIGINT)

            async def crash():
                global job
                job = await begin()
                asyncio.create_task(job.result())
                uploading = asyncio.create_task(session.upload(bytes(5_000_000)))
                await asyncio.sleep(0)
                {end}
                await asyncio.sleep(60)

            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                asyncio.run(crash())
            except (ValueError, KeyboardInterrupt) as error:
                print(type(error).__name__)

            async def close_after():
                async with session:
                    return (await end(job))[1].status

            print(asyncio.run(close_after()))
            """,
        )
        assert printed.endswith("\ncompleted")


async def test_asyncio_debug_mode_has_nothing_to_say(make_sandbox):
    async with make_sandbox(seconds_per_image=0.05) as sandbox:
        printed = await run(
            sandbox,
            """
            async def whole():
                async with session:
                    job = await begin()
                    return (await end(job))[1].status

            print(asyncio.run(whole(), debug=True), asyncio.run(whole(), debug=True))
            """,
        )
        assert printed == "completed completed"


# Threads


async def test_threads_that_begin_at_once_do_not_share_a_session(make_sandbox):
    """One gets it, the others are told so: nobody hangs, and no wire is crossed."""
    async with make_sandbox() as sandbox:
        printed = await run(
            sandbox,
            """
            import threading
            from collections import Counter
            from piktid_async import ConfigurationError

            told = Counter()
            barrier = threading.Barrier(6)

            async def work():
                try:
                    async with session:
                        barrier.wait()
                        told[(await end(await begin()))[1].status] += 1
                except ConfigurationError as error:
                    barrier.wait()
                    told[str(error)] += 1

            threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            print(sorted(told.items()))
            """,
        )
        assert printed == (
            "[('completed', 1), ('the session is in use in another running event loop: "
            "give each its own session', 5)]"
        )


async def test_every_use_in_another_thread_is_refused_by_name(make_sandbox):
    async with make_sandbox(seconds_per_image=30) as sandbox:
        printed = await run(
            sandbox,
            """
            from piktid_async import ConfigurationError

            async def main():
                async with session, session.notifications(names=["never"]) as feed:
                    job = await begin()
                    for name, call in {
                        "result": job.result,
                        "anext": feed.__anext__,
                        "close": session.close,
                        "enter": session.__aenter__,
                        "upload": lambda: session.upload(b"x"),
                        "job": lambda: asyncio.sleep(0, session.job("x", kind="model_swap")),
                    }.items():
                        async def elsewhere():
                            await call()
                        try:
                            await asyncio.to_thread(asyncio.run, elsewhere())
                        except ConfigurationError:
                            print(name, end=" ")
                    print(session.stream_state)

            asyncio.run(main())
            """,
        )
        assert printed == "result anext close enter upload job live"


# Forks


FORK = """
import os, sys, time

def in_child(program):
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        print(asyncio.run(program()))
        sys.stdout.flush()
        status = 0
    finally:
        os._exit(status)

async def ended(child):
    assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
"""


async def test_a_fork_between_two_runs(make_sandbox):
    async with make_sandbox(seconds_per_image=0.1) as sandbox:
        printed = await run(
            sandbox,
            FORK
            + textwrap.dedent("""
            async def whole():
                return (await end(await begin()))[1].status

            asyncio.run(whole())
            child = in_child(whole)
            asyncio.run(ended(child))
            print(asyncio.run(whole()))
            asyncio.run(session.close())
            """),
        )
        assert printed == "completed\ncompleted"


@pytest.mark.parametrize("where", ["in_child(child)", "await asyncio.to_thread(in_child, child)"])
async def test_a_fork_inside_a_loop_leaves_the_parents_stream_alone(where, make_sandbox):
    """The child makes connections of its own; the copied sockets and selector are not touched."""
    async with make_sandbox(seconds_per_image=0.1) as sandbox:
        printed = await run(
            sandbox,
            FORK
            + textwrap.dedent(f"""
            import gc

            async def child():
                job = await begin()
                await job
                await session.close()
                gc.collect()
                return "child", session.stream_state

            async def parent():
                job = await begin()
                waiting = asyncio.create_task(job.result())
                feed = session.notifications()
                async with feed:
                    reading = asyncio.ensure_future(anext(feed))
                    await asyncio.sleep(0)
                    await ended({where})
                    first = await reading
                    results = [await waiting, (await end(await begin()))[1]]
                    print("parent", session.stream_state, [each.status for each in results])

            asyncio.run(parent())
            asyncio.run(session.close())
            """),
        )
        assert printed == "('child', 'closed')\nparent live ['completed', 'completed']"
        assert sandbox.books.stream_connections == 2


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_workers_of_multiprocessing_make_connections_of_their_own(
    method, make_sandbox, tmp_path
):
    async with make_sandbox(seconds_per_image=0.05) as sandbox:
        printed = await run(
            sandbox,
            f"""
            import multiprocessing

            async def whole():
                async with session:
                    return (await end(await begin()))[1].status

            def work(number):
                return asyncio.run(whole())

            async def main():
                own = asyncio.create_task(whole())
                with multiprocessing.get_context("{method}").Pool(2) as pool:
                    print(await asyncio.to_thread(pool.map, work, range(4)))
                print(await own)

            if __name__ == "__main__":
                asyncio.run(main())
            """,
            path=tmp_path / "program.py",
        )
        assert printed == "['completed', 'completed', 'completed', 'completed']\ncompleted"


async def test_places_in_the_queue_stay_with_the_parent(make_sandbox):
    """A child must not wait for answers, or behind submissions, that are the parent's."""
    async with make_sandbox(faults=Faults(submit_delay=0.5)) as sandbox:
        printed = await run(
            sandbox,
            FORK
            + textwrap.dedent("""
            session = Session(limits=AccountLimits(active_jobs=1), stream=QUICK)

            async def child():
                async with asyncio.timeout(30):
                    job = await begin(session)
                await session.close()
                return job.kind

            async def parent():
                await session.projects.ensure("loops")
                # One whose answer is held back, and one that waits for its slot.
                submitting = [asyncio.create_task(begin(session)) for _ in range(2)]
                await asyncio.sleep(0.3)
                await ended(in_child(child))
                for each in submitting:
                    await each
                await session.close()

            asyncio.run(parent())
            """),
        )
        assert printed == "garment_recolor"
