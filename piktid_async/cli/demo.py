"""`piktid demo`: the main job on sample photos and the local sandbox, nothing else needed."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from rich.console import Console

from piktid_async.cli.errors import trouble_from
from piktid_async.cli.inputs import PAGE_NAME, check_output
from piktid_async.cli.report import Report
from piktid_async.cli.verbs.recolor import recolor_order
from piktid_async.cli.work import carry_out

SIZE = 1024


def run_demo(*, out: Path, color: str, count: int, console: Console) -> Report:
    """Draw photos, recolor them on a sandbox, and leave a page. Replaces an older demo."""
    check_output(out, [], overwrite=True)
    photos = _draw(out / "photos", count, console)
    order = recolor_order(photos, out=out, text=color, size=SIZE, project="demo", overwrite=True)
    return carry_out(order, sandbox=True, page=out / PAGE_NAME, console=console)


def show_in_browser(page: Path) -> None:
    """Open the page where there is a desktop to open it on."""
    if _has_desktop():
        webbrowser.open(page.resolve().as_uri())


def _draw(folder: Path, count: int, console: Console) -> list[Path]:
    from piktid_async.sandbox.imaging import sample_photos

    with console.status(f"drawing {count} sample photos"):
        photos = sample_photos(count)
    paths = [folder / photo.name for photo in photos]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, photo in zip(paths, photos, strict=True):
            _write(path, photo.data)
    except OSError as error:
        raise trouble_from(OSError(error.errno, error.strerror, str(folder))) from error
    return paths


def _write(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _has_desktop() -> bool:
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return False
    if sys.platform in {"darwin", "win32"}:
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
