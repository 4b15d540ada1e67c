"""The storage origin: takes signed uploads, serves uploads and results under signed URLs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import quote

from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import Streamed
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.signing import StorageError, UrlSigner
from piktid_async.sandbox.spool import BLOCK, Spool


def upload_key(file_id: str, filename: str) -> str:
    """Return where an upload is kept: a raw URL path."""
    return f"/on-model-uploads/~sandbox/{file_id}%2F{quote(filename, safe='')}"


def result_key(job_id: str, name: str) -> str:
    """Return where a result image is kept: a raw URL path."""
    return f"/on-model-results/~sandbox/{job_id}%2F{quote(name, safe='')}"


class Storage:
    """Objects under signed URLs."""

    def __init__(
        self,
        *,
        spool: Spool,
        faults: Faults,
        url_life: float,
        max_upload_bytes: int | None,
        ledger: Ledger,
    ) -> None:
        self.spool = spool
        self.origin = ""
        self.put_connections: connections.Connections = connections.Connections()
        self.authorization_seen: bool = False
        self._faults = faults
        self._url_life = url_life
        self._max_upload_bytes = max_upload_bytes
        self._signer = UrlSigner()
        ledger.keep("signer", lambda: self._signer.key, self._sign_with)

    def _sign_with(self, key: bytes) -> None:
        self._signer.key = key

    def upload_url(self, key: str, *, content_type: str) -> str:
        """Sign a PUT."""
        return self._signed("PUT", key, kind="upload", content_type=content_type)

    def download_url(self, key: str) -> str:
        """Sign a GET."""
        return self._signed("GET", key, kind="download")

    def _signed(self, method: str, key: str, *, kind: str, content_type: str = "") -> str:
        fault = self._faults.first_of((f"{kind}_url_expired", f"{kind}_url_skewed"))
        return self.origin + self._signer.sign(
            method,
            key,
            life=0.0 if fault == f"{kind}_url_expired" else self._url_life,
            content_type=content_type,
            ahead=self._faults.clock_skew if fault == f"{kind}_url_skewed" else 0.0,
        )

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request on this origin."""
        try:
            self._refuse_authorization(request)
            if request.method == "PUT":
                return await self._put(request)
            if request.method == "GET":
                return await self._get(request)
            raise StorageError(
                405,
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.",
            )
        except StorageError as error:
            return web.Response(
                status=error.status, text=error.xml(), content_type="application/xml"
            )

    async def _put(self, request: web.Request) -> web.Response:
        self.put_connections.note(request)
        content_type = request.headers.get("Content-Type", "")
        key = self._signer.verify("PUT", request.raw_path, content_type=content_type)
        length = self._content_length(request)
        fault = self._faults.first_of(("storage_errors", "upload_reset", "upload_stall"))
        if fault == "storage_errors":
            raise _slow_down()
        if fault is not None:
            async for _ in _body(request, length // 2):
                pass
            if fault == "upload_stall":
                await asyncio.sleep(self._faults.stall_seconds)
            return connections.reset(request)
        await self.spool.receive(key, _body(request, length), content_type=content_type)
        return web.Response()

    async def _get(self, request: web.Request) -> web.StreamResponse:
        key = self._signer.verify("GET", request.raw_path)
        if self._faults.take("download_errors"):
            raise _slow_down()
        stored = self.spool.find(key)
        if stored is None:
            raise StorageError(404, "NoSuchKey", "The specified key does not exist.")
        return Streamed(
            self.spool.blocks(stored),
            size=stored.size,
            headers={"Content-Type": stored.content_type},
        )

    def _refuse_authorization(self, request: web.Request) -> None:
        if "Authorization" not in request.headers:
            return
        self.authorization_seen = True
        raise StorageError(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
            "Signature query string parameter or the Authorization header should be specified",
            {"ArgumentName": "Authorization"},
        )

    def _content_length(self, request: web.Request) -> int:
        if "Transfer-Encoding" in request.headers:
            raise StorageError(
                501,
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                {"Header": "Transfer-Encoding"},
            )
        length = request.content_length
        if length is None:
            raise StorageError(
                411, "MissingContentLength", "You must provide the Content-Length HTTP header."
            )
        if self._max_upload_bytes is not None and length > self._max_upload_bytes:
            raise StorageError(
                400,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                {"ProposedSize": str(length), "MaxSizeAllowed": str(self._max_upload_bytes)},
            )
        return length


def _slow_down() -> StorageError:
    return StorageError(503, "SlowDown", "Please reduce your request rate.")


async def _body(request: web.Request, length: int) -> AsyncGenerator[bytes, None]:
    left = length
    while left:
        block = await request.content.readexactly(min(BLOCK, left))
        left -= len(block)
        yield block
