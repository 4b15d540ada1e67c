"""No token and no signed query in an error, a traceback with its variables, a pickle or a repr."""

from __future__ import annotations

import asyncio
import copy
import pickle
import traceback
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from piktid_async import ConfigurationError, GarmentRecolor, PiktidError, Session
from piktid_async.errors import StatusError
from piktid_async.login import PasswordLogin
from piktid_async.vtryon import VtryonSession
from piktid_async.webhooks import unwrap
from tests.security.service import (
    QUERY,
    SIGNATURE,
    TOKEN,
    Answer,
    Hostile,
    answering,
    hostile,
    reset,
    sending,
)
from tests.transport.servers import PNG, Exchange

HERE = Path(__file__).parent
REQUEST = GarmentRecolor(project="p", images=("f",), reference_text="green")
LINK = f"https://storage.example/a?{QUERY}"


def everything_said(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield all that error trackers, loggers and pickles would keep of an error, and where."""
    yield "formatted", "".join(traceback.format_exception(error))
    for each in chain(error):
        yield "shown", f"{each} {each!r}"
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if HERE not in Path(frame.f_code.co_filename).parents:  # the tests' own variables
                for name, value in frame.f_locals.items():
                    yield f"{name} in {frame.f_code.co_qualname}", repr(value)
        if isinstance(each, PiktidError):
            pickled = pickle.dumps(each)
            yield "pickled", pickled.decode("latin-1")
            for clone in (pickle.loads(pickled), copy.deepcopy(each)):
                yield "copied", f"{clone} {clone!r} {vars(clone)!r}"


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Walk over causes and contexts, also those that Python would not show."""
    seen: list[BaseException] = []
    left = [error]
    while left:
        each = left.pop()
        if each is None or each in seen:
            continue
        seen.append(each)
        yield each
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions


def check(error: BaseException) -> None:
    leaks = [
        f"{where}: {text[:500]}"
        for where, text in everything_said(error)
        if TOKEN in text or SIGNATURE in text
    ]
    assert not leaks, leaks[0]


async def hang(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.gone()


async def cut(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.head(200, [("Content-Length", "99")])
    await exchange.send(b'{"download_url": "')
    exchange.hang_up()


async def no_http(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.send(f"{LINK} {TOKEN}\r\n\r\n".encode())
    exchange.hang_up()


WORDS = {"error": f"Invalid token {TOKEN} for {LINK}", "seen": [{LINK: LINK, "deep": [LINK]}]}
NOTE = {"error": f"Request has expired: {LINK}", "seen": [{LINK: LINK, "deep": [LINK]}]}
"""What storage may say: it has never seen the token."""
FAULTS: dict[str, Answer] = {
    "reset": reset,
    "hang": hang,
    "cut": cut,
    "no HTTP": no_http,
    "no JSON": sending(f"<html>{LINK} {TOKEN}".encode()),
    "other JSON": answering([LINK, {"upload_url": LINK, "results": LINK, "job_id": [LINK]}]),
    "odd JSON": answering({"upload_url": LINK, "results": [{"url": LINK}], "status": 5}),
    **{str(status): answering(WORDS, status) for status in (400, 401, 402, 403, 404, 409, 422)},
    **{str(status): answering(WORDS, status) for status in (418, 429, 500, 503)},
}

Call = Callable[[Hostile, Path], Awaitable[Any]]
CALLS: dict[str, Call] = {
    "upload": lambda running, _: running.session.upload(PNG),
    "upload_many": lambda running, _: running.session.upload_many([PNG, PNG]),
    "submit": lambda running, _: running.session.submit(REQUEST),
    "status": lambda running, _: running.job().fetch_status(),
    "results": lambda running, _: running.job().fetch_results(),
    "download": lambda running, path: running.job().download(path),
    "zip": lambda running, path: running.job().download_zip(path / "all.zip"),
    "request": lambda running, _: running.session.request("GET", "/jobs/j/status"),
}
OF_STORAGE = ("upload", "upload_many", "download", "zip")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_that_fails_tells_no_secret(fault: str, name: str, tmp_path: Path) -> None:
    """Some calls outlive a fault: they ask elsewhere, or again."""
    waits = fault == "hang"
    # A download waits for its job, which a fault on the status may keep it from for ever.
    place = "/jobs/j/results" if name == "download" else "/"
    place = "/download" if name == "zip" else place
    async with hostile({place: FAULTS[fault]}, timeout=0.3 if waits else 5.0) as running:
        try:
            async with asyncio.timeout(1 if fault == "429" else 10):
                await CALLS[name](running, tmp_path)
        except (PiktidError, TimeoutError) as error:
            check(error)
        else:
            assert fault in ("other JSON", "odd JSON", "no JSON")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", OF_STORAGE)
async def test_a_storage_that_fails_tells_no_secret(fault: str, name: str, tmp_path: Path) -> None:
    waits = fault == "hang"
    answers = {"storage:/": answering(NOTE, int(fault)) if fault.isdigit() else FAULTS[fault]}
    async with hostile(answers, timeout=0.3 if waits else 5.0) as running:
        try:
            await CALLS[name](running, tmp_path)
        except PiktidError as error:
            check(error)
        else:
            assert name.startswith("upload"), "a download of no picture went well"
            assert fault.endswith("JSON")  # 200 is 200, whatever storage says with it
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "link",
    [
        f"ftp://storage.example/a?{QUERY}",
        f"https://[storage.example/a?{QUERY}",
        f"https://storage.example:99999/a?{QUERY}",
        f"https://storage.example/a b?{QUERY}",
        f"https:///?{QUERY}",
    ],
)
async def test_a_link_that_is_none_is_not_shown(link: str, tmp_path: Path) -> None:
    row = {"image_index": 0, "group_index": 0, "version": 0, "status": "completed"}
    answers = {
        "/upload": answering(
            {"upload_url": link, "file_id": "f", "filename": "a", "content_type": "image/png"}
        ),
        "/jobs/j/results": answering(
            {"job_id": "j", "status": "completed", "results": [row | {"url": link}]}
        ),
        "/download": answering({"download_url": link}),
    }
    async with hostile(answers) as running:
        for name in OF_STORAGE:
            with pytest.raises(PiktidError) as raised:
                await CALLS[name](running, tmp_path)
            check(raised.value)


@pytest.mark.parametrize("name", CALLS)
async def test_a_time_out_of_the_caller_s_own_tells_no_secret(name: str, tmp_path: Path) -> None:
    """The cancellation behind it came out of aiohttp, whose variables hold the request."""
    places = ("/", "storage:/") if name in OF_STORAGE else ("/",)
    for place in places:
        async with hostile({place: hang}) as running:
            server = running.api if place == "/" else running.storage
            task = asyncio.ensure_future(CALLS[name](running, tmp_path))
            await server.until(lambda server=server: bool(server.requests))
            with pytest.raises(TimeoutError) as raised:
                async with asyncio.timeout(0):
                    await task
            for each in chain(raised.value):
                check(each)


async def test_the_token_is_not_in_the_words_of_a_server_that_quotes_it() -> None:
    async with hostile({"/": answering(WORDS, 403)}) as running:
        with pytest.raises(StatusError) as raised:
            await running.session.request("GET", "/x")
    assert raised.value.message == "Invalid token *** for https://storage.example/a?***"
    assert raised.value.body == {
        "error": "Invalid token *** for https://storage.example/a?***",
        "seen": [
            {
                "https://storage.example/a?***": "https://storage.example/a?***",
                "deep": ["https://storage.example/a?***"],
            }
        ],
    }


BAD_TOKEN = f"{TOKEN}\n"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Session(BAD_TOKEN),
        lambda: Session(TOKEN, base_url="http://api.example"),
        lambda: Session(TOKEN, timeout=-1),
        lambda: VtryonSession(BAD_TOKEN, base_url="https://api.example"),
        lambda: VtryonSession(TOKEN),
        lambda: PasswordLogin("a:b@example.com", TOKEN, "https://api.example"),
        lambda: unwrap(b"{}", {"X-Webhook-Signature": "sha256=" + "0" * 64}, TOKEN),
        lambda: unwrap(b"{}", {}, TOKEN),
        lambda: unwrap(b"{}", {}, ""),
    ],
)
def test_a_configuration_that_is_refused_tells_no_secret(build: Callable[[], object]) -> None:
    with pytest.raises(PiktidError) as raised:
        build()
    check(raised.value)


def test_a_token_from_the_environment_is_as_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIKTID_API_TOKEN", BAD_TOKEN)
    monkeypatch.setenv("VTRYON_API_KEY", BAD_TOKEN)
    for build in (Session, lambda: VtryonSession(base_url="https://api.example")):
        with pytest.raises(ConfigurationError) as raised:
            build()
        check(raised.value)


async def test_a_refused_token_of_a_source_is_not_shown() -> None:
    async def source() -> str:
        return BAD_TOKEN

    async with hostile() as running:
        session = Session(source, base_url=running.api.url, stream=False)
        with pytest.raises(ConfigurationError) as raised:
            await session.request("GET", "/x")
        await session.close()
    check(raised.value)


async def test_no_object_that_a_program_holds_shows_a_secret(tmp_path: Path) -> None:
    async with hostile() as running:
        session = running.session
        file = await session.upload(PNG)
        job = running.job()
        result = await job.result()
        login = PasswordLogin("a@example.com", TOKEN, running.api.url)
        held = [session, file, job, result, *result.outputs, login, session._runtime.config]
        held += [vars(session), session._runtime.connect().transport]
        shown = "".join(f"{each!r} {each}" for each in held)
        assert "***" in shown  # a query was there to be left out
        for secret in (TOKEN, SIGNATURE):
            assert secret not in shown


async def test_what_is_compressed_is_no_way_around(tmp_path: Path) -> None:
    """An error page that is packed is unpacked before the token is looked for."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b'{"error": "Invalid token %s"}' % TOKEN.encode()) + packer.flush()
    answers = {"/": sending(packed, 403, Content_Encoding="gzip")}
    async with hostile(answers) as running:
        with pytest.raises(StatusError, match=r"Invalid token \*\*\*") as raised:
            await running.session.request("GET", "/x")
    check(raised.value)
