from __future__ import annotations

import pytest

from piktid_async import errors
from piktid_async.cli.errors import Exit, clean, trouble_from

SIGNED = "https://store.example/key.jpg?X-Signature=abcdef#part"


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (
            errors.InvalidRequestError("num_variations", "must be a whole number from 1 to 8"),
            "--variations: must be a whole number from 1 to 8.",
            Exit.USAGE,
        ),
        (errors.ConfigurationError("no token"), "no token.", Exit.USAGE),
        (
            errors.AuthenticationError(401, "POST /project", "Bad token"),
            (
                "401 on POST /project: Bad token: check PIKTID_API_TOKEN, or make a new token at "
                "https://app.on-model.com/profile (tab Tokens)."
            ),
            Exit.REFUSED,
        ),
        (
            errors.ServerError(502, "POST /upload", "bad\x1b[31m gateway"),
            "502 on POST /upload: bad [31m gateway: the service has a problem; try again later.",
            Exit.REFUSED,
        ),
        (
            errors.ConnectionFailedError("POST /project", "connection refused"),
            (
                "POST /project: connection refused: check the network and PIKTID_BASE_URL, "
                "then try again."
            ),
            Exit.REFUSED,
        ),
        (
            errors.DownloadError("output 0_0_v0", "cannot be written (No space left on device)"),
            (
                "download of output 0_0_v0: cannot be written (No space left on device): make "
                "room, then fetch it with `piktid results JOB`, which costs nothing."
            ),
            Exit.REFUSED,
        ),
        (
            OSError(28, "No space left on device", "out/0_0_v0.jpg"),
            "Cannot write out/0_0_v0.jpg: No space left on device: make room.",
            Exit.INCOMPLETE,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_is_one_sentence_with_a_way_on(
    error: errors.PiktidError | OSError, sentence: str, code: Exit
) -> None:
    trouble = trouble_from(error)
    assert str(trouble) == sentence
    assert trouble.code is code


def test_no_signature_and_no_control_character_is_printed() -> None:
    words = clean(f"\x1b[2Jgot '{SIGNED}' and {SIGNED}")
    assert words == (
        " [2Jgot 'https://store.example/key.jpg?***' and https://store.example/key.jpg?***"
    )
