from __future__ import annotations

import pickle

import pytest

from piktid_async.errors import PermissionDeniedError, ServerError, StatusError
from piktid_async.protocol.messages import Response
from piktid_async.protocol.storage import storage_error
from tests.protocol.support import sample


def test_an_expired_url_is_told_in_the_storage_s_words():
    error = storage_error(sample("storage_expired").response)
    assert isinstance(error, PermissionDeniedError)
    assert error.summary == "403 on PUT <signed URL>: AccessDenied: Request has expired"


def test_what_the_storage_echoes_of_the_signature_is_not_told():
    error = storage_error(sample("storage_signature").response)
    assert error.message.startswith("SignatureDoesNotMatch: The request signature")
    assert "secret" not in str(error) + repr(error)


def test_the_words_survive_pickling():
    error = storage_error(sample("storage_expired").response)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"<html>no</html>", ""),
        (b"<Error><Code>SlowDown</Code></Error>", "SlowDown"),
        (b"<Error><Message>Reduce your rate</Message></Error>", "Reduce your rate"),
        (b"<Error><Code>A</Code><Message>\xff</Message></Error>", "A: \ufffd"),
        (b"<Error><Code>A</Message></Error>", ""),
        (b"<Error><Code>" + b"x" * 301 + b"</Code></Error>", ""),
        (b'{"error": "in JSON"}', "in JSON"),
        (
            b"<Code>A</Code><Message>at https://s3.example/a?X=opensesame</Message>",
            "A: at https://s3.example/a?***",
        ),
    ],
)
def test_other_bodies_are_told_as_far_as_they_say_something(body, words):
    assert storage_error(Response(status=403, body=body)).message == words


@pytest.mark.parametrize(("status", "kind"), [(503, ServerError), (418, StatusError)])
def test_the_status_decides_the_kind(status, kind):
    error = storage_error(Response(status=status, body=b"<Code>SlowDown</Code>"))
    assert type(error) is kind
    assert error.call == "PUT <signed URL>"


def test_a_body_without_end_is_not_searched_to_its_end():
    late = b" " * 70_000 + b"<Code>Late</Code>"
    assert storage_error(Response(status=403, body=late)).message == ""
