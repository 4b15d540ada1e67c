"""Projects: the folders that jobs belong to."""

from __future__ import annotations

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models.rules import checked_letters
from piktid_async.types import shown


@attrs.frozen
class Project:
    """A project of the account."""

    project_id: str
    """The key that job requests take (the service calls it `project_key` in other places)."""
    project_name: str = ""


def project_id_of(value: Project | str) -> str:
    """Return the id of a project, given as such or as its id."""
    found: object = value.project_id if isinstance(value, Project) else value
    if not isinstance(found, str) or not found.strip():
        raise InvalidRequestError(
            "project",
            f"must be a Project or its id, not {shown(value)}: see session.projects.ensure",
        )
    return checked_letters("project", found)
