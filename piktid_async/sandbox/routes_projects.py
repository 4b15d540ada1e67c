"""Projects and upload tickets."""

from __future__ import annotations

import uuid
from pathlib import PurePath

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import (
    JsonObject,
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
)
from piktid_async.sandbox.orders import Project, Upload
from piktid_async.sandbox.paging import paged
from piktid_async.sandbox.state import Account, iso
from piktid_async.sandbox.storage import Storage, upload_key

# Not `mimetypes`: its answers depend on the machine.
_CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
    ".heic": "image/heic",
}
_MAX_NAME = 255


@attrs.frozen
class ProjectRoutes:
    """`/project` and `/upload`."""

    account: Account
    storage: Storage

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/project", self.create),
            web.get("/project", self.list),
            web.post("/upload", self.upload),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Make a project; a name is taken once."""
        name = _name(await json_object(request), "project_name")
        if name is None:
            raise invalid(problem("project_name", "Missing data for required field."))
        taken = self.account.project_named(name)
        if taken is not None:
            raise refuse(409, "Project already exists", project_id=taken.key)
        project = self.account.add_project(name)
        return json_answer({"project_id": project.key, "project_name": project.name}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """List the projects."""
        page, pagination = paged(request, [*self.account.projects.values()])
        return json_answer(
            {"projects": [_listed(found) for found in page], "pagination": pagination}
        )

    async def upload(self, request: web.Request) -> web.Response:
        """Hand out a ticket: a signed URL to put the file to."""
        body = await json_object(request, optional=True)
        filename, project_name = _name(body, "filename"), _name(body, "project_name")
        upload = _ticket(filename or str(uuid.uuid4()))
        self.account.add_upload(upload)
        answer = {
            "upload_url": self.storage.upload_url(
                upload.object_key, content_type=upload.content_type
            ),
            "download_url": self.storage.download_url(upload.object_key),
            "file_id": upload.file_id,
            "filename": upload.filename,
            "content_type": upload.content_type,
        }
        if project_name is not None:
            project = self._ensured(project_name)
            answer |= {"project_id": project.key, "project_name": project.name}
        return json_answer(answer)

    def _ensured(self, name: str) -> Project:
        # The guides echo the project of an upload; the vendor's oldest script had no other way
        # to get one.
        return self.account.project_named(name) or self.account.add_project(name)


def _ticket(filename: str) -> Upload:
    file_id = str(uuid.uuid4())
    suffix = PurePath(filename).suffix.lower()
    return Upload(
        file_id=file_id,
        filename=filename,
        content_type=_CONTENT_TYPES.get(suffix, "application/octet-stream"),
        object_key=upload_key(file_id, filename),
    )


def _name(body: JsonObject, field: str) -> str | None:
    name = body.get(field)
    if name is None:
        return None
    if not isinstance(name, str):
        raise invalid(problem(field, "Not a valid string."))
    if not 1 <= len(name) <= _MAX_NAME:
        raise invalid(problem(field, f"Length must be between 1 and {_MAX_NAME}."))
    return name


def _listed(project: Project) -> JsonObject:
    return {
        "project_text": project.name,
        "project_key": project.key,
        "project_id": project.number,
        "created_at": iso(project.created),
    }
