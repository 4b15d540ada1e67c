"""The whole program: products go up, are recoloured under the account's limits, and come to disk.

The minute of the service lasts a second here, and a job as long as that, for four images.
So the window of five submissions and the five slots bind at once. Latency is not scaled: 20 ms
before each answer, of the API and of the storage.

**The schedule that nobody can beat** knows everything in advance: when a window opens and when a
slot is free, so that its next submission arrives in that very moment, and its uploads, downloads
and requests cost nothing but the latency of those that nothing else can hide:

- the first images are asked for, put, and submitted: three times the latency;
- a submission is taken when the window has let go of the fifth before it, a minute after that was
  taken, and when one of the five slots is free;
- the last image is fetched: once the latency.

Each job lasts as long as the server took for it in the run that is held against the schedule,
which is a little more than a minute: the server writes files, too.

A program that is no clairvoyant hears of a free slot when it is free, and its submission then
takes the latency to arrive: 2 % of a minute of one second. The bar leaves it 5 %.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import Bar, Figure, Run, Server

PRODUCTS = 200
OF_BATCH, OF_THREADS, OF_ONE_BY_ONE = 40, 20, 3
"""Products on which the other programs are timed: their pace is steady."""
IMAGES = 4
MINUTE = 1.0
TINY_MINUTE = 0.2
LATENCY = 0.02
ALLOWED = 5
SLOTS = 5
PATH = "/garment-recolor"
PICTURE = b"\xff\xd8\xff\xe0" + bytes(20_000)
POLL = 1 / 30
"""Of a minute: every two seconds."""

OURS = "piktid-async"
BATCH = "piktid-async, Batch with its journal"
ONE_BY_ONE = "requests, one product after another"
THREADS = "requests, 16 threads"
BEST = "the schedule that nobody can beat"
OF_BEST = "times the schedule"


def schedule(lasting: Sequence[float], latency: float, minute: float) -> float:
    """Return the seconds of the schedule that nobody can beat, for jobs that last so long."""
    window = deque([3 * latency - minute] * ALLOWED)
    slots = [0.0] * SLOTS
    for job in lasting:
        taken = max(window.popleft() + minute, heapq.heappop(slots))
        window.append(taken)
        heapq.heappush(slots, taken + job)
    return max(slots) + latency


def best(run: Run) -> float:
    """Jobs that last as long as was asked for."""
    return schedule([_minute(run)] * _products(run), LATENCY, _minute(run))


# The SDK


async def ours(run: Run) -> float:
    """One task for each product, as the README would have it."""
    from piktid_async import AccountLimits, GarmentRecolor, Session

    products = _photograph(run.folder, _products(run))

    async def make(session: Session, project: Any, number: int, photos: Sequence[Path]) -> None:
        images = await session.upload_many(photos)
        request = GarmentRecolor(project=project, images=images, reference_text="navy")
        job = await session.submit(request)
        await job
        await job.download(run.folder / f"out-{number}")

    with _sandbox(run) as server:
        limits = AccountLimits(active_jobs=SLOTS, per_minute={PATH: ALLOWED}, window=_minute(run))
        async with Session(server["token"], base_url=server["url"], limits=limits) as session:
            project = await session.projects.ensure("spring")
            with run.timed() as took:
                async with asyncio.TaskGroup() as group:
                    for number, photos in enumerate(products):
                        group.create_task(make(session, project, number, photos))
        _compare(run, server, took.seconds)
    return took.seconds


async def batch(run: Run) -> float:
    """The same with a journal that survives a crash."""
    from piktid_async import AccountLimits, GarmentRecolor, Session
    from piktid_async.batch import Batch, Product

    wanted = run.pick(full=OF_BATCH, tiny=6)
    photographed = enumerate(_photograph(run.folder, wanted))
    products = [
        Product(
            key=f"product-{number}",
            images=photos,
            request=lambda project, images: GarmentRecolor(
                project=project, images=images, reference_text="navy"
            ),
        )
        for number, photos in photographed
    ]
    with _sandbox(run) as server:
        limits = AccountLimits(active_jobs=SLOTS, per_minute={PATH: ALLOWED}, window=_minute(run))
        async with (
            Session(server["token"], base_url=server["url"], limits=limits) as session,
            Batch(session, run.folder / "run.sqlite", directory=run.folder / "out") as batch,
        ):
            with run.timed() as took:
                outcomes = [outcome async for outcome in batch.run(products)]
        _compare(run, server, took.seconds)
    if failed := [outcome for outcome in outcomes if outcome.error is not None]:
        raise RuntimeError(f"{len(failed)} products failed: {failed[0].error}")
    return took.seconds * _products(run) / wanted


# What a user writes after the guides


def one_by_one(run: Run) -> float:
    return _by_requests(run, run.pick(full=OF_ONE_BY_ONE, tiny=2), map)


def threads(run: Run) -> float:
    def through_threads(make: Callable[[Any], None], products: Iterable[Any]) -> Iterator[None]:
        with ThreadPoolExecutor(16) as pool:
            return iter(list(pool.map(make, products)))

    return _by_requests(run, run.pick(full=OF_THREADS, tiny=6), through_threads)


def _by_requests(
    run: Run, products: int, each: Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]
) -> float:
    """Run some of the products, and reckon what all of them would take."""
    import requests

    photographed = list(enumerate(_photograph(run.folder, products)))
    pause = POLL * _minute(run)
    with _sandbox(run) as server:
        headers = {"Authorization": f"Bearer {server['token']}"}

        def call(method: str, path: str, **how: Any) -> Any:
            answer = requests.request(method, server["url"] + path, headers=headers, **how)
            answer.raise_for_status()
            return answer.json()

        def upload(path: Path) -> str:
            wish = {"project_name": "spring", "filename": path.name}
            ticket = call("POST", "/upload", json=wish)
            typed = {"Content-Type": ticket["content_type"]}
            answer = requests.put(ticket["upload_url"], headers=typed, data=path.read_bytes())
            answer.raise_for_status()
            return str(ticket["file_id"])

        def submit(images: Sequence[str]) -> str:
            order = {"project_id": project, "images": images, "reference_text": "navy"}
            while True:
                answer = requests.post(server["url"] + PATH, headers=headers, json=order)
                if answer.status_code != 429:
                    answer.raise_for_status()
                    return str(answer.json()["job_id"])
                time.sleep(pause)

        def make(product: tuple[int, Sequence[Path]]) -> None:
            number, photos = product
            job = submit([upload(path) for path in photos])
            while call("GET", f"/jobs/{job}/status")["status"] not in ("completed", "failed"):
                time.sleep(pause)
            for row in call("GET", f"/jobs/{job}/results")["results"]:
                name = f"{number}-{row['image_index']}.jpg"
                (run.folder / name).write_bytes(requests.get(row["output"]["full_size"]).content)

        project = call("POST", "/project", json={"project_name": "spring"})["project_id"]
        with run.timed() as took:
            for _ in each(make, photographed):
                pass
        _compare(run, server, took.seconds)
    return took.seconds * _products(run) / products


# Around all of them


def _products(run: Run) -> int:
    return run.pick(full=PRODUCTS, tiny=6)


def _minute(run: Run) -> float:
    return run.pick(full=MINUTE, tiny=TINY_MINUTE)


def _photograph(folder: Path, products: int) -> list[list[Path]]:
    """Make the photos of each product, each one different."""
    made = []
    for number in range(products):
        photos = [folder / f"photo-{number}-{view}.jpg" for view in range(IMAGES)]
        for view, path in enumerate(photos):
            path.write_bytes(PICTURE + f"{number} {view}".encode())
        made.append(photos)
    return made


@contextmanager
def _sandbox(run: Run) -> Iterator[Server]:
    with run.server(
        "sandbox",
        f"--latency={LATENCY}",
        f"--minute={_minute(run)}",
        f"--allowed={ALLOWED}",
        f"--slots={SLOTS}",
        f"--seconds-per-image={_minute(run) / IMAGES}",
    ) as server:
        yield server


def _compare(run: Run, server: Server, seconds: float) -> None:
    """Set the run beside the schedule that nobody can beat for the same jobs."""
    found = server.end()
    run.note("429s", found["refused"])
    run.note(OF_BEST, seconds / schedule(found["lasted"], LATENCY, _minute(run)))


FIGURES = (
    Figure(
        key="limits",
        title=f"{PRODUCTS} products of {IMAGES} images under limits, 20 ms a request",
        unit="seconds",
        cases={OURS: ours, BATCH: batch, THREADS: threads, ONE_BY_ONE: one_by_one, BEST: best},
        bars=(
            Bar(OURS, column=OF_BEST, at_most=1.05),
            Bar(OURS, column="429s", at_most=0),
            Bar(BATCH, column="429s", at_most=0),
        ),
        about=f"""\
Upload, submit, follow, download, against the sandbox with {ALLOWED} submissions in a minute of
{MINUTE:g} s and {SLOTS} jobs at once; a job takes as long. The programs after the guides read the
status every {POLL * MINUTE * 1000:.0f} ms (two seconds of a real minute), and ask again as soon
after a 429. All but the first program ran on fewer products (the batch on {OF_BATCH}, threads on
{OF_THREADS}, the last on {OF_ONE_BY_ONE}), and their seconds, not their 429s, are multiplied. The
schedule that nobody can beat knows in advance when windows open and jobs end; `areas/program.py`
reckons it. Its row has jobs of exactly a minute; the column has the products and jobs of that very
run. Waiting is what takes the time, so no round warms up.""",
        warm_up=False,
        patience=200.0,
    ),
)
