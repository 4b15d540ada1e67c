"""What every run, and every worker, of one batch has in common: its mark and its project."""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from pathlib import Path

from piktid_async.batch.ledger import Store
from piktid_async.batch.settle import Settling
from piktid_async.batch.shared import Run
from piktid_async.batch.uploading import Uploads
from piktid_async.coordination.local import LocalCoordinator
from piktid_async.errors import ConfigurationError
from piktid_async.models.projects import Project, project_id_of
from piktid_async.session import Session

_log = logging.getLogger("piktid_async.batch")


async def open_run(
    session: Session,
    store: Store,
    *,
    given_project: Project | str | None,
    directory: Path,
    download: bool,
    max_credits: float | None,
) -> Run:
    """Return the tools of a run; the first one to come makes the batch's project.

    Raises `ConfigurationError` for another service or project than before.
    """
    service = session._runtime.config.base_url
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if "mark" not in store.meta:
        await store.agree_on(mark=uuid.uuid4().hex[:8], created=created, base_url=service)
    if store.meta.get("base_url") != service:
        raise ConfigurationError(
            f"{store.label} belongs to {store.meta.get('base_url')}, not {service}: "
            "its files and jobs are there"
        )
    mark = str(store.meta["mark"])
    project = await _project(session, store, mark, given_project)
    alone = given_project is None and store.meta.get("alone") is not False
    if store.shared and isinstance(session._runtime.coordinator, LocalCoordinator):
        _log.warning(
            "%s may be worked on by several programs, and this session keeps the account's limits "
            "by itself: give each one Session(coordinator=PostgresCoordinator(url))",
            store.label,
        )
    return Run(
        session=session,
        store=store,
        uploads=Uploads(session, store, mark),
        settling=Settling(session, store, project.project_id, alone=alone),
        project=project,
        directory=directory,
        download=download,
        max_credits=max_credits,
    )


async def _project(
    session: Session, store: Store, mark: str, given: Project | str | None
) -> Project:
    """Return the project of the batch, the same in every run."""
    if "project_id" not in store.meta:
        if given is None:
            project = await session.projects.ensure(f"batch-{mark}")
        else:
            project = given if isinstance(given, Project) else Project(project_id_of(given))
        await store.agree_on(
            project_id=project.project_id, project_name=project.project_name, alone=given is None
        )
    kept, name = str(store.meta["project_id"]), store.meta.get("project_name")
    if given is not None and project_id_of(given) != kept:
        raise ConfigurationError(
            f"{store.label} belongs to project {kept}: take another journal for another project"
        )
    return Project(kept, name if isinstance(name, str) else "")
