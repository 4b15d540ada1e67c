"""Multipart forms with one picture."""

from __future__ import annotations

import attrs
from aiohttp import BodyPartReader, web

from piktid_async.sandbox.answers import invalid, problem, refuse

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_MOST_TEXT = 64 * 1024


@attrs.frozen(kw_only=True)
class PictureForm:
    """A checked form."""

    fields: dict[str, str]
    filename: str | None
    content_type: str
    picture: bytes


async def picture_form(request: web.Request, *, most: int | None) -> PictureForm:
    """Read a form, or raise the 400 that it deserves."""
    if request.content_type != "multipart/form-data":
        raise invalid(problem("image", "Missing data for required field."))
    fields: dict[str, str] = {}
    found: PictureForm | None = None
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise invalid(problem(None, "Not a valid form."))
        content = await _content(part, _MOST_TEXT if part.name != "image" else most)
        if part.name != "image":
            fields[part.name] = content.decode("utf-8", "replace")
            continue
        found = PictureForm(
            fields=fields,
            filename=part.filename,
            content_type=part.headers.get("Content-Type", "application/octet-stream"),
            picture=content,
        )
    if found is None or found.filename is None:
        raise invalid(problem("image", "Missing data for required field."))
    if not (found.picture.startswith(_BEGINNINGS) or found.picture[8:12] == b"WEBP"):
        raise refuse(400, "Invalid image")
    return found


async def _content(part: BodyPartReader, most: int | None) -> bytes:
    content = bytearray()
    while chunk := await part.read_chunk(1 << 18):
        content += chunk
        if most is not None and len(content) > most:
            raise refuse(413, "The form is too large")
    return bytes(content)
