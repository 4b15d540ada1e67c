"""What can go wrong on the command line: exit codes, and one sentence for each error."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeAlias

from piktid_async.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    DownloadError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobError,
    NotFoundError,
    PermissionDeniedError,
    PiktidError,
    RateLimitError,
    ServerError,
)

TOKENS_PAGE = "https://app.on-model.com/profile (tab Tokens)"

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
FETCH_AGAIN = "piktid results JOB"

OPTIONS: Mapping[str, str] = {
    "angle": "--angle",
    "aspect_ratio": "--ratio",
    "background": "--background",
    "camera": "--camera",
    "conversation": "--continue",
    "expression": "--expression",
    "garment_label": "--label",
    "height": "--height",
    "identities": "--identity",
    "identity": "--identity",
    "images": "PATHS",
    "instruction": "--instruction",
    "job_id": "JOB",
    "lighting": "--lighting",
    "model": "--engine",
    "num_variations": "--variations",
    "pose": "--pose",
    "processing_size": "--size",
    "project": "--project",
    "prompt": "--prompt",
    "props": "--props",
    "reference_image": "--reference",
    "reference_text": "--to",
    "style": "--style",
    "surface": "--surface",
    "url": "URL",
    "width": "--width",
    # Of `piktid vtryon recolor`:
    "color": "--change",
    "color_changes": "--change",
    "image_quality": "--quality",
    "models_image_generation_task_id": "--model",
    "pose_image_generation_id": "--pose",
    "target": "--change",
}
"""Fields of the requests, as the command line calls them."""

Hints: TypeAlias = tuple[tuple[type[PiktidError], str], ...]

HINTS: Hints = (
    (AuthenticationError, f"check PIKTID_API_TOKEN, or make a new token at {TOKENS_PAGE}"),
    (InsufficientCreditsError, "top up, or ask for fewer --variations or a smaller --size"),
    (PermissionDeniedError, "the plan may not allow this --size or --project"),
    (RateLimitError, "wait a minute, then run the same command again"),
    (ServerError, "the service has a problem; try again later"),
    (ConnectionFailedError, "check the network and PIKTID_BASE_URL, then try again"),
)
"""What to do next, by kind of error; the first that fits counts."""

VTRYON_HINTS: Hints = (
    (AuthenticationError, "check VTRYON_API_KEY"),
    (PermissionDeniedError, "check VTRYON_API_KEY, and what its plan allows"),
    (NotFoundError, "check --pose and --model; with --sandbox there are poses 936 to 940"),
    *[each for each in HINTS if each[0] in (RateLimitError, ServerError)],
    (ConnectionFailedError, "check the network and VTRYON_BASE_URL, then try again"),
)
"""The same for `piktid vtryon`."""


class Exit(IntEnum):
    """How a command ends."""

    OK = 0
    INCOMPLETE = 1
    """Some images or jobs failed, or were not finished in time."""
    USAGE = 2
    """The command line or the configuration is wrong; nothing was sent."""
    REFUSED = 3
    """The service or the network said no."""
    INTERRUPTED = 130
    """Ctrl-C."""
    TERMINATED = 143
    """A polite kill."""


class Trouble(Exception):  # noqa: N818 - it is not always an error: Ctrl-C is one
    """A command cannot go on; the message is all that the user sees."""

    def __init__(self, sentence: str, code: Exit = Exit.USAGE, **details: Any) -> None:
        super().__init__(sentence)
        self.code: Exit = code
        self.details: dict[str, Any] = details
        """What programs are told besides, with `--json`."""


def trouble_from(
    error: PiktidError | OSError,
    *,
    hints: Hints = HINTS,
    options: Mapping[str, str] = OPTIONS,
    again: str | None = FETCH_AGAIN,
) -> Trouble:
    """Return the sentence and the exit code for an error of the package or the disk.

    `again` is the command that fetches what a full disk had no room for, if it can be had.
    """
    if isinstance(error, InvalidRequestError):
        return Trouble(f"{options.get(error.field, error.field)}: {error.rule}.")
    if isinstance(error, ConfigurationError):
        return Trouble(_sentence(str(error)))
    if isinstance(error, PiktidError):
        return Trouble(explain(error, hints=hints, again=again), Exit.REFUSED)
    where = f"{error.filename}: " if error.filename else ""
    advice = ": make room" if error.errno in NO_ROOM else ""
    told = f"Cannot write {where}{error.strerror or error}{advice}"
    return Trouble(_sentence(told), Exit.INCOMPLETE)


def explain(error: PiktidError, *, hints: Hints = HINTS, again: str | None = FETCH_AGAIN) -> str:
    """Say what happened and what to do next."""
    hint = next((hint for kind, hint in hints if isinstance(error, kind)), None)
    if isinstance(error, ConnectionFailedError) and speaks_no_tls(error.summary):
        hint = "the server speaks no TLS: use http:// in its address"
    if isinstance(error, DownloadError) and any(os.strerror(no) in error.summary for no in NO_ROOM):
        way = f"fetch it with `{again}`, which costs nothing" if again else "run this again"
        hint = f"make room, then {way}"
    if hint:
        return _sentence(f"{error.summary.rstrip('.')}: {hint}")
    # What an ended job's error advises is for programs: the command line says it in its own way.
    return _sentence(error.summary if isinstance(error, JobError) else str(error))


def speaks_no_tls(text: str) -> bool:
    """Tell a server that answers a TLS greeting in plain HTTP by OpenSSL's words for it."""
    words = text.upper().replace(" ", "_")
    return "WRONG_VERSION_NUMBER" in words or "RECORD_LAYER_FAILURE" in words


def clean(text: str) -> str:
    """Make foreign words safe to print: no control characters, no query of any URL."""
    text = "".join(char if char.isprintable() else " " for char in text)
    return re.sub(r"(https?://[^\s?#]+)[?#][^\s'\"]*", r"\1?***", text)


def _sentence(text: str) -> str:
    text = clean(text).strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
