from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import piktid_async
from piktid_async import errors
from piktid_async.errors import (
    ActiveJobLimitError,
    AuthenticationError,
    BadRequestError,
    BudgetExceededError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    DownloadError,
    EventTooLargeError,
    GenerationUnknownError,
    IdentityError,
    IdentityFailedError,
    IdentityLimitError,
    IdentityTimeoutError,
    InsufficientCreditsError,
    InvalidRequestError,
    JobAbortedError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    NotFoundError,
    OutputFailedError,
    PermissionDeniedError,
    PiktidError,
    RateLimitError,
    RequestTimeoutError,
    ResponseFormatError,
    ServerError,
    SessionClosedError,
    StatusError,
    SubmissionUnknownError,
    UploadError,
    UploadGroupError,
    WebhookSignatureError,
    describe_group,
)
from piktid_async.models.garment_recolor import GarmentRecolor
from piktid_async.models.images import StreamSource, UploadedFile
from piktid_async.models.jobs import JobResult, Output
from piktid_async.protocol.sse import ServerSentEvent
from piktid_async.types import Link

SIGNED = "https://s3.example/a.jpg?X-Amz-Signature=opensesame"

FILE = UploadedFile(
    file_id="img_1", filename="a.jpg", content_type="image/jpeg", download_url=SIGNED
)
RESULT = JobResult(
    job_id="job_1",
    kind="garment_recolor",
    status="failed",
    outputs=(
        Output(
            job_id="job_1",
            image_index=0,
            group_index=0,
            status="completed",
            url=SIGNED,
            thumbnail_url=SIGNED,
        ),
    ),
)
REQUEST = GarmentRecolor(project="p", images=(FILE, "img_2"), reference_text="green")


def status_error(kind: type[StatusError], status: int) -> StatusError:
    return kind(status, "POST /garment-recolor", "No.", 7.0, {"error": "No.", "seen": SIGNED})


EVERY_ERROR: list[PiktidError] = [
    PiktidError("plain"),
    ConfigurationError("no token"),
    InvalidRequestError("images", "takes 1 to 10 images, not 0"),
    SessionClosedError(),
    ConnectionFailedError("POST /upload", "connection reset", False),
    RequestTimeoutError("POST /upload", "no answer within 60 s"),
    status_error(StatusError, 418),
    status_error(BadRequestError, 400),
    status_error(AuthenticationError, 401),
    InsufficientCreditsError(
        402, "POST /garment-recolor", "Insufficient credits", None, {"required_credits": 30.0}
    ),
    status_error(PermissionDeniedError, 403),
    status_error(NotFoundError, 404),
    status_error(ConflictError, 409),
    status_error(RateLimitError, 429),
    status_error(ActiveJobLimitError, 429),
    status_error(IdentityLimitError, 429),
    status_error(ServerError, 503),
    ResponseFormatError("GET /jobs/1/status", "required field missing @ $.status"),
    EventTooLargeError("event stream", "too long", (ServerSentEvent("message", SIGNED),)),
    UploadError("a.jpg", "cannot be read"),
    UploadGroupError("1 of 2", [UploadError("a.jpg", "cannot be read")], {Path("b.jpg"): FILE}),
    DownloadError("0_0_v0", "no space left", (Path("out/0_0_v0.jpg"),)),
    SubmissionUnknownError(REQUEST, "POST /garment-recolor: connection reset"),
    BudgetExceededError(30.0, 80.0, 100.0),
    JobError("job_1", "no reason"),
    JobFailedError("job_1", "failed: no garment", RESULT),
    JobAbortedError("job_1", "aborted", RESULT),
    GenerationUnknownError("job_1", "generation 1, 2: any of these may be this one"),
    JobTimeoutError("job_1", "has not ended within 5 s", RESULT),
    OutputFailedError("job_1", ((0, 1, "no garment"), (2, 0, "blocked"))),
    IdentityError("abc1234567xy", "no reason"),
    IdentityFailedError("abc1234567xy", "no face found"),
    IdentityTimeoutError("abc1234567xy", "not prepared within 5 s"),
    WebhookSignatureError("not signed with any of the secrets given"),
]

each_error = pytest.mark.parametrize("error", EVERY_ERROR, ids=lambda error: type(error).__name__)


def defined_here() -> list[type[PiktidError]]:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [each for each in found if issubclass(each, PiktidError)]


def drawn_tree() -> dict[str, str]:
    """Read the tree of the module docstring: child to parent."""
    parents: dict[str, str] = {}
    path: list[str] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        if found := re.match(r"    ([ │├└─]*)(\w+Error)\b", line):
            path[len(found[1]) // 4 :] = [found[2]]
            parents[found[2]] = path[-2] if len(path) > 1 else ""
    return parents


# The tree


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes():
    bases = {
        kind.__name__: next(
            (base.__name__ for base in kind.__bases__ if issubclass(base, PiktidError)), ""
        )
        for kind in defined_here()
    }
    assert drawn_tree() == bases


def test_every_kind_of_error_is_tried_below():
    assert {type(error) for error in EVERY_ERROR} == set(defined_here())


def test_every_error_of_the_tree_can_be_imported_from_the_package():
    assert all(getattr(piktid_async, kind.__name__) is kind for kind in defined_here())


@pytest.mark.parametrize(
    ("builtin", "kinds"),
    [
        (ValueError, {InvalidRequestError}),
        (TimeoutError, {RequestTimeoutError, JobTimeoutError, IdentityTimeoutError}),
        (ExceptionGroup, {UploadGroupError}),
    ],
)
def test_these_and_no_others_are_builtin_errors_too(builtin, kinds):
    assert {kind for kind in defined_here() if issubclass(kind, builtin)} == kinds


def test_these_and_no_others_may_be_tried_again():
    assert {type(error) for error in EVERY_ERROR if error.retryable} == {
        *(ConnectionFailedError, RequestTimeoutError, RateLimitError, ActiveJobLimitError),
        *(ServerError, JobTimeoutError, IdentityTimeoutError),
    }


@pytest.mark.parametrize("kind", [UploadError, DownloadError])
def test_a_file_may_be_tried_again_where_the_way_broke_and_not_where_the_file_is_no_good(kind):
    broke = DownloadError("a", "reset", (), True) if kind is DownloadError else kind("a", "r", True)
    assert broke.retryable
    assert broke.advice.endswith("again")
    assert not kind("a", "is empty").retryable
    assert str(kind("a", "is empty")).endswith("a: is empty")
    assert pickle.loads(pickle.dumps(broke)).retryable


@pytest.mark.parametrize(
    "error", [ConnectionFailedError("POST /x", "reset"), status_error(ServerError, 500)]
)
def test_what_the_server_may_have_acted_on_is_not_to_be_tried_again(error):
    assert error.retryable
    assert str(error).endswith("try again") or str(error).endswith("try again later")
    error.retryable = False
    for each in (error, copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert not each.retryable
        assert str(each).endswith("look before you try again")


def test_an_unknown_submission_and_a_full_identity_list_are_not_to_be_repeated():
    assert SubmissionUnknownError(REQUEST, "reset").retryable is False
    assert status_error(IdentityLimitError, 429).retryable is False


# What to do


SAYS_SO_ITSELF = {PiktidError, ConfigurationError, InvalidRequestError, UploadError, DownloadError}
"""Their summaries say what to do, where anything can be done."""
BASES = {StatusError, JobError, IdentityError}
WAIT_ON = {JobTimeoutError, IdentityTimeoutError}
"""Whoever raises them says for how long they waited, and that it goes on."""


@each_error
def test_an_error_says_what_to_do_after_what_happened(error):
    says = bool(error.advice)
    assert says == (type(error) not in SAYS_SO_ITSELF | BASES | WAIT_ON)
    assert str(error).startswith(error.summary.rstrip("."))
    assert str(error).endswith(error.advice)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (RateLimitError(429, "GET /x", "", 7.0), "wait 7 s, then try again"),
        (RateLimitError(429, "GET /x"), "wait a minute, then try again"),
        (PermissionDeniedError(403, "GET /x"), "the plan or the account does not allow it"),
        (
            PermissionDeniedError(403, "PUT <signed URL>"),
            "the link has expired or is for another file: ask for a fresh one",
        ),
        (NotFoundError(404, "GET /x"), "check the id, and whose account it is on"),
    ],
)
def test_the_advice_fits_the_case(error, advice):
    assert error.advice == advice


# The README's table

ROOT = Path(__file__).parents[1]
ROW = re.compile(
    r"^\| (?:· )*`(\w+)`[^|]* \| ([^|]+) \| ([^|]+) \| (yes|no|depends) \|$", re.MULTILINE
)


def test_the_table_in_the_readme_names_every_error_and_whether_to_try_again():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Errors", 1)[1]
    rows = ROW.findall(section.split("\n### ", 1)[0])
    told = {name: again for name, _, _, again in rows}
    assert len(told) == len(rows)
    depends = {ConnectionFailedError, RequestTimeoutError, ServerError, UploadError, DownloadError}
    assert told == {
        type(error).__name__: "depends"
        if type(error) in depends
        else ("no", "yes")[error.retryable]
        for error in EVERY_ERROR
    }


# Crossing a process


def facts(error: BaseException) -> dict[str, Any]:
    """What an error carries, apart from links to live machinery."""
    return {key: value for key, value in vars(error).items() if not isinstance(value, Link)}


@each_error
@pytest.mark.parametrize(
    "clone",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, level=level: pickle.loads(pickle.dumps(error, level))
            for level in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_an_error_survives_with_its_facts_and_its_words(error, clone):
    again = clone(error)
    assert type(again) is type(error)
    assert (str(again), repr(again)) == (str(error), repr(error))
    assert facts(again) == facts(error)


@each_error
def test_a_cause_survives_where_it_is_one_of_ours_or_of_the_system(error):
    for cause in (status_error(NotFoundError, 404), OSError(28, "No space left on device")):
        caused = copy.copy(error)
        caused.__cause__ = cause
        for again in (pickle.loads(pickle.dumps(caused)), copy.copy(caused)):
            assert type(again.__cause__) is type(cause)
            assert str(again.__cause__) == str(cause)
            assert str(again) == str(error)


@each_error
def test_a_cause_that_is_anybody_s_is_left_behind(error):
    class UnpicklableError(Exception):
        pass

    caused = copy.copy(error)
    caused.__cause__ = UnpicklableError(lambda: SIGNED)
    assert pickle.loads(pickle.dumps(caused)).__cause__ is None


def test_the_body_of_an_answer_holds_no_signed_query_not_even_in_a_pickle():
    body = {"error": "No.", "seen": [{SIGNED: [SIGNED, 5, None, True]}]}
    error = StatusError(400, "GET /x", "No.", None, body)
    clean = "https://s3.example/a.jpg?***"
    assert error.body == {"error": "No.", "seen": [{clean: [clean, 5, None, True]}]}
    assert b"opensesame" not in pickle.dumps(error)


@each_error
def test_a_note_on_an_error_survives_pickling(error):
    noted = copy.copy(error)
    noted.add_note("while testing")
    assert pickle.loads(pickle.dumps(noted)).__notes__ == ["while testing"]
    assert copy.copy(noted).__notes__ == ["while testing"]


@each_error
def test_an_error_can_be_raised_caught_and_chained(error):
    with pytest.raises(PiktidError) as caught:
        raise copy.copy(error) from ValueError("cause")
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_changed_message_survives_pickling():
    error = StatusError(403, "PUT <signed URL>")
    error.message = "AccessDenied: Request has expired"
    again = pickle.loads(pickle.dumps(error))
    assert again.summary == "403 on PUT <signed URL>: AccessDenied: Request has expired"


def test_open_sources_of_an_upload_group_are_described_when_they_cross_a_process():
    stream = StreamSource(chunks=None, size=3)
    sources: dict[Any, UploadedFile] = {
        "a.jpg": FILE,
        b"raw": FILE,
        Path("b.jpg"): FILE,
        io.BytesIO(b"opensesame"): FILE,
        stream: FILE,
    }
    error = UploadGroupError("m", [UploadError("c.jpg", "r")], sources)
    keys = list(pickle.loads(pickle.dumps(error)).uploaded)
    assert keys[:3] == ["a.jpg", b"raw", Path("b.jpg")]
    assert all(isinstance(key, str) and "opensesame" not in key for key in keys[3:])


def test_a_copy_of_an_upload_group_keeps_its_sources():
    source = io.BytesIO(b"open")
    error = UploadGroupError("m", [UploadError("c.jpg", "r")], {source: FILE})
    assert list(copy.copy(error).uploaded) == [source]


# What is shown


@each_error
def test_no_error_shows_a_signed_query(error):
    assert "opensesame" not in str(error)
    assert "opensesame" not in repr(error)


@each_error
def test_no_error_is_without_words(error):
    assert str(error).strip()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidRequestError("images", "takes 1 to 10"), "images: takes 1 to 10"),
        (ConnectionFailedError("GET /x", "reset"), "GET /x: reset"),
        (StatusError(404, "GET /x", "gone"), "404 on GET /x: gone"),
        (StatusError(502, "GET /x"), "502 on GET /x: no message"),
        (ResponseFormatError("GET /x", "not JSON"), "GET /x: unexpected answer: not JSON"),
        (UploadError("a.jpg", "is empty"), "upload of a.jpg: is empty"),
        (DownloadError("0_0_v0", "is no image"), "download of 0_0_v0: is no image"),
        (JobError("job_1"), "job job_1: no message"),
        (
            OutputFailedError("job_1", ((0, 1, "no garment"), (2, 0, "blocked"))),
            "job job_1: image 0.1: no garment; image 2.0: blocked",
        ),
    ],
)
def test_the_sentence_is_derived_from_the_facts(error, sentence):
    assert error.summary == sentence


def test_a_passed_budget_names_the_sums_and_what_to_do():
    assert str(BudgetExceededError(30.0, 80.5, 100.0)) == (
        "30 credits on top of 80.5 pass the budget of 100; "
        "raise max_credits or ask for fewer outputs"
    )


def test_a_closed_session_says_what_to_do():
    assert "open a new one" in str(SessionClosedError())


def test_an_unknown_submission_says_what_to_do_first():
    text = str(SubmissionUnknownError(REQUEST, "connection reset"))
    assert text.startswith("connection reset; ")
    assert "reconcile()" in text


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        (
            {"required_credits": 30.0, "in_progress_credits": 5, "user_credits": 12.0},
            (30.0, 5.0, 12.0),
        ),
        ({"required_credits": "30", "user_credits": None}, (None, None, None)),
        ({"required_credits": True}, (None, None, None)),
        (["required_credits"], (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_credits_are_read_from_the_body_of_a_402(body, numbers):
    error = InsufficientCreditsError(
        402, "POST /garment-recolor", "Insufficient credits", None, body
    )
    found = (error.required_credits, error.in_progress_credits, error.user_credits)
    assert found == numbers


def test_a_402_names_what_is_needed_and_what_there_is():
    body = {"required_credits": 30.0, "in_progress_credits": 5.0, "user_credits": 12.0}
    error = InsufficientCreditsError(402, "POST /x", "Insufficient credits", None, body)
    assert error.summary == "402 on POST /x: Insufficient credits (needs 30, reserved 5, left 12)"


def test_a_402_without_numbers_claims_none():
    assert InsufficientCreditsError(402, "POST /x", "No.").summary == "402 on POST /x: No."


async def test_an_error_that_lost_its_session_says_so_when_asked_to_reconcile():
    again = pickle.loads(pickle.dumps(SubmissionUnknownError(REQUEST, "reset")))
    with pytest.raises(ConfigurationError, match="lost its session"):
        await again.reconcile()


async def test_reconciling_asks_where_the_error_was_raised():
    async def look() -> None:
        asked.append(True)

    asked: list[bool] = []
    error = SubmissionUnknownError(REQUEST, "reset", Link(look))
    assert await error.reconcile() is None
    assert await copy.deepcopy(error).reconcile() is None
    assert asked == [True, True]


# Groups of uploads


def group() -> UploadGroupError:
    return UploadGroupError(
        "2 of 3 uploads failed",
        [UploadError("a.jpg", "is empty"), ConfigurationError("no token")],
        {"b.jpg": FILE},
    )


def test_a_group_says_its_message_and_holds_its_errors():
    assert group().summary == "2 of 3 uploads failed (2 sub-exceptions)"
    assert [type(error) for error in group().exceptions] == [UploadError, ConfigurationError]


def test_a_group_without_a_rest_has_an_empty_one():
    assert UploadGroupError("m", [UploadError("a", "b")]).uploaded == {}


def test_the_parts_of_a_split_group_keep_what_was_uploaded():
    match, rest = group().split(UploadError)
    assert isinstance(match, UploadGroupError)
    assert isinstance(rest, UploadGroupError)
    assert [str(error) for error in match.exceptions] == ["upload of a.jpg: is empty"]
    assert match.uploaded == rest.uploaded == {"b.jpg": FILE}
    assert group().subgroup(ConfigurationError).uploaded == {"b.jpg": FILE}


def test_except_star_takes_its_part_and_leaves_the_rest():
    taken: list[BaseException] = []
    with pytest.raises(UploadGroupError) as caught:  # noqa: PT012, what is left goes on out
        try:
            raise group()
        except* UploadError as part:
            taken.append(part)
    assert [getattr(part, "uploaded", None) for part in taken] == [{"b.jpg": FILE}]
    assert [type(error) for error in caught.value.exceptions] == [ConfigurationError]
    assert caught.value.uploaded == {"b.jpg": FILE}


def test_a_group_is_caught_as_the_package_s_error_and_as_a_group():
    with pytest.raises(PiktidError):
        raise group()
    with pytest.raises(ExceptionGroup):
        raise group()


def test_an_empty_group_is_refused():
    with pytest.raises(ValueError, match="non-empty"):
        UploadGroupError("m", [])


def test_a_summary_names_the_first_and_counts_the_rest():
    assert describe_group([UploadError("a", "b")]) == "upload of a: b"
    assert describe_group([UploadError("a", "b")] * 3) == "upload of a: b (and 2 more)"
