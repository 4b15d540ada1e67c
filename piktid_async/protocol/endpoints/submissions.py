"""The endpoints that make jobs, and cost credits.

What has a documented default is sent with it, the rest only where it was given. The fields of
instructions and their parts bear the service's own names, so they are written as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from piktid_async.errors import InvalidRequestError
from piktid_async.models.create_packshot import CreatePackshot
from piktid_async.models.flat_to_model import FlatToModel
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.identities import CreateIdentity
from piktid_async.models.image_playground import ImagePlayground
from piktid_async.models.images import AnnotatedImage, UploadedFile, file_id_of
from piktid_async.models.instructions import InstructedJob
from piktid_async.models.jobs import JobTicket
from piktid_async.models.model_swap import ModelSwap
from piktid_async.models.outputs import Camera, DesignValue, Lighting, OutputOptions
from piktid_async.models.requests import JobRequest
from piktid_async.protocol.endpoints.building import call
from piktid_async.protocol.endpoints.identities import CREATION_PATH, creation_body
from piktid_async.protocol.messages import Call, Request
from piktid_async.types import Json, JsonObject


def submit(request: JobRequest) -> Call[JobTicket]:
    """Return the POST that creates the job. It costs credits: never replayable."""
    row = _SUBMISSIONS.get(type(request))
    if row is None:
        raise InvalidRequestError("request", f"{type(request).__name__} is no job request")
    path, body = row
    return call(Request(method="POST", path=path, json=body(request)), JobTicket)


def _recolor_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, GarmentRecolor)
    reference = request.reference_image
    swatch = None if reference is None else file_id_of("reference_image", reference)
    return {
        "project_id": request.project_id,
        "images": [_image(each) for each in request.images],
        **_given(
            garment_label=request.garment_label,
            reference_image=swatch,
            reference_text=request.reference_text,
            instruction=request.instruction,
        ),
        "num_variations": request.num_variations,
        "processing_size": request.processing_size,
        "model": request.model,
        "post_process": request.post_process,
        "use_anchor": request.use_anchor,
        "add_ai_watermark": request.add_ai_watermark,
    }


def _packshot_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, CreatePackshot)
    return {
        **_instructed(request),
        "instructions": [
            # Said in so many words, so that nobody has to know the service's default.
            {**_fields(each), "angle": "top_down"} if each.style == "flat_lay" else _fields(each)
            for each in request.instructions
        ],
        "options": _generation(request),
    }


def _model_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, FlatToModel)
    return {
        "identity_code": request.identity,
        **_instructed(request),
        **_given(instructions=[_fields(each) for each in request.instructions]),
        "options": {
            **_generation(request),
            "add_ai_watermark": request.add_ai_watermark,
            **({"use_alternative_method": True} if request.use_alternative_method else {}),
        },
        **_given(
            review_config=None if request.review_config is None else {**request.review_config}
        ),
    }


def _swap_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, ModelSwap)
    return {
        "identity_code": request.identity,
        "project_id": request.project_id,
        "images": [*request.input_ids],
        "post_process": request.post_process,
        "swap_options": dict(request.swap_options),
    }


def _playground_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, ImagePlayground)
    return {
        **_given(
            prompt=request.prompt,
            image_ids=[*request.input_ids],
            identity_codes=[*request.identities],
        ),
        "model": request.model,
        "size": request.size,
        "num_variations": request.num_variations,
        "output_mode": request.output_mode,
        **_given(
            aspect_ratio=request.aspect_ratio,
            width=request.width,
            height=request.height,
            conversation_id=request.conversation_id,
        ),
    }


def _instructed(request: InstructedJob) -> JsonObject:
    return {
        "project_id": request.project_id,
        "images": [_annotated(each) for each in request.images],
        "post_process": request.post_process,
    }


def _generation(request: InstructedJob) -> JsonObject:
    anchored = request.use_anchor and request.instructions
    return {
        "model": request.model,
        "use_anchor": request.use_anchor,
        **({"anchor_index": request.anchor_index} if anchored else {}),
    }


def _image(image: UploadedFile | AnnotatedImage | str) -> Json:
    file_id = file_id_of("images", image)
    if isinstance(image, AnnotatedImage) and image.note:
        return {"file_id": file_id, "note": image.note}
    return file_id


def _annotated(image: UploadedFile | AnnotatedImage | str) -> Json:
    return _fields(image) if isinstance(image, AnnotatedImage) else file_id_of("images", image)


def _given(**fields: Json) -> JsonObject:
    """Leave out what is None or an empty list."""
    return {name: value for name, value in fields.items() if value is not None and value != []}


def _fields(part: attrs.AttrsInstance) -> JsonObject:
    """Write a part of a request under its own names."""
    names = [field.name for field in attrs.fields(type(part))]
    return _given(**{name: _written(getattr(part, name)) for name in names})


def _written(value: object) -> Json:
    match value:
        case None | str() | int():
            return value
        case tuple():
            return [_written(each) for each in value]
        case Camera() | DesignValue() | Lighting() | OutputOptions():
            return _fields(value)
    raise TypeError(f"no form on the wire: {type(value).__name__}")


def _drafts_body(request: JobRequest) -> JsonObject:
    assert isinstance(request, CreateIdentity)
    return creation_body(request)


_SUBMISSIONS: Mapping[type[JobRequest], tuple[str, Callable[[JobRequest], JsonObject]]] = {
    CreateIdentity: (CREATION_PATH, _drafts_body),
    CreatePackshot: ("/create-packshot", _packshot_body),
    FlatToModel: ("/flat-2-model", _model_body),
    GarmentRecolor: ("/garment-recolor", _recolor_body),
    ImagePlayground: ("/edit-chat", _playground_body),
    ModelSwap: ("/model-swap", _swap_body),
}
