"""The sandbox of the project in a process of its own, with latency, limits, and a shorter minute.

It is the one server here that comes from the package: what is measured against it is bound by its
limits and latency, and not by how fast it is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.settings import SandboxLimits

PATH = "/garment-recolor"


async def serve(chosen: argparse.Namespace) -> None:
    """Serve until standard input ends, then tell what was asked and made."""
    limits = SandboxLimits(
        active_jobs=chosen.slots, per_minute={PATH: chosen.allowed}, window=chosen.minute
    )
    async with Sandbox(
        render=False,
        limits=limits,
        request_delay=chosen.latency,
        seconds_per_image=chosen.seconds_per_image,
    ) as sandbox:
        print(json.dumps({"url": sandbox.url, "token": sandbox.token}), flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)
        asked, jobs = sandbox.books.api_requests[f"POST {PATH}"], sandbox.books.jobs.values()
        lasted = [job.updated - job.created for job in sorted(jobs, key=lambda job: job.created)]
        print(json.dumps({"refused": asked - len(lasted), "lasted": lasted}), flush=True)


def main() -> None:
    """Read the limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, required=True, help="seconds before each answer")
    parser.add_argument("--minute", type=float, required=True, help="seconds that it lasts here")
    parser.add_argument("--allowed", type=int, required=True, help="submissions in a minute")
    parser.add_argument("--slots", type=int, required=True, help="jobs at once")
    parser.add_argument("--seconds-per-image", type=float, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
