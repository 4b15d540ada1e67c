"""Finds what a request refers to, or says that it is not there."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs

from piktid_async.sandbox.answers import refuse
from piktid_async.sandbox.orders import Cast, Project, Upload
from piktid_async.sandbox.state import Account

Uploaded = Callable[[Upload], bool]


@attrs.frozen
class Lookup:
    """The account, as checks ask it."""

    account: Account
    uploaded: Uploaded
    """Whether the file of a ticket has arrived."""

    def project(self, key: str) -> Project:
        """Find a project."""
        found = self.account.projects.get(key)
        if found is None:
            raise refuse(404, "Project not found")
        return found

    def identity(self, code: str) -> Cast:
        """Find an identity."""
        found = self.account.find_identity(code)
        if found is None:
            raise refuse(404, f"Identity not found: {code}")
        # No document says what a job does then; making pictures of nobody is not it.
        if getattr(self.account.identities[code], "status", None) == "failed":
            raise refuse(400, f"Identity preprocessing failed: {code}")
        return found

    def image(self, file_id: str, *, what: str = "Image", status: int = 400) -> Upload:
        """Find an uploaded image. The batch guides call a bad one a 400, the playground a 404."""
        upload = self.account.uploads.get(file_id)
        if upload is None or not self.uploaded(upload):
            raise refuse(status, f"{what} not found or not uploaded: {file_id}")
        return upload


def check_model(model: str, allowed: Collection[str]) -> None:
    """Refuse an engine that a service does not have."""
    if model not in allowed:
        raise refuse(400, f"Unsupported model: {model}")
