"""What the image work is handed."""

from __future__ import annotations

import attrs

from piktid_async.sandbox.orders import Shot
from piktid_async.sandbox.spool import StoredObject


@attrs.frozen(kw_only=True)
class Work:
    """Everything that one picture is made from."""

    shot: Shot
    sources: tuple[StoredObject, ...]
    extra: tuple[StoredObject, ...]
    variation: int
    """Counts variations and versions: equal numbers make equal pictures."""
    scale: float
