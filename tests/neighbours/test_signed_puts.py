"""Uploads to a storage that computes each signature anew with botocore's own signer."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.credentials import Credentials

from piktid_async import PermissionDeniedError, StatusError, StreamSource, UploadError
from tests.neighbours.s3 import TRICKY_KEY, RefusedError, presigned, storage
from tests.neighbours.tickets import tickets

TYPE = {"Content-Type": "image/jpeg"}
DATA = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3000


def signature_of(url: str) -> str:
    return url.rpartition("X-Amz-Signature=")[2]


def name_of(value: object) -> str | None:
    return f"{ord(value):02x}" if isinstance(value, str) and len(value) == 1 else None


async def test_a_url_full_of_tricky_characters_is_taken_as_it_was_signed(tmp_path: Path) -> None:
    async def chunks():
        for start in range(0, len(DATA), 50_000):
            yield DATA[start : start + 50_000]

    path = tmp_path / "front.jpg"
    path.write_bytes(DATA)
    sources = [DATA, path, StreamSource(chunks(), len(DATA), "front.jpg")]
    async with storage() as s3:
        urls: list[str] = []

        def url_of(number: int) -> str:
            urls.append(presigned(s3.url, f"{number}/{TRICKY_KEY}", headers=TYPE))
            return urls[-1]

        async with tickets(url_of) as api:
            await api.session.upload_many(sources)
        assert not s3.refusals
        assert list(s3.objects.values()) == [DATA] * 3
        assert sorted(s3.raw_targets) == sorted(url.removeprefix(s3.url) for url in urls)


@pytest.mark.parametrize("character", [chr(code) for code in range(0x20, 0x7F)], ids=name_of)
async def test_every_printable_character_in_key_and_query_survives(character: str) -> None:
    async with storage() as s3:
        url = presigned(s3.url, f"a{character}b", headers=TYPE, query={"q": f"a{character}b"})
        async with tickets(lambda _: url, max_retries=0) as api:
            await api.session.upload(b"\xff\xd8\xff")
        assert not s3.refusals


async def test_an_expired_url_is_asked_for_anew_and_then_taken() -> None:
    async with storage() as s3:

        def url_of(number: int) -> str:
            age = timedelta(minutes=20 if number == 1 else 0)
            return presigned(s3.url, TRICKY_KEY, headers=TYPE, life=900, age=age)

        async with tickets(url_of) as api:
            file = await api.session.upload(DATA)
        assert (api.handed_out, file.file_id) == (2, "file-2")
        assert s3.refusals == ["AccessDenied"]
        assert list(s3.objects.values()) == [DATA]


async def test_urls_that_are_always_expired_are_told_in_the_storages_words() -> None:
    async with storage() as s3:

        def url_of(_: int) -> str:
            return presigned(s3.url, "a.jpg", headers=TYPE, age=timedelta(days=1))

        async with tickets(url_of, max_retries=1) as api:
            with pytest.raises(UploadError, match="AccessDenied: Request has expired") as raised:
                await api.session.upload(DATA)
        assert api.handed_out == 2
        assert isinstance(raised.value.__cause__, PermissionDeniedError)
        assert not s3.objects


def tampered(url: str) -> str:
    return url.replace("a.jpg", "b.jpg")


def unquoted(url: str) -> str:
    return url.replace("%2Fc", "/c").replace("%2C", ",")


def unsigned(url: str) -> str:
    return url.partition("?")[0]


def other_signature(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


def longer_life(url: str) -> str:
    return url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000")


@pytest.mark.parametrize(
    ("given", "change", "code"),
    [
        ({"headers": {"Content-Type": "image/png"}}, None, "SignatureDoesNotMatch"),
        ({"headers": {**TYPE, "Content-Length": "5"}}, None, "SignatureDoesNotMatch"),
        ({"headers": {**TYPE, "Content-MD5": "x"}}, None, "SignatureDoesNotMatch"),
        ({"keys": Credentials("test", "wrong")}, None, "SignatureDoesNotMatch"),
        ({"method": "GET"}, None, "SignatureDoesNotMatch"),
        ({}, tampered, "SignatureDoesNotMatch"),
        ({}, unquoted, "SignatureDoesNotMatch"),
        ({}, other_signature, "SignatureDoesNotMatch"),
        ({}, longer_life, "SignatureDoesNotMatch"),
        ({}, unsigned, "AccessDenied"),
    ],
    ids=[
        "type", "length", "digest", "secret", "verb", "key", "quoting", "signature", "life", "none",
    ],
)  # fmt: skip
async def test_a_url_that_was_not_signed_for_this_upload_is_refused_and_told(
    given: dict[str, Any], change: Any, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the storage's words, and without those among them that hold the signature."""
    caplog.set_level(logging.DEBUG)
    async with storage() as s3:
        signed = presigned(s3.url, "a.jpg,a/%2Fc", **{"headers": TYPE, **given})
        url = change(signed) if change else signed
        async with tickets(lambda _: url, max_retries=1) as api:
            with pytest.raises(UploadError, match=code) as raised:
                await api.session.upload(DATA)
        assert s3.refusals == [code] * 2
        assert not s3.objects
    cause = raised.value.__cause__
    assert isinstance(cause, StatusError)
    for told in (str(raised.value), repr(raised.value), str(cause), repr(cause), caplog.text):
        assert signature_of(signed) not in told
        assert "X-Amz-Credential" not in told


async def test_a_signed_length_is_kept_to() -> None:
    headers = {**TYPE, "Content-Length": str(len(DATA))}
    async with storage() as s3:
        url = presigned(s3.url, TRICKY_KEY, headers=headers)
        async with tickets(lambda _: url) as api:
            await api.session.upload(DATA)
        assert list(s3.objects.values()) == [DATA]


async def test_the_storage_itself_refuses_what_s3_refuses() -> None:
    """So that the silence of the others means something."""
    import aiohttp
    from yarl import URL

    async with storage() as s3, aiohttp.ClientSession() as client:
        url = URL(presigned(s3.url, TRICKY_KEY, headers=TYPE), encoded=True)

        async def put(**options: Any) -> int:
            async with client.put(url, **{"data": DATA, "headers": TYPE, **options}) as answer:
                return answer.status

        assert await put() == 200
        assert await put(headers={**TYPE, "Authorization": "Bearer x"}) == 400
        assert await put(headers={**TYPE, "Cookie": "a=b"}) == 400
        assert await put(headers={"Content-Type": "application/octet-stream"}) == 403
        assert await put(data=StreamSource(each_byte(b"ab"), 2, "x").chunks) == 501
    assert s3.refusals == [
        "InvalidArgument", "InvalidRequest", "SignatureDoesNotMatch", "NotImplemented",
    ]  # fmt: skip


async def each_byte(data: bytes):
    for byte in data:
        yield bytes([byte])


@pytest.mark.parametrize(
    ("refused", "repeated"),
    [
        (RefusedError(503, "SlowDown", "Please reduce your request rate."), True),
        (RefusedError(500, "InternalError", "We encountered an internal error. Try again."), True),
        (RefusedError(503, "ServiceUnavailable", "Reduce your request rate."), True),
        (RefusedError(403, "RequestTimeTooSkewed", "The difference is too large."), True),
        (
            RefusedError(400, "RequestTimeout", "Your socket was not read from in time."),
            True,
        ),
        (RefusedError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum."), False),
        (RefusedError(400, "BadDigest", "The Content-MD5 did not match."), False),
        (RefusedError(404, "NoSuchBucket", "The specified bucket does not exist"), False),
        (RefusedError(405, "MethodNotAllowed", "Not allowed against this resource."), False),
    ],
    ids=lambda value: value.code if isinstance(value, RefusedError) else "",
)
async def test_what_the_storage_says_is_passing_is_tried_again_and_the_rest_is_told(
    refused: RefusedError, repeated: bool
) -> None:
    async with storage() as s3:
        left = [refused]

        def before(_: web.Request) -> None:
            if left:
                raise left.pop()

        s3.before = before
        url = presigned(s3.url, TRICKY_KEY, headers=TYPE)
        async with tickets(lambda _: url) as api:
            if repeated:
                await api.session.upload(DATA)
                assert list(s3.objects.values()) == [DATA]
            else:
                with pytest.raises(UploadError, match=f"{refused.status}.*{refused.code}: "):
                    await api.session.upload(DATA)
        assert s3.refusals == [refused.code]


async def test_a_hundred_uploads_at_once_are_all_signed_right() -> None:
    async with storage() as s3:

        def url_of(number: int) -> str:
            return presigned(s3.url, f"{number}/{TRICKY_KEY}", headers=TYPE)

        async with tickets(url_of) as api:
            await asyncio.gather(*(api.session.upload(DATA[: 1000 + n]) for n in range(100)))
        assert not s3.refusals
        assert sorted(map(len, s3.objects.values())) == list(range(1000, 1100))
