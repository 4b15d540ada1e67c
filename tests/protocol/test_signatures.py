"""Signatures of webhooks, against the guide's own lines and a value computed elsewhere."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from email.message import Message

import pytest
from multidict import CIMultiDict

from piktid_async import ConfigurationError, WebhookSignatureError
from piktid_async.protocol import signatures
from piktid_async.protocol.signatures import sign, verify

SECRET = "whsec_guide"
BODY = (
    b'{"id": 12345, "name": "batch_edit", "timestamp": 1702819200.0, "data": {"id_task": '
    b'"job_abc123...", "status": "completed", "total_images": 6, "processed_images": 6}}'
)
SIGNATURE = "sha256=cfd801aa857e5140819d466858c5fbd715675a58ba8ab1747989041411496d46"
"""printf %s "$BODY" | openssl dgst -sha256 -hmac whsec_guide"""
HEADER = {"X-Webhook-Signature": SIGNATURE}


def verify_signature(secret: str, body: bytes, signature_header: str) -> bool:
    """The guide's function, letter by letter."""
    expected = "sha256=" + hmac.new(secret.encode("utf-8"), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature_header)


def test_the_signature_is_the_one_that_other_programs_compute() -> None:
    assert sign(BODY, SECRET) == SIGNATURE
    assert verify_signature(SECRET, BODY, sign(BODY, SECRET))


def test_a_signed_body_is_verified() -> None:
    verify(BODY, HEADER, [SECRET])


@pytest.mark.parametrize("position", range(0, len(BODY), 7))
def test_a_body_with_one_changed_byte_is_refused(position: int) -> None:
    changed = bytearray(BODY)
    changed[position] ^= 1
    with pytest.raises(WebhookSignatureError, match="none of the 1 secrets"):
        verify(bytes(changed), HEADER, [SECRET])


def test_another_secret_is_refused() -> None:
    with pytest.raises(WebhookSignatureError, match="none of the 2 secrets"):
        verify(BODY, HEADER, ["other", SECRET + " "])


@pytest.mark.parametrize("secrets", [[SECRET, "new"], ["new", SECRET], ["a", SECRET, "b"]])
def test_any_of_several_secrets_will_do(secrets: list[str]) -> None:
    verify(BODY, HEADER, secrets)


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    constant_time = hmac.compare_digest

    def compare(given: bytes, expected: bytes) -> bool:
        compared.append((given, expected))
        return constant_time(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    verify(BODY, HEADER, [SECRET, "new"])
    wanted = [sign(BODY, secret).encode() for secret in (SECRET, "new")]
    assert compared == [(SIGNATURE.encode(), each) for each in wanted]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "is missing"),
        ({"X-Signature": SIGNATURE}, "is missing"),
        ([("X-Webhook-Signature", SIGNATURE)] * 2, "came 2 times"),
        ({"X-Webhook-Signature": ""}, "is not 'sha256='"),
        ({"X-Webhook-Signature": SIGNATURE.removeprefix("sha256=")}, "is not 'sha256='"),
        ({"X-Webhook-Signature": SIGNATURE[:-1]}, "is not 'sha256='"),
        ({"X-Webhook-Signature": SIGNATURE.replace("sha256", "sha1")}, "is not 'sha256='"),
        ({"X-Webhook-Signature": SIGNATURE + "\n"}, "is not 'sha256='"),
        ({"X-Webhook-Signature": "sha256=" + "é" * 64}, "is not 'sha256='"),
    ],
)
def test_what_is_wrong_with_the_header_is_said_without_showing_it(
    headers: dict[str, str], words: str
) -> None:
    with pytest.raises(WebhookSignatureError, match=words) as caught:
        verify(BODY, headers, [SECRET])
    assert SIGNATURE[7:20] not in str(caught.value)
    assert SECRET not in str(caught.value)


def message() -> Message:
    found = Message()
    found["x-webhook-signature"] = SIGNATURE
    return found


class Pairs:
    """Headers as WSGI frameworks have them: no mapping, but iterable in pairs."""

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield "X-Webhook-Signature", SIGNATURE


@pytest.mark.parametrize(
    "headers",
    [
        {"x-webhook-signature": SIGNATURE},
        {"X-WEBHOOK-SIGNATURE": SIGNATURE, "Host": "example.com"},
        {b"x-webhook-signature": SIGNATURE.encode()},
        CIMultiDict({"x-Webhook-signature": SIGNATURE}),
        [("Host", "example.com"), ("X-webhook-Signature", SIGNATURE)],
        [(b"host", b"example.com"), (b"x-webhook-signature", SIGNATURE.encode())],
        message(),
        Pairs(),
    ],
    ids=["lower", "upper", "bytes", "aiohttp", "pairs", "asgi", "stdlib", "wsgi"],
)
def test_the_header_is_found_in_any_case_and_any_form(headers: signatures.Headers) -> None:
    verify(BODY, headers, [SECRET])


def test_without_a_secret_nothing_is_verified() -> None:
    with pytest.raises(WebhookSignatureError, match="no secret"):
        verify(BODY, HEADER, [])


@pytest.mark.parametrize("secret", ["", None, b"bytes"])
def test_an_empty_secret_with_which_anybody_could_sign_is_refused(secret: object) -> None:
    with pytest.raises(ConfigurationError, match="non-empty"):
        sign(BODY, secret)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="non-empty"):
        verify(BODY, HEADER, [SECRET, secret])  # type: ignore[list-item]
