"""S3's side of a presigned PUT: URLs by botocore's signer, and a storage that signs them again."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from xml.sax.saxutils import escape

import attrs
import botocore.auth
from aiohttp import web
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.neighbours.serving import serving

logging.getLogger("botocore.auth").setLevel(logging.INFO)  # below it every signature is logged

REGION = "us-east-1"
KEYS = Credentials("test", "test")

TRICKY_KEY = "uploads/~me/it's a+b%2Fc (1)/ünï=&?#漢;@:$,!*[x].jpg"
TRICKY_QUERY = {"x-id": "PutObject", "note": "a b+c%2Fd&e=é~*'()", "empty": ""}


def presigned(
    endpoint: str,
    key: str,
    *,
    bucket: str = "pictures",
    headers: Mapping[str, str],
    query: Mapping[str, str] = TRICKY_QUERY,
    life: int = 900,
    age: timedelta = timedelta(0),
    keys: Credentials = KEYS,
    method: str = "PUT",
) -> str:
    """Return a URL that is good for `life` seconds, as it would have been signed `age` ago."""
    url = f"{endpoint}/{bucket}/{quote(key, safe='/~')}"
    request = AWSRequest(method, f"{url}?{urlencode(query, quote_via=quote)}", headers)
    signer = botocore.auth.S3SigV4QueryAuth(keys, "s3", REGION, expires=life)
    when = datetime.now(UTC) - age
    with patch.object(botocore.auth, "get_current_datetime", lambda: when):
        signer.add_auth(request)
    return str(request.url)


class RefusedError(Exception):
    """An answer in S3's words."""

    def __init__(self, status: int, code: str, message: str, **more: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        fields = {"Code": code, "Message": message, **more, "RequestId": "4442587FB7D0A2F9"}
        inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in fields.items())
        self.body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'


@attrs.define(eq=False)
class Storage:
    """Takes PUTs whose signature it can make itself, and keeps the bodies."""

    url: str = ""
    objects: dict[str, bytes] = attrs.field(factory=dict)
    """By raw path."""
    refusals: list[str] = attrs.field(factory=list)
    """Codes of all refusals."""
    raw_targets: list[str] = attrs.field(factory=list)
    before: Callable[[web.Request], None] | None = None
    """May raise `RefusedError` for a request that would be taken."""

    async def handle(self, request: web.Request) -> web.Response:
        self.raw_targets.append(request.raw_path)
        try:
            check_plain(request)
            check_signature(request)
            if self.before is not None:
                self.before(request)
        except RefusedError as refused:
            self.refusals.append(refused.code)
            return web.Response(
                status=refused.status, text=refused.body, content_type="application/xml"
            )
        self.objects[request.raw_path.partition("?")[0]] = await request.read()
        return web.Response(headers={"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'})


def check_plain(request: web.Request) -> None:
    """Refuse what S3 refuses before it looks at the signature, and cookies, which it never saw."""
    if "Authorization" in request.headers:
        raise RefusedError(
            400,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature "
            "query string parameter or the Authorization header should be specified",
        )
    if "Cookie" in request.headers:
        raise RefusedError(400, "InvalidRequest", "Nobody gave you a cookie")
    if "Transfer-Encoding" in request.headers:
        raise RefusedError(
            501, "NotImplemented", "A header you provided implies functionality that is not there"
        )
    if request.content_length is None:
        raise RefusedError(411, "MissingContentLength", "You must provide a Content-Length.")


def check_signature(request: web.Request) -> None:
    """Refuse a URL that has expired, or whose signature is not what botocore makes of it."""
    target, _, given = request.raw_path.partition("&X-Amz-Signature=")
    query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
    if not given or "X-Amz-Date" not in query:
        raise RefusedError(403, "AccessDenied", "Access Denied")
    signed_names = query["X-Amz-SignedHeaders"].split(";")
    again = AWSRequest(
        request.method,
        f"http://{request.host}{target}",
        {name: request.headers.get(name, "") for name in signed_names if name != "host"},
    )
    again.context["timestamp"] = query["X-Amz-Date"]
    signer = botocore.auth.S3SigV4QueryAuth(KEYS, "s3", REGION)
    canonical = signer.canonical_request(again)
    to_sign = signer.string_to_sign(again, canonical)
    if signer.signature(to_sign, again) != given:
        raise RefusedError(
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            AWSAccessKeyId="test",
            StringToSign=to_sign,
            SignatureProvided=given,
            CanonicalRequest=canonical,
        )
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    expires = signed_at + timedelta(seconds=int(query["X-Amz-Expires"]))
    if datetime.now(UTC) >= expires:
        raise RefusedError(
            403,
            "AccessDenied",
            "Request has expired",
            Expires=expires.isoformat(),
            ServerTime=datetime.now(UTC).isoformat(),
        )


@asynccontextmanager
async def storage() -> AsyncIterator[Storage]:
    """Run a storage."""
    running = Storage()
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{key:.*}", running.handle)
    async with serving(app) as running.url:
        yield running
