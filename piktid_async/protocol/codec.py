"""JSON to models: the cattrs converters, strict where cattrs would coerce in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import GenericAlias
from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import Converter, transform_error
from cattrs.gen import make_dict_structure_fn, override

from piktid_async.errors import ResponseFormatError
from piktid_async.models.jobs import JobResult, Output
from piktid_async.models.notifications import (
    BatchEdit,
    IdentityPreprocessing,
    ImageResult,
    Notification,
    Payload,
    UnknownPayload,
    WireNotification,
)
from piktid_async.types import Json, JsonObject

T = TypeVar("T")


def structure(call: str, value: Json, kind: type[T], *, path: str = "$") -> T:
    """Build a model; raise `ResponseFormatError` with the path of what does not fit."""
    try:
        return _quick.structure(value, kind)
    except Exception:  # whatever a hook raised
        paths = _misfits(value, kind, path)
    raise ResponseFormatError(call, paths)


def _misfits(value: Json, kind: type, path: str) -> str:
    """Build it again, slowly, to find out what does not fit, and where."""
    try:
        _careful.structure(value, kind)
    except Exception as error:
        # cattrs raises groups; the paths are the useful part.
        return "; ".join(transform_error(error, path=path)[:5])
    raise AssertionError(f"{kind} fits after all")


def notification(wire: WireNotification) -> Notification:
    """Build the public form of a notification; a shape that does not fit is `UnknownPayload`."""
    return Notification(wire.id, wire.name, wire.timestamp, wire.job_id, _payload(wire), wire.data)


def output_from_event(wire: WireNotification) -> Output | None:
    """Build the output that an `image_result` tells of, settled or not; None if it is unfit."""
    payload = _payload(wire)
    if not isinstance(payload, ImageResult) or wire.job_id is None:
        return None
    return Output(
        job_id=wire.job_id,
        image_index=payload.image_index,
        group_index=payload.group_index,
        version=payload.version,
        status=payload.status,
        url=payload.output_link,
        thumbnail_url=payload.output_thumbnail_link,
        error_message=payload.error_message,
    )


def job_result(call: str, body: JsonObject) -> JobResult:
    """Build a result from the answer of `GET /jobs/{id}/results`."""
    result = structure(
        call,
        {
            "job_id": body.get("job_id"),
            "kind": body.get("job_type") or "",
            "status": body.get("status"),
            "outputs": [],
            "summary": body.get("summary") or {},
            "credits_used": body.get("credits_used"),
            "error_message": body.get("error_message"),
            "post_processing_status": body.get("post_processing_status"),
            "post_processing_error": body.get("post_processing_error"),
        },
        JobResult,
    )
    outputs, unreadable = _readable(call, body, body.get("results"))
    return attrs.evolve(
        result,
        outputs=outputs,
        unreadable=unreadable,
        attachments=_tuple(body.get("edit_chat_attachments")),
        identities=_tuple(body.get("edit_chat_identities")),
    )


def _readable(
    call: str, body: JsonObject, rows: Json
) -> tuple[tuple[Output, ...], tuple[str, ...]]:
    """Build outputs from the rows that can be read, and say what is wrong with the others.

    The outputs are paid for: one odd row must not keep the rest from whoever paid. A list
    without any good row is no answer.
    """
    if not isinstance(rows, list):
        return output_rows(call, body, rows), ()
    outputs: list[Output] = []
    unreadable: list[str] = []
    for number, row in enumerate(rows):
        try:
            outputs += listed_outputs(call, body, [row], path="$.results")
        except ResponseFormatError as error:
            unreadable.append(error.reason.replace("$.results[0]", f"$.results[{number}]"))
    if unreadable and not outputs:
        raise ResponseFormatError(call, "; ".join(unreadable[:5]))
    return tuple(sorted(outputs, key=lambda each: each.key)), tuple(unreadable)


def output_rows(
    call: str, body: JsonObject, rows: Json, *, path: str = "$.results"
) -> tuple[Output, ...]:
    """Build outputs from rows of results, ordered by their keys."""
    return tuple(sorted(listed_outputs(call, body, rows, path=path), key=lambda each: each.key))


def listed_outputs(
    call: str, body: JsonObject, rows: Json, *, path: str = "$.images"
) -> tuple[Output, ...]:
    """Build outputs from rows of results, in their order."""
    if isinstance(rows, list):
        rows = [_flat(row, body.get("job_id")) if isinstance(row, dict) else row for row in rows]
    return structure(call, [] if rows is None else rows, tuple[Output, ...], path=path)


def _tuple(value: Json) -> tuple[Json, ...]:
    return tuple(value) if isinstance(value, list) else ()


def _payload(wire: WireNotification) -> Payload:
    kind = _PAYLOADS.get(wire.name)
    if kind is None:
        return UnknownPayload()
    try:
        return structure(wire.name, _without_nulls(wire.data), kind)
    except ResponseFormatError as error:
        return UnknownPayload(reason=error.reason)


def _flat(row: JsonObject, job_id: Json) -> Json:
    # Vendor programs also read a top-level `url`; the reference knows only `output`.
    output = row.get("output")
    links = output if isinstance(output, dict) else {}
    number = row.get("image_result_id") or row.get("id")
    return {
        **_without_nulls(row),
        "job_id": row.get("job_id") or job_id,
        "group_index": row.get("group_index") or 0,
        "status": row.get("status") or "pending",
        "url": links.get("full_size") or row.get("url"),
        "thumbnail_url": links.get("thumbnail"),
        "image_result_id": number if type(number) is int else None,
    }


def _without_nulls(row: JsonObject) -> JsonObject:
    # The reference allows null for every field of an image; it says no more than absence.
    return {key: value for key, value in row.items() if value is not None}


_PAYLOADS: Mapping[str, type[BatchEdit | ImageResult | IdentityPreprocessing]] = {
    "batch_edit": BatchEdit,
    "image_result": ImageResult,
    "identity_preprocessing": IdentityPreprocessing,
}


def _exactly(*kinds: type) -> Callable[[Any, Any], Any]:
    # cattrs would make 'None' of None, True of "false" and 5 of 5.9.
    names = " or ".join(kind.__name__ for kind in kinds)

    def check(value: Any, _: Any) -> Any:
        if type(value) not in kinds:
            raise TypeError(f"{names} expected, {type(value).__name__} found")
        return value

    return check


def _index(value: Any, _: Any) -> int:
    # It becomes a part of a file's name, and negative ones stand for what is not known yet.
    if type(value) is not int or value < 0:
        raise ValueError("a whole number, 0 or more, expected")
    return value


def _no_rows(_: Any, __: Any) -> tuple[()]:
    return ()


def _as_it_is(value: Any, _: Any) -> Any:
    return value


_MAPPING = _exactly(dict)
_PLACE: dict[str, Any] = {
    name: override(struct_hook=_index) for name in ("image_index", "group_index", "version")
}

_STRICT: dict[type, dict[str, Any]] = {
    Output: {"saver": override(omit=True), **_PLACE},
    ImageResult: _PLACE,
    JobResult: {
        "summary": override(struct_hook=_MAPPING),
        "attachments": override(omit=True),
        "identities": override(omit=True),
        "unreadable": override(omit=True),
    },
}

# What any edition of the reference leaves out or sends as null takes its default. The hooks are for
# fields that hold JSON of any shape. By name, for few programs meet them all.
_TOLERANT: dict[str, dict[str, Callable[[Any, Any], Any]]] = {
    "Identity": {"image_description": _MAPPING, "face_metadata": _MAPPING},
    "IdentityStatus": {},
    "MetadataUpdate": {"image_description": _MAPPING},
    "PovImage": {},
    "PovUpload": {},
    "Promotion": {},
    "JobSummary": {"images": _no_rows},
    "ProjectSummary": {"images": _no_rows},
    "Asset": dict.fromkeys(("styling_note", "detected", "dimensions"), _as_it_is),
    "UsagePeriod": {},
    "CreditUsage": {},
    "GroupMember": {},
    "GroupUsage": {"summary_by_user": _as_it_is},
    "ApiToken": {},
    "TokenInfo": {},
    "Profile": {},
    "TokenPair": {},
    "PresetCategory": {},
    "Preset": {"instruction_data": _MAPPING},
    "PresetSuggestion": {"instruction_data": _MAPPING},
    "CategoryCopy": {},
}


def _is_tolerant(kind: Any) -> bool:
    return attrs.has(kind) and kind.__name__ in _TOLERANT


def _tolerant(converter: Converter, kind: type) -> Callable[[Any, Any], Any]:
    overrides: dict[str, Any] = {
        name: override(struct_hook=each) for name, each in _TOLERANT[kind.__name__].items()
    }
    build: Callable[[Any, Any], Any] = make_dict_structure_fn(kind, converter, **overrides)

    def structure(value: Any, _: Any) -> Any:
        told = {key: each for key, each in _MAPPING(value, dict).items() if each is not None}
        return build(told, kind)

    return structure


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple_of_list(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    # cattrs would make ('a', 'b') of "ab", and the keys of an object.
    items: Any = GenericAlias(list, get_args(kind)[0])

    def check(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise TypeError(f"list expected, {type(value).__name__} found")
        return tuple(converter.structure(value, items))

    return check


def _converter(*, careful: bool) -> Converter:
    """Return a converter, which makes the code for a class when it first meets it."""
    converter = Converter(detailed_validation=careful)
    converter.register_structure_hook(str, _exactly(str))
    converter.register_structure_hook(int, _exactly(int))
    converter.register_structure_hook(bool, _exactly(bool))
    converter.register_structure_hook(float, _exactly(float, int))
    converter.register_structure_hook_factory(_is_tuple, partial(_tuple_of_list, converter))
    converter.register_structure_hook_factory(_is_tolerant, lambda kind: _tolerant(converter, kind))
    converter.register_structure_hook_factory(
        _STRICT.__contains__, lambda kind: make_dict_structure_fn(kind, converter, **_STRICT[kind])
    )
    return converter


_quick = _converter(careful=False)
_careful = _converter(careful=True)
"""Says where the fault is; takes twice as long."""
