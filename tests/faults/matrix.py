"""What becomes of each kind of call under each kind of fault: the table that the tests are made of.

The README prints it. A row is a kind of call, a column a kind of fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal[
    "again",  # `max_retries` times, then raised
    "again, ever",  # for as long as somebody needs the stream
    "in turn",  # again when the limits allow, as often as it takes
    "raised",
    "in doubt",  # SubmissionUnknownError: nobody knows, and it is not sent again
    "looked up",  # it exists already: found in the list
    "followed",
    "done",  # the body of the answer is not looked at
]
Column: TypeAlias = Literal[
    "never left", "no answer", "5xx", "408", "409", "429", "refused", "redirect", "nonsense"
]

COLUMNS: Mapping[Column, str] = {
    "never left": "never left",
    "no answer": "no whole answer",
    "5xx": "5xx",
    "408": "408",
    "409": "409",
    "429": "429",
    "refused": "other 4xx",
    "redirect": "redirect, endless answer",
    "nonsense": "answer without sense",
}


def row(*outcomes: Outcome) -> Mapping[Column, Outcome]:
    assert len(outcomes) == len(COLUMNS)
    return dict(zip(COLUMNS, outcomes, strict=True))


MATRIX: Mapping[str, Mapping[Column, Outcome]] = {
    "reading and listing": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "raised", "raised")
    ),
    "changing and replacing": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "raised", "raised")
    ),
    "acknowledging, deleting a Vtryon task": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "raised", "done")
    ),
    "`projects.ensure`, `identities.ensure`": row(
        *("again", "again", "again", "again", "looked up", "again", "raised", "raised", "raised")
    ),
    "asking for an upload or download link": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "raised", "raised")
    ),
    "putting the bytes of a file": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "raised", "done")
    ),
    "putting bytes that can be read once": row(
        *("again", "raised", "raised", "raised", "raised", "raised", "raised", "raised", "done")
    ),
    "fetching a result": row(
        *("again", "again", "again", "again", "raised", "again", "raised", "followed", "raised")
    ),
    "submitting a job": row(
        "again", "in doubt", "in doubt", "in doubt", "in doubt", "in turn", "raised",
        "in doubt", "in doubt",
    ),
    "a Vtryon recolor": row(
        "again", "in doubt", "in doubt", "in doubt", "in doubt", "raised", "raised",
        "in doubt", "in doubt",
    ),
    "`identities.promote`": row(
        *("again", "raised", "raised", "raised", "raised", "in turn", "raised", "raised", "raised")
    ),
    "regenerating an image": row(
        *("again", "raised", "raised", "raised", "raised", "raised", "raised", "raised", "done")
    ),
    "what else makes, deletes or costs": row(
        *("again", "raised", "raised", "raised", "raised", "raised", "raised", "raised", "raised")
    ),
    "opening the event stream": row(
        "again, ever", "again, ever", "again, ever", "again, ever", "raised", "again, ever",
        "raised", "raised", "again, ever",
    ),
}  # fmt: skip

KINDS: Mapping[str, tuple[str, ...]] = {
    "reading and listing": (
        *("anything", "asset", "credit_usage", "gallery_jobs", "group_usage", "identity"),
        *("identity_status", "job_results", "job_status", "job_versions", "list_assets"),
        *("list_identities", "list_job_summaries", "list_project_summaries", "list_projects"),
        *("list_tokens", "outstanding", "preset", "stuck_images", "vtryon.list_images"),
        *("vtryon.list_tasks", "vtryon.read_task"),
    ),
    "changing and replacing": (
        *("fail_stuck_images", "update_category", "update_identity", "update_preset"),
        *("login", "upload_pov"),
    ),
    "acknowledging, deleting a Vtryon task": (
        *("acknowledge", "vtryon.delete", "vtryon.delete_person_image"),
    ),
    "`projects.ensure`, `identities.ensure`": ("create_project", "upload_identity"),
    "asking for an upload or download link": ("request_bulk_zip", "request_upload", "request_zip"),
    "submitting a job": ("submit",),
    "a Vtryon recolor": ("vtryon.create",),
    "`identities.promote`": ("promote_draft",),
    "regenerating an image": ("regenerate",),
    "what else makes, deletes or costs": (
        *("create_category", "create_preset", "create_token", "delete_assets", "delete_presets"),
        *("duplicate_category", "preset_from_image", "preset_from_text", "refresh"),
        *("register_webhook", "vtryon.upload_image"),
    ),
    "opening the event stream": ("events",),
}
"""Every endpoint has its kind. The two of `ensure` are sent once by `create` and `upload`."""

REPEATED = frozenset(kind for kind, cells in MATRIX.items() if cells["5xx"].startswith("again"))


def readme_table() -> list[str]:
    """Return the lines that the README has to hold."""
    return [
        "| call | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (1 + len(COLUMNS)) + "|",
        *(f"| {kind} | " + " | ".join(cells.values()) + " |" for kind, cells in MATRIX.items()),
    ]
