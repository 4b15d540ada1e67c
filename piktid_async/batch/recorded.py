"""Results and errors as a journal keeps them: JSON, and never a URL."""

from __future__ import annotations

from typing import Any

import attrs

from piktid_async import errors
from piktid_async.errors import JobError, PiktidError
from piktid_async.models.jobs import JobResult
from piktid_async.protocol import codec
from piktid_async.types import JsonObject, redact_text

_OUTPUT = ("job_id", "image_index", "group_index", "version", "status", "model_used")
_TEXTS = ("error_message", "original_filename")


def result_json(result: JobResult) -> JsonObject:
    """Return what is worth keeping of a result."""
    outputs = [
        {name: getattr(each, name) for name in (*_OUTPUT, *_TEXTS)} for each in result.outputs
    ]
    return {
        "job_id": result.job_id,
        "kind": result.kind,
        "status": result.status,
        "outputs": [
            {name: value for name, value in each.items() if value is not None} for each in outputs
        ],
        "credits_used": result.credits_used,
        "error_message": result.error_message,
    }


def result_of(kept: JsonObject | None) -> JobResult | None:
    """Build a result again; its outputs have no URLs."""
    if kept is None:
        return None
    told: JsonObject = {name: value for name, value in kept.items() if value is not None}
    return codec.structure("journal", told, JobResult)


def error_json(error: PiktidError) -> JsonObject:
    """Return what is worth keeping of an error."""
    fields: JsonObject = {}
    kind: Any = type(error)
    for field in attrs.fields(kind) if attrs.has(kind) else ():
        value = getattr(error, field.name)
        if field.init and field.repr and isinstance(value, str | int | float):
            fields[field.name] = redact_text(value) if isinstance(value, str) else value
    return {"type": kind.__name__, "text": redact_text(str(error)), "fields": fields}


def error_of(kept: JsonObject | None, result: JobResult | None) -> PiktidError | None:
    """Build an error again: of the same class where its parts were kept, else its words."""
    if kept is None:
        return None
    kind: Any = getattr(errors, str(kept.get("type")), None)
    fields: Any = kept.get("fields")
    # One that is no attrs class has nothing but its words.
    parted = isinstance(kind, type) and issubclass(kind, PiktidError) and attrs.has(kind)
    if parted:
        extra = {"result": result} if issubclass(kind, JobError) else {}
        try:
            rebuilt: PiktidError = kind(**fields, **extra)
            return rebuilt
        except TypeError:
            pass  # a part of it could not be kept
    return PiktidError(str(kept.get("text")))
