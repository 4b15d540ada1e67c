"""`/_sandbox/faults`: what goes wrong, read and set while the sandbox runs. No fault befalls it."""

from __future__ import annotations

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import json_answer, json_object, refuse
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.middleware import CONTROL_PATH


@attrs.frozen
class FaultRoutes:
    """The sandbox's own endpoint, for programs on the same machine and for its page."""

    faults: Faults

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.get(CONTROL_PATH, self.show), web.put(CONTROL_PATH, self.change)]

    async def show(self, _: web.Request) -> web.Response:
        """Tell every option as it is now, and how often each fault happened."""
        return json_answer({"options": self.faults.options(), "counts": dict(self.faults.counts)})

    async def change(self, request: web.Request) -> web.Response:
        """Set the options that are named; the others stay."""
        try:
            self.faults.change(await json_object(request))
        except (TypeError, ValueError) as error:
            raise refuse(400, str(error)) from None
        return await self.show(request)
