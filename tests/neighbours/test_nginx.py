"""The session through nginx: buffered, impatient, reloaded, killed, and with nothing behind it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from piktid_async import (
    AccountLimits,
    GarmentRecolor,
    Job,
    ServerError,
    Session,
    SubmissionUnknownError,
    UploadError,
)
from piktid_async.sandbox import Faults, Sandbox
from tests.neighbours.conftest import PICTURE, QUICK, needs, refused
from tests.neighbours.nginx import PROGRAM, Nginx, nginx
from tests.neighbours.tcp_proxy import TcpProxy, tcp_proxy

pytestmark = [
    pytest.mark.nginx,
    needs("nginx", PROGRAM is not None, "nginx is not installed (Debian: apt-get install nginx)"),
]

PATIENT = "proxy_read_timeout 60s;"
UNBUFFERED = PATIENT + " proxy_buffering off; proxy_request_buffering off;"
BUFFERED = PATIENT + " proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;"
AS_THE_SERVER_SAYS = PATIENT + " proxy_buffering on;"
IMPATIENT = "proxy_buffering off; proxy_read_timeout 300ms;"


@attrs.frozen
class Front:
    """nginx, what is behind it, and a session before it."""

    sandbox: Sandbox
    behind: TcpProxy
    """Between nginx and the API, so that the upstream can be gone."""
    nginx: Nginx
    session: Session

    async def recolor(self, variations: int = 1) -> GarmentRecolor:
        project = await self.session.projects.ensure("front")
        file = await self.session.upload(PICTURE)
        return GarmentRecolor(
            project=project, images=[file], reference_text="navy", num_variations=variations
        )


OpenFront = Callable[..., AbstractAsyncContextManager[Front]]


@pytest.fixture
def open_front(tmp_path: Path) -> OpenFront:
    @asynccontextmanager
    async def front(
        directives: str,
        *,
        faults: Faults | None = None,
        sandbox: dict[str, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[Front]:
        chosen = {"render": False, "seconds_per_image": 0.02, "limits": False, "keepalive": 0.1}
        folder = tmp_path / "nginx"
        folder.mkdir()
        async with (
            Sandbox(faults=faults, **{**chosen, **(sandbox or {})}) as running,
            tcp_proxy(running.url) as behind,
            nginx(folder, behind.url, running._parts.storage.origin, directives) as proxy,
        ):
            running._parts.storage.origin = proxy.storage
            settings = {"limits": AccountLimits.unlimited(), "stream": QUICK, "timeout": 10.0}
            async with Session(
                running.token, base_url=proxy.api, **{**settings, **options}
            ) as session:
                yield Front(running, behind, proxy, session)

    return front


async def outputs_of(job: Job) -> Counter[tuple[int, int, int]]:
    return Counter([output.key async for output in job.outputs()])


async def end_once(jobs: list[Job], outputs: int) -> None:
    """Wait for all jobs: so many outputs each, and each of them once."""
    async with asyncio.timeout(60):
        for counted in await asyncio.gather(*(outputs_of(job) for job in jobs)):
            assert len(counted) == outputs
            assert set(counted.values()) == {1}


@pytest.mark.parametrize(
    "directives",
    [UNBUFFERED, BUFFERED, AS_THE_SERVER_SAYS],
    ids=["unbuffered", "buffered", "as the server says"],
)
async def test_a_job_through_nginx_ends_with_each_output_once(
    directives: str, open_front: OpenFront, tmp_path: Path
) -> None:
    async with open_front(directives) as front:
        request = await front.recolor(variations=8)
        jobs = [await front.session.submit(request) for _ in range(5)]
        await end_once(jobs, 8)
        assert len(await jobs[0].download(tmp_path / "out")) == 8
        assert front.sandbox.books.jobs_created == 5
        if directives != BUFFERED:
            assert front.sandbox.books.stream_connections == 1
            await front.session.close()
            assert not front.sandbox.books.notifications_outstanding


async def test_events_that_nginx_holds_back_delay_a_job_and_do_not_hang_it(
    open_front: OpenFront,
) -> None:
    """The keepalives are held back, too, so the link counts as dead, again and again."""
    async with open_front(BUFFERED, sandbox={"seconds_per_image": 0.5}) as front:
        job = await front.session.submit(await front.recolor(variations=4))
        await end_once([job], 4)
        assert (await job).status == "completed"


async def test_a_stream_that_nginx_ends_for_silence_is_opened_again(open_front: OpenFront) -> None:
    slow = {"keepalive": 60.0, "seconds_per_image": 0.4}
    settings = attrs.evolve(QUICK, keepalive=60.0, silent_after=60.0, silent_longest=60.0)
    async with open_front(IMPATIENT, sandbox=slow, stream=settings) as front:
        job = await front.session.submit(await front.recolor(variations=3))
        await end_once([job], 3)
        assert front.sandbox.books.stream_connections > 1


async def test_a_submission_that_nginx_gives_up_is_in_doubt_and_found(
    open_front: OpenFront,
) -> None:
    async with open_front(IMPATIENT) as front:
        request = await front.recolor()
        front.sandbox.faults.submit_delay = 2.0
        with pytest.raises(SubmissionUnknownError, match="504 on POST /garment-recolor") as raised:
            await front.session.submit(request)
        assert "<" not in str(raised.value)  # nginx answers with a page
        front.sandbox.faults.submit_delay = 0.0
        job = await raised.value.reconcile()
        assert job is not None
        await end_once([job], 1)
        assert front.sandbox.books.jobs_created == 1


async def test_nothing_behind_nginx_is_a_server_error_until_it_is_back(
    open_front: OpenFront,
) -> None:
    polling = attrs.evolve(QUICK, connect=False)
    async with open_front(UNBUFFERED, max_retries=0, stream=polling) as front:
        request = await front.recolor()
        front.behind.refuse()
        front.behind.reset_all()
        await front.behind.until(lambda: not front.behind.open)
        with pytest.raises(ServerError, match="502") as read:
            await front.session.request("GET", "/project")
        assert read.value.retryable
        assert "<" not in str(read.value)
        with pytest.raises(SubmissionUnknownError, match="502"):
            await front.session.submit(request)
        await front.behind.listen()
        await end_once([await front.session.submit(request)], 1)
        assert front.sandbox.books.jobs_created == 1


async def test_an_answer_that_breaks_off_behind_nginx_is_in_doubt(open_front: OpenFront) -> None:
    async with open_front(UNBUFFERED) as front:
        request = await front.recolor()
        front.behind.add("reset", request=b"POST /garment-recolor", after=0)
        with pytest.raises(SubmissionUnknownError, match="502") as raised:
            await front.session.submit(request)
        assert front.sandbox.books.jobs_created == 1
        job = await raised.value.reconcile()
        assert job is not None
        await end_once([job], 1)
        assert front.sandbox.books.jobs_created == 1


async def test_a_picture_that_nginx_finds_too_large_is_told(open_front: OpenFront) -> None:
    async with open_front(UNBUFFERED + " client_max_body_size 10k;", max_retries=1) as front:
        with pytest.raises(UploadError, match="413 on PUT <signed URL>") as raised:
            await front.session.upload(PICTURE)
        assert not raised.value.retryable
        assert "X-Amz" not in str(raised.value)


@pytest.mark.parametrize("directives", [UNBUFFERED, BUFFERED], ids=["unbuffered", "buffered"])
async def test_jobs_live_through_reloads(directives: str, open_front: OpenFront) -> None:
    async with open_front(directives, sandbox={"seconds_per_image": 0.2}) as front:
        request = await front.recolor(variations=4)
        jobs = [await front.session.submit(request) for _ in range(5)]
        ending = asyncio.create_task(end_once(jobs, 4))
        for _ in range(2):
            await front.nginx.reload()
        await ending
        assert front.sandbox.books.jobs_created == 5
        assert front.sandbox.books.stream_connections > 1


@pytest.mark.parametrize("directives", [UNBUFFERED, BUFFERED], ids=["unbuffered", "buffered"])
async def test_jobs_live_through_a_proxy_that_is_killed(
    directives: str, open_front: OpenFront, tmp_path: Path
) -> None:
    options = {"sandbox": {"seconds_per_image": 0.2}, "max_retries": 8}
    async with open_front(directives, **options) as front:
        request = await front.recolor(variations=4)
        jobs = [await front.session.submit(request) for _ in range(5)]
        ending = asyncio.create_task(end_once(jobs, 4))
        await front.nginx.kill()
        # Nobody listens, so it is certain that this one has not left: it is tried until it does.
        late = asyncio.create_task(front.session.submit(request))
        await refused(front.nginx.api)
        assert not late.done()
        await front.nginx.start()
        await end_once([await late], 4)
        await ending
        assert front.sandbox.books.jobs_created == 6
        assert len(await jobs[0].download(tmp_path / "out")) == 4
