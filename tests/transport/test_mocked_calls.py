"""Single calls whose answers need no server: what is asked, and what is made of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from piktid_async import ConflictError, Project, ResponseFormatError, ServerError, Session
from piktid_async.errors import InsufficientCreditsError

API = "https://api.invalid"


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async with Session(token="sekrit", base_url=API, max_retries=0) as opened:
        yield opened


def asked(mocked_http: Any) -> list[tuple[str, str]]:
    return [(method, str(url)) for method, url in mocked_http.requests]


async def test_request_returns_the_parsed_answer(session: Session, mocked_http: Any) -> None:
    mocked_http.get(f"{API}/presets?kind=pose&page=2", payload={"presets": [1]})
    answer = await session.request("get", "/presets", params={"kind": "pose", "page": 2})
    assert answer == {"presets": [1]}
    (call,) = mocked_http.requests["GET", URL(f"{API}/presets?kind=pose&page=2")]
    assert call.kwargs["headers"]["Authorization"] == "Bearer sekrit"
    assert call.kwargs["allow_redirects"] is False


async def test_request_without_an_answer_body_returns_none(
    session: Session, mocked_http: Any
) -> None:
    mocked_http.delete(f"{API}/webhooks/7", status=204)
    assert await session.request("DELETE", "/webhooks/7") is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (500, b"<html>oops</html>", ServerError, "500 on POST /things: no message"),
        (402, b'{"error": "poor", "required_credits": 4}', InsufficientCreditsError, "needs 4"),
        (200, b"<html>hello</html>", ResponseFormatError, "POST /things: .*not JSON"),
    ],
)
async def test_request_tells_what_went_wrong(
    session: Session, mocked_http: Any, status: int, body: bytes, kind: Any, words: str
) -> None:
    mocked_http.post(f"{API}/things", status=status, body=body)
    with pytest.raises(kind, match=words):
        await session.request("POST", "/things", json={"a": 1})


async def test_project_that_exists_is_found_by_the_id_in_the_refusal(
    session: Session, mocked_http: Any
) -> None:
    taken = {"error": "Project already exists", "project_id": "p-7"}
    mocked_http.post(f"{API}/project", status=409, payload=taken)
    assert await session.projects.ensure("spring") == Project("p-7", "spring")


async def test_project_that_exists_is_looked_for_when_the_refusal_has_no_id(
    session: Session, mocked_http: Any
) -> None:
    mocked_http.post(f"{API}/project", status=409, payload={"error": "Project already exists"})
    for page, name in ((1, "autumn"), (2, "spring")):
        row = {"project_text": name, "project_key": f"p-{page}", "project_id": page}
        answer = {"projects": [row], "pagination": {"has_next": page < 2}}
        mocked_http.get(f"{API}/project?page={page}&per_page=100", payload=answer)
    assert await session.projects.ensure("spring") == Project("p-2", "spring")
    assert len(asked(mocked_http)) == 3


async def test_project_name_that_is_taken_is_a_conflict(session: Session, mocked_http: Any) -> None:
    mocked_http.post(f"{API}/project", status=409, payload={"error": "Project already exists"})
    with pytest.raises(ConflictError, match="409 on POST /project: Project already exists"):
        await session.projects.create("spring")
