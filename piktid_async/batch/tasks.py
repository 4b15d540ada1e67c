"""The names of the short tasks of which a queue is made."""

from __future__ import annotations

UPLOAD = "upload"
SUBMIT = "submit"
COMPLETE = "complete"
"""Save what a job has made."""
