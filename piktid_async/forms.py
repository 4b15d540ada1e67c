"""Multipart forms with one picture."""

from __future__ import annotations

from collections.abc import Mapping

from piktid_async.protocol.messages import Form
from piktid_async.sources import Opened

_CONTENT_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}


def picture_form(opened: Opened, fields: Mapping[str, str]) -> Form:
    """Return a form with the texts, and the picture in the field `image`."""
    # Without a file name, the part would be taken for a text.
    filename = opened.filename or "image"
    extension = filename.rpartition(".")[2].lower()
    return Form(
        fields=fields,
        name="image",
        filename=filename,
        content_type=_CONTENT_TYPES.get(extension, "application/octet-stream"),
        file=opened.body,
    )
