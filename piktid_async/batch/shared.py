"""What all products of a batch share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import attrs

from piktid_async.batch.ledger import Store
from piktid_async.batch.settle import Settling
from piktid_async.batch.uploading import Uploads
from piktid_async.models.projects import Project
from piktid_async.session import Session

PREPARED_AT_ONCE = 8
"""Products whose images are read and uploaded at once: it bounds what is held in memory."""


@attrs.frozen(kw_only=True)
class Run:
    """The tools and settings of one run."""

    session: Session
    store: Store
    uploads: Uploads
    settling: Settling
    project: Project
    directory: Path
    download: bool
    max_credits: float | None
    preparing: asyncio.Semaphore = attrs.field(factory=lambda: asyncio.Semaphore(PREPARED_AT_ONCE))
