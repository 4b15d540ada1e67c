"""`/project`."""

from __future__ import annotations

from piktid_async.models.projects import Project
from piktid_async.protocol import codec
from piktid_async.protocol.endpoints.building import Page, page_of
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_object
from piktid_async.types import JsonObject


def create_project(name: str, *, replayable: bool) -> Call[Project]:
    """`POST /project`; 409 when the name is taken, perhaps with the project's id."""
    request = Request(
        method="POST", path="/project", json={"project_name": name}, replayable=replayable
    )

    def parse(response: Response) -> Project:
        answer = read_object(request, response)
        return codec.structure(request.call, {"project_name": name, **answer}, Project)

    return Call(request, parse)


def list_projects(page: int) -> Call[Page]:
    """`GET /project`."""
    return page_of("/project", "projects", page, {})


def project_of_row(row: JsonObject) -> Project | None:
    """Read a row of the list: the key is the id, the integer `project_id` is not."""
    key = row.get("project_key") or row.get("project_id")
    name = row.get("project_text") or row.get("project_name")
    return Project(str(key), str(name or "")) if key else None
