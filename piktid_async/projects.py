"""Projects of the account."""

from __future__ import annotations

from collections.abc import AsyncIterator

from piktid_async.errors import ConflictError, InvalidRequestError
from piktid_async.models.projects import Project
from piktid_async.models.rules import checked_letters
from piktid_async.protocol import endpoints
from piktid_async.runtime import Runtime


class Projects:
    """`session.projects`: the folders that jobs belong to."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def create(self, name: str) -> Project:
        """Make a project; one request. Raises `ConflictError` when the name is taken.

        https://docs.piktid.com/docs/v2/garment-recolor ("Creating a project")
        """
        call = endpoints.create_project(_checked(name), replayable=False)
        return await self._runtime.connect().caller.execute(call)

    async def ensure(self, name: str) -> Project:
        """Return the project of this name, making it if there is none; one request, as a rule.

        Safe to call from many programs at once, and to repeat.
        """
        caller = self._runtime.connect().caller
        try:
            return await caller.execute(endpoints.create_project(_checked(name), replayable=True))
        except ConflictError as error:
            # The answer may tell the id of the one that is there; else it is in the list.
            body = error.body if isinstance(error.body, dict) else {}
            known = body.get("project_id")
            if isinstance(known, str) and known:
                return Project(known, name)
            async for project in self.list():
                if project.project_name == name:
                    return project
            raise

    async def list(self) -> AsyncIterator[Project]:
        """Yield all projects; one request per hundred."""
        caller = self._runtime.connect().caller
        page, more = 1, True
        shown: object = None
        while more:
            answer = await caller.execute(endpoints.list_projects(page))
            for row in answer.rows:
                if (project := endpoints.project_of_row(row)) is not None:
                    yield project
            # "More", behind a page that is empty or the one before, would keep us asking for ever.
            more = answer.has_next and bool(answer.rows) and answer.rows != shown
            page, shown = page + 1, answer.rows


def _checked(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise InvalidRequestError("name", f"must be a non-empty text, not {name!r}")
    return checked_letters("name", name)
