"""`POST /edit-chat`: Image Playground, one generation of a conversation each time."""

from __future__ import annotations

import re

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import JsonObject, refuse
from piktid_async.sandbox.checks.playground import Turn, check_turn
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.state import Account, Job
from piktid_async.sandbox.submitting import Desk

PATH = "/edit-chat"


@attrs.frozen(kw_only=True)
class PlaygroundRoutes:
    """Takes generations."""

    account: Account
    runner: JobRunner
    desk: Desk

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.post(PATH, self.submit)]

    async def submit(self, request: web.Request) -> web.Response:
        """Check a generation, book it, start it."""
        body = await self.desk.read(request, PATH)
        turn = check_turn(body, self.desk.lookup)
        self._filter(body.get("prompt"))
        self.desk.admit(turn.order, short_of_credits="Insufficient credits")
        job = self._book(turn)
        answer: JsonObject = {
            "job_id": job.job_id,
            "conversation_id": job.job_id,
            "status": "processing",
        }
        return await self.desk.accept(request, job, answer)

    def _book(self, turn: Turn) -> Job:
        job = turn.continues
        if job is None:
            job = self.account.add_job(turn.order)
            # The guide: "a long-lived conversation held at status completed".
            job.status = "completed"
            self.runner.start(job)
        else:
            self.runner.go_on(job, self.account.add_shots(job, turn.order.shots))
        job.attachments += [each for each in turn.images if each not in job.attachments]
        job.cast += [each for each in turn.order.cast if each not in job.cast]
        return job

    def _filter(self, prompt: str | None) -> None:
        words = set(re.findall(r"\w+", (prompt or "").lower()))
        if words & self.desk.plan.blocked_words:
            raise refuse(403, "Blocked by the content filter")
