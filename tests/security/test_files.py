"""Files appear whole, under the name that was asked for, and in the place of nothing else."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from piktid_async import DownloadError, InvalidRequestError
from piktid_async.placing import place, replace
from piktid_async.protocol.names import LONGEST, safe_name
from tests.security.service import answering, hostile
from tests.transport.servers import JPG, PNG

# Names


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.jpg", "a.jpg"),
        ("été 2.jpg", "été 2.jpg"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("C:\\x\\a.jpg", "a.jpg"),
        ("C:a.jpg", "C_a.jpg"),
        ("a.jpg:stream", "a.jpg_stream"),
        ("a\x00b\n\r\x1b[31m.jpg", "ab[31m.jpg"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("\uff0e\uff0e\uff0fa.jpg", "a.jpg"),
        ('a?b*c|d<e>f".jpg', "a_b_c_d_e_f_.jpg"),
        ("CON", "_CON"),
        ("con.jpg", "_con.jpg"),
        ("NUL .tar.gz", "_NUL .tar.gz"),
        ("com1", "_com1"),
        ("LPT\u00b9.jpg", "_LPT1.jpg"),
        ("console.jpg", "console.jpg"),
        ("CONIN$", "_CONIN$"),
        ("a.jpg. . .", "a.jpg"),
        (".hidden", "hidden"),
        ("folder/", "folder"),
        ("", "other"),
        (".", "other"),
        ("..", "other"),
        ("/", "other"),
        (" . ", "other"),
        ("\x00\x01", "other"),
    ],
)
def test_a_name_is_made_fit_for_any_file_system(name: str, safe: str) -> None:
    assert safe_name(name, "other") == safe


@pytest.mark.parametrize("letter", ["a", "é", "漢", "🧥"])
def test_a_long_name_is_cut_between_letters_and_keeps_its_extension(letter: str) -> None:
    found = safe_name(letter * 300 + ".jpeg", "other")
    assert LONGEST - 4 <= len(found.encode()) <= LONGEST
    assert found == letter * found.count(letter) + ".jpeg"
    assert len(safe_name("x." + letter * 300, "other").encode()) <= LONGEST


# Places


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / ".part"
    path.write_bytes(b"new")
    return path


@pytest.mark.parametrize("name", ["x\0y", "x\ud800y"])
async def test_a_name_that_no_file_can_have_is_refused_by_the_field(
    tmp_path: Path, name: str
) -> None:
    target = tmp_path / name
    async with hostile() as running:
        job = running.job()
        (output,) = (await job.result()).outputs
        sent = len(running.api.requests)
        for field, refused in (
            ("directory", job.download(target)),
            ("directory", job.download(str(target))),
            ("path", job.download_zip(target)),
            ("path", running.session.download_zip([job], target)),
            ("path", output.save(target)),
        ):
            with pytest.raises(InvalidRequestError, match="letters that no file name has") as found:
                await refused
            assert found.value.field == field
        assert len(running.api.requests) == sent
    assert list(tmp_path.iterdir()) == []


def test_a_free_name_is_taken(tmp_path: Path, part: Path) -> None:
    assert place(part, tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == b"new"


@pytest.mark.parametrize("there", ["file", "folder", "fifo", "link", "dangling link", "link out"])
def test_a_name_that_is_taken_by_anything_stays_as_it_is(
    tmp_path: Path, part: Path, there: str
) -> None:
    target, outside = tmp_path / "a.jpg", tmp_path / "outside"
    outside.write_bytes(b"theirs")
    make = {
        "file": lambda: target.write_bytes(b"old"),
        "folder": target.mkdir,
        "fifo": lambda: os.mkfifo(target),
        "link": lambda: target.symlink_to(part),
        "dangling link": lambda: target.symlink_to(tmp_path / "nowhere"),
        "link out": lambda: target.symlink_to(outside),
    }
    make[there]()
    before = target.lstat()
    assert not place(part, target)
    assert target.lstat() == before
    assert outside.read_bytes() == b"theirs"
    assert not (tmp_path / "nowhere").exists()


def test_a_file_system_without_hard_links_is_no_way_around(
    tmp_path: Path, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "old.jpg").write_bytes(b"old")
    assert not place(part, tmp_path / "old.jpg")
    assert (tmp_path / "old.jpg").read_bytes() == b"old"
    assert place(part, tmp_path / "new.jpg")
    assert (tmp_path / "new.jpg").read_bytes() == b"new"


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path, part: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    (tmp_path / "a.jpg").symlink_to(outside)
    replace(part, tmp_path / "a.jpg")
    assert outside.read_bytes() == b"theirs"
    assert (tmp_path / "a.jpg").read_bytes() == b"new"
    assert not (tmp_path / "a.jpg").is_symlink()


def test_a_device_is_never_replaced(tmp_path: Path, part: Path) -> None:
    target = tmp_path / "device"
    os.mkfifo(target)
    with pytest.raises(OSError, match="Is a device or socket, not a file"):
        replace(part, target)
    assert stat.S_ISFIFO(target.lstat().st_mode)


async def test_saving_to_a_device_is_an_error_of_ours(tmp_path: Path) -> None:
    target = tmp_path / "device"
    os.mkfifo(target)
    async with hostile() as running:
        output = (await running.job().result()).outputs[0]
        with pytest.raises(DownloadError, match=r"cannot be written \(Is a device"):
            await output.save(target)
    assert [path.name for path in tmp_path.iterdir()] == ["device"]


RACE = """
import sys
from pathlib import Path
from piktid_async.placing import place
folder = Path(sys.argv[1])
(part := folder / f".part-{sys.argv[2]}").write_text(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
print(sum(place(part, folder / f"{number}.jpg") for number in range(500)), flush=True)
"""


def test_of_several_processes_one_gets_each_name(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    racers = [
        subprocess.Popen(
            [*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    won = []
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        out, _ = racer.communicate()
        won.append(int(out))
    assert sum(won) == 500
    found = [int(path.read_text()) for path in tmp_path.glob("*.jpg")]
    assert [found.count(number) for number in range(4)] == won


# Downloads


async def test_whatever_the_service_calls_its_images_they_stay_in_the_folder(
    tmp_path: Path,
) -> None:
    """Names are made of the numbers of an image, and of what its bytes are."""
    async with hostile() as running:
        row = {
            "image_index": 0,
            "group_index": 1,
            "version": 0,
            "status": "completed",
            "original_filename": "../../evil.sh",
        }
        links = {"full_size": f"{running.storage.url}/..%2f..%2fevil.sh", "thumbnail": None}
        running.answers["/jobs/j/results"] = answering(
            {"job_id": "j", "status": "completed", "results": [row | {"output": links}]}
        )
        saved = await running.job().download(tmp_path / "in")
    assert saved == [tmp_path / "in" / "0_1_v0.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("number", ["0/../../x", "..", None, 1.5, True, {"a": 1}, -1])
async def test_a_number_that_is_none_makes_no_name(tmp_path: Path, number: object) -> None:
    async with hostile() as running:
        good = {"image_index": 0, "status": "completed", "url": running.signed}
        bad = good | {"image_index": number}
        running.answers["/jobs/j/results"] = answering(
            {"job_id": "j", "status": "completed", "results": [bad, good]}
        )
        job = running.job()
        assert await job.download(tmp_path) == [tmp_path / "0_0_v0.png"]
        assert len((await job.result()).unreadable) == 1


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(JPG)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "0_0_v0.png").symlink_to(outside)
    async with hostile() as running:
        with pytest.raises(DownloadError, match="exists with other content") as raised:
            await running.job().download(folder)
        assert not raised.value.retryable
        await running.job().download(folder, overwrite=True)
    assert outside.read_bytes() == JPG
    assert (folder / "0_0_v0.png").read_bytes() == PNG
    assert sorted(path.name for path in folder.iterdir()) == ["0_0_v0.png"]
