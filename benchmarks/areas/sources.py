"""Growth with the number of uploads: `upload_each` over ten to a million sources, ten minutes."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.harness import Figure, Run
from benchmarks.inputs import CONNECTIONS, PICTURE

OURS = "piktid-async"


async def upload_each(run: Run) -> float:
    """Upload as many tiny sources as the point says; return megabytes over an idle session."""
    with run.server("two_steps") as server:
        from piktid_async import Session

        async with Session(
            token="token", base_url=server["url"], upload_concurrency=CONNECTIONS
        ) as session:

            def sources(count: int) -> Iterator[bytes]:
                for number in range(count):
                    yield PICTURE + number.to_bytes(8)

            async for _ in session.upload_each(sources(1_000)):
                pass
            with run.timed() as took:
                done = 0
                async for outcome in session.upload_each(sources(run.point)):
                    done += outcome.file is not None
            assert done == run.point
    run.note("sources/s", run.point / took.seconds)
    return took.memory or 0.0


FIGURES = (
    Figure(
        key="sources",
        title="Memory of `upload_each` over its number of sources",
        unit="MB",
        cases={OURS: upload_each},
        points=(10, 1_000, 100_000, 1_000_000),
        tiny_points=(10,),
        over="sources",
        rounds=1,
        warm_up=False,
        patience=3600.0,
        about=(
            "Sources of 116 bytes from a generator, both calls of each, after 1,000 others; the "
            "server answers at once."
        ),
    ),
)
