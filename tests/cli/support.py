"""Pictures to send, ways to run the command line, and a reader for its page."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path

import attrs
from PIL import Image, ImageDraw, ImageFilter


def draw_garment(path: Path, *, color: str = "#c04030", size: tuple[int, int] = (320, 400)) -> Path:
    """Draw something that a segmenter takes for a garment: a shaded block on a plain wall."""
    width, height = size
    picture = Image.new("RGB", size, "#e8e6e2")
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle(
        (width * 0.25, height * 0.2, width * 0.75, height * 0.85), radius=18, fill=color
    )
    for fold in range(3):
        x = width * (0.35 + 0.13 * fold)
        draw.line((x, height * 0.4, x + 8, height * 0.8), fill="#8a2c20", width=4)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.filter(ImageFilter.GaussianBlur(1.2)).save(path)
    return path


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


@attrs.define
class Stage:
    """A command that has come to where it is to be stopped."""

    process: asyncio.subprocess.Process
    record: Callable[[str, object], None]

    async def stop(self, number: signal.Signals, *, impatiently: bool = False) -> Ended:
        """Send the signal, once or again and again; return how the command ended."""
        began = time.monotonic()
        self.process.send_signal(number)
        ending = asyncio.create_task(self.process.communicate())
        async with asyncio.timeout(30):
            while impatiently and not (await asyncio.wait((ending,), timeout=0.02))[0]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.process.pid, number)
            out, err = await ending
        self.record("seconds to the end", round(time.monotonic() - began, 3))
        assert self.process.returncode is not None
        ended = Ended(self.process.returncode, out.decode(), err.decode())
        assert "Traceback" not in ended.text
        assert "never" not in ended.text  # retrieved, awaited
        return ended


Reached = Callable[[], bool]


def hear_interrupts() -> None:
    """Let a new process hear SIGINT, which a shell's background job is started deaf to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def secrets_in(ended: Ended, env: Mapping[str, str | None]) -> list[str]:
    """Return what a command has said of the keys it was given, and of signed URLs."""
    keys = [env.get(name) for name in ("PIKTID_API_TOKEN", "VTRYON_API_KEY")]
    marks = ["X-Amz-Signature=", "X-Amz-Credential=", "Bearer "]
    # A key of a few letters is a part of common words.
    return [each for each in (*keys, *marks) if each and len(each) > 5 and each in ended.text]


Command = Callable[..., Awaitable[Ended]]
Main = Callable[..., tuple[int, str, str]]
"""Runs the command line within the test: exit code, standard output, standard error."""
NOWHERE = "http://127.0.0.1:9"
"""A port that refuses."""


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment without anything that could reach the real service."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PIKTID_", "VTRYON_"))
        and key not in {"FORCE_COLOR", "TTY_COMPATIBLE"}
    }
    return kept | {key: value for key, value in changes.items() if value is not None}


VOID = {"meta", "img", "br", "link", "input"}


class Reader(HTMLParser):
    """Collects what matters, and checks that elements are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self.ids: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self._open.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))
        for name, value in attrs:
            self.attributes.append((tag, name, value))
            if name == "id" and value:
                self.ids.add(value)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data


def decoded(image: dict[str, str | None]) -> Image.Image:
    """Return the picture of an <img>, which must be a data URI."""
    head, _, body = (image["src"] or "").partition(",")
    assert head in {"data:image/jpeg;base64", "data:image/png;base64", "data:image/webp;base64"}
    picture = Image.open(io.BytesIO(base64.b64decode(body, validate=True)))
    picture.load()
    return picture


def read(path: Path) -> Reader:
    """Read a page and check what holds for every one: nothing is loaded, links stay inside."""
    page = Reader(path.read_text(encoding="utf-8"))
    for tag, name, value in page.attributes:
        assert tag not in {"script", "link", "iframe", "object"}
        assert not name.startswith("on")
        if name == "href":
            assert value is not None
            assert value[0] == "#"
            assert value[1:] in page.ids
    assert "url(" not in path.read_text(encoding="utf-8")
    return page


TO_GREEN = ("--to", "forest green", "--size", 1024)


def is_green(path: Path) -> bool:
    """Whether the middle of the garment is green now; it was red."""
    with Image.open(path) as picture:
        width, height = picture.size
        pixel = picture.convert("RGB").getpixel((width // 2 - 6, round(height * 0.55)))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    return green > red and green > blue
