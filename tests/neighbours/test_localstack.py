"""Uploads to LocalStack's S3 with signature validation on; `.ci/localstack` starts it."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from botocore.credentials import Credentials
from yarl import URL

from piktid_async import UploadError
from tests.neighbours.conftest import needs
from tests.neighbours.s3 import TRICKY_KEY, presigned
from tests.neighbours.tickets import tickets

S3 = os.environ.get("LOCALSTACK_URL", "")
TYPE = {"Content-Type": "image/jpeg"}
DATA = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3000

pytestmark = [
    pytest.mark.localstack,
    needs("localstack", bool(S3), "LOCALSTACK_URL names no LocalStack: see .ci/localstack"),
]


async def call(method: str, url: str, **options: Any) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, URL(url, encoded=True), **options) as answer,
    ):
        return answer.status, await answer.read()


@pytest.fixture
async def bucket() -> str:
    """Make the bucket, which may be there already, and return where it is."""
    status, answer = await call("PUT", presigned(S3, "", headers={}, query={}))
    assert status == 200 or b"BucketAlready" in answer, answer
    return S3


async def stored(key: str) -> bytes:
    status, body = await call("GET", presigned(S3, key, headers={}, query={}, method="GET"))
    assert status == 200, body
    return body


async def test_a_url_full_of_tricky_characters_is_taken(bucket: str) -> None:
    url = presigned(bucket, TRICKY_KEY, headers=TYPE)
    async with tickets(lambda _: url, max_retries=0) as api:
        await api.session.upload(DATA)
    assert await stored(TRICKY_KEY) == DATA


async def test_a_signed_length_is_kept_to(bucket: str) -> None:
    url = presigned(bucket, "length.jpg", headers={**TYPE, "Content-Length": str(len(DATA))})
    async with tickets(lambda _: url, max_retries=0) as api:
        await api.session.upload(DATA)
    assert await stored("length.jpg") == DATA


async def test_an_expired_url_is_asked_for_anew_and_then_taken(bucket: str) -> None:
    def url_of(number: int) -> str:
        age = timedelta(hours=1 if number == 1 else 0)
        return presigned(bucket, "fresh.jpg", headers=TYPE, age=age)

    async with tickets(url_of) as api:
        file = await api.session.upload(DATA)
    assert file.file_id == "file-2"
    assert await stored("fresh.jpg") == DATA


@pytest.mark.parametrize(
    ("given", "old", "new", "code"),
    [
        ({"headers": {"Content-Type": "image/png"}}, "", "", "SignatureDoesNotMatch"),
        ({"headers": {**TYPE, "Content-Length": "5"}}, "", "", "SignatureDoesNotMatch"),
        ({"keys": Credentials("test", "wrong")}, "", "", "SignatureDoesNotMatch"),
        ({"method": "GET"}, "", "", "SignatureDoesNotMatch"),
        ({}, "refused.jpg", "other.jpg", "SignatureDoesNotMatch"),
        ({}, "X-Amz-Expires=900", "X-Amz-Expires=9000", "SignatureDoesNotMatch"),
        ({"age": timedelta(hours=1)}, "", "", "AccessDenied: Request has expired"),
    ],
    ids=["type", "length", "secret", "verb", "key", "life", "expired"],
)
async def test_a_url_that_was_not_signed_for_this_upload_is_refused_and_told(
    given: dict[str, Any], old: str, new: str, code: str, bucket: str
) -> None:
    url = presigned(bucket, "refused.jpg", **{"headers": TYPE, **given}).replace(old, new)
    async with tickets(lambda _: url, max_retries=0) as api:
        with pytest.raises(UploadError, match=f"403 on PUT <signed URL>: {code}") as raised:
            await api.session.upload(DATA)
    assert url.rpartition("=")[2] not in str(raised.value)
