"""Results on disk: whole files under their names, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from piktid_async import DownloadError, InvalidRequestError, JobFailedError
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG
from piktid_async.vtryon import VtryonSession
from tests.transport.servers import JPG, Exchange, Server, serve
from tests.vtryon.support import BLUE, FAILING, QUICK


async def test_the_image_is_saved_and_the_key_stays_with_the_api(
    sandbox: Sandbox, session: VtryonSession, tmp_path: Path
) -> None:
    task = await session.recolor(BLUE)
    target = tmp_path / "new" / "look.jpg"
    assert await task.download(target) == target
    assert target.read_bytes() == PLAIN_JPEG
    assert [path.name for path in target.parent.iterdir()] == ["look.jpg"]
    assert not sandbox.books.vtryon.key_seen_by_files


async def test_an_older_file_is_replaced_only_by_a_whole_one(
    session: VtryonSession, tmp_path: Path
) -> None:
    target = tmp_path / "look.jpg"
    target.write_text("old")
    failing = await session.recolor(FAILING)
    with pytest.raises(JobFailedError):
        await failing.download(target)
    assert target.read_text() == "old"
    await (await session.recolor(BLUE)).download(target)
    assert target.read_bytes() == PLAIN_JPEG


async def test_a_name_that_no_file_can_have_is_refused(
    session: VtryonSession, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequestError, match="path: holds letters that no file name has"):
        await session.task(1).download(tmp_path / "x\0y")


class Files:
    """A service whose task is done, and whose files are the test's to misuse."""

    def __init__(self, link: Callable[[Server, int], str | None]) -> None:
        self.link = link
        self.polls = 0
        self.server: Server

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.target.startswith("/v2/"):
            self.polls += 1
            url = self.link(self.server, self.polls)
            await exchange.answer_json({"id": 7, "status": "completed", "result_url": url})
        elif exchange.target.startswith("/good"):
            await exchange.answer(200, JPG)
        elif exchange.target.startswith("/short"):
            await exchange.head(200, [("Content-Length", str(len(JPG)))])
            await exchange.send(JPG[:-7])
            exchange.hang_up()
        elif exchange.target.startswith("/words"):
            await exchange.answer(200, b"<html>sorry</html>")
        else:
            await exchange.answer(403, b"<Error><Message>expired</Message></Error>")


async def attempt(files: Files, target: Path) -> None:
    async with serve(files) as server:
        files.server = server
        async with VtryonSession(
            "k", base_url=server.url, poll_interval=QUICK, max_retries=1
        ) as session:
            await session.task(7).download(target)


async def test_a_link_that_has_expired_is_read_anew_once(tmp_path: Path) -> None:
    files = Files(lambda server, polls: f"{server.url}/{'expired' if polls == 1 else 'good'}?s=1")
    await attempt(files, tmp_path / "look.jpg")
    assert (tmp_path / "look.jpg").read_bytes() == JPG
    assert files.polls == 2


@pytest.mark.parametrize(
    ("path", "words", "polls"),
    [
        ("/expired?sig=hidden", "403", 2),
        ("/short?sig=hidden", "broke off", 1),
        ("/words?sig=hidden", "no picture", 1),
        (None, "has given no link", 1),
    ],
)
async def test_what_is_no_whole_picture_leaves_nothing_behind(
    path: str | None, words: str, polls: int, tmp_path: Path
) -> None:
    files = Files(lambda server, _: path and server.url + path)
    with pytest.raises(DownloadError, match=words) as caught:
        await attempt(files, tmp_path / "look.jpg")
    assert str(caught.value).startswith("download of the image of task 7: ")
    assert "hidden" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert files.polls == polls
