"""The body of an API request for aiohttp: JSON, or a form with a file of known length."""

from __future__ import annotations

import secrets

import orjson
from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter

from piktid_async.protocol.messages import Form, Request
from piktid_async.transport._payload import BodyPayload


class FormPayload(Payload):
    """Write one multipart form: the texts, the file block by block, the end."""

    # As in BodyPayload: attempts are ours to count, and each opens the file anew.
    _consumed = True
    _autoclose = True

    def __init__(self, form: Form) -> None:
        boundary = f"piktid-{secrets.token_hex(16)}"
        super().__init__(form, content_type=f"multipart/form-data; boundary={boundary}")
        self._file = BodyPayload(form.file, form.content_type, _unwatched)
        self._head = _head(form, boundary)
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._size = len(self._head) + form.file.size + len(self._tail)

    @property
    def failure(self) -> Exception | None:
        """What the source raised; aiohttp reports it as a broken connection."""
        return self._file.failure

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002
        """Refuse: a form is never wanted as text."""
        raise TypeError("an upload has no text form")

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole form."""
        await self.write_with_length(writer, None)

    async def write_with_length(
        self,
        writer: AbstractStreamWriter,
        content_length: int | None,  # noqa: ARG002  (the form knows its own)
    ) -> None:
        """Write exactly the announced bytes, or fail and so break the request off."""
        await writer.write(self._head)
        await self._file.write_with_length(writer, None)
        # Like the last block of any upload, without waiting for the drain.
        await writer.write(self._tail, drain=False)  # type: ignore[call-arg]


def content_of(request: Request) -> tuple[FormPayload | bytes | None, dict[str, str]]:
    """Return what to send, and the headers that it needs; made anew for each attempt."""
    if request.form is not None:
        payload = FormPayload(request.form)
        return payload, {"Content-Type": payload.content_type}
    if request.json is None:
        return None, {}
    return orjson.dumps(request.json), {"Content-Type": "application/json"}


def _head(form: Form, boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}\r\n'
        for name, text in form.fields.items()
    ]
    parts.append(
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="{_quoted(form.name)}"; '
        f'filename="{_quoted(form.filename)}"\r\n'
        f"Content-Type: {form.content_type}\r\n\r\n"
    )
    return "".join(parts).encode()


def _quoted(name: str) -> str:
    # As browsers do: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def _unwatched(_: int) -> None:
    pass
