"""The endpoints that make jobs, and cost credits."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from piktid_async.errors import InvalidRequestError
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.images import AnnotatedImage, UploadedFile, file_id_of
from piktid_async.models.jobs import JobTicket
from piktid_async.models.requests import JobRequest
from piktid_async.protocol.endpoints.building import call
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
    optional: JsonObject = {
        "garment_label": request.garment_label,
        "reference_image": None if reference is None else file_id_of("reference_image", reference),
        "reference_text": request.reference_text,
        "instruction": request.instruction,
    }
    return {
        "project_id": request.project_id,
        "images": [_image(each) for each in request.images],
        **{key: value for key, value in optional.items() if value is not None},
        "num_variations": request.num_variations,
        "processing_size": request.processing_size,
        "model": request.model,
        "post_process": request.post_process,
        "use_anchor": request.use_anchor,
        "add_ai_watermark": request.add_ai_watermark,
    }


def _image(image: UploadedFile | AnnotatedImage | str) -> Json:
    file_id = file_id_of("images", image)
    if isinstance(image, AnnotatedImage) and image.note:
        return {"file_id": file_id, "note": image.note}
    return file_id


_SUBMISSIONS: Mapping[type[JobRequest], tuple[str, Callable[[JobRequest], JsonObject]]] = {
    GarmentRecolor: ("/garment-recolor", _recolor_body)
}
