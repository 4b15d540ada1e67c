from __future__ import annotations

import os
from pathlib import Path

import pytest

from piktid_async.cli.errors import Trouble
from piktid_async.cli.inputs import check_output, find_images, split

JPEG = b"\xff\xd8\xff\xe0 and so on"


def images(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(JPEG)
    return paths


def test_a_folder_gives_its_images_in_the_order_a_person_counts(tmp_path: Path) -> None:
    images(tmp_path, "look-10.jpg", "look-2.JPG", ".hidden.jpg", "look-1.jpeg")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "deeper").mkdir()
    images(tmp_path / "deeper", "look-3.jpg")
    found = [path.name for path in find_images([tmp_path])]
    assert found == ["look-1.jpeg", "look-2.JPG", "look-10.jpg"]


def test_an_image_named_twice_is_sent_once(tmp_path: Path) -> None:
    first, second = images(tmp_path, "a.jpg", "b.jpg")
    assert find_images([second, tmp_path, first]) == [second, first]


@pytest.mark.parametrize("head", [JPEG, b"\x89PNG\r\n\x1a\n....", b"RIFF\x00\x00\x00\x00WEBPVP8 "])
def test_the_bytes_decide_what_an_image_is(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "no-suffix").write_bytes(head)
    assert find_images([tmp_path / "no-suffix"]) == [tmp_path / "no-suffix"]


def test_everything_that_is_wrong_is_named_at_once(tmp_path: Path) -> None:
    (good,) = images(tmp_path, "good.jpg")
    text, empty, bare = tmp_path / "text.jpg", tmp_path / "empty.png", tmp_path / "bare"
    text.write_text("not an image")
    empty.touch()
    bare.mkdir()
    with pytest.raises(Trouble) as caught:
        find_images([good, tmp_path / "lost.jpg", text, empty, bare])
    assert str(caught.value) == (
        f"{bare} holds no .jpeg, .jpg, .png or .webp file; "
        f"{tmp_path / 'lost.jpg'} does not exist; "
        f"{text} is not a JPEG, PNG or WebP image; {empty} is empty. Nothing was sent."
    )
    assert caught.value.code == 2


def test_many_problems_are_counted_rather_than_listed(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"lost-7 does not exist; and 92 more\. Nothing was sent"):
        find_images([tmp_path / f"lost-{number}" for number in range(100)])


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(Trouble, match=r"pipe\.jpg is not a file"):
        find_images([tmp_path / "pipe.jpg"])


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (1, [1]),
        (10, [10]),
        (11, [6, 5]),
        (20, [10, 10]),
        (25, [8, 9, 8]),
        (101, [9] * 9 + [10, 10]),
    ],
)
def test_a_set_is_cut_into_even_jobs_of_ten_at_most(count: int, sizes: list[int]) -> None:
    paths = [Path(str(number)) for number in range(count)]
    parts = split(paths)
    assert sorted(map(len, parts)) == sorted(sizes)
    assert [path for part in parts for path in part] == paths


@pytest.mark.parametrize(
    "name", ["0_0_v0.jpg", "9_7_v12.png", "0_0_v0_thumb.jpg", "before-after.html"]
)
def test_a_folder_with_results_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "set-2").mkdir()
    (tmp_path / "set-2" / name).touch()
    with pytest.raises(Trouble, match=f"already holds results.*{name}.*--overwrite"):
        check_output(tmp_path, [tmp_path / "set-1", tmp_path / "set-2"], overwrite=False)
    check_output(tmp_path, [tmp_path / "set-2"], overwrite=True)


def test_other_files_in_the_folder_are_no_hindrance(tmp_path: Path) -> None:
    images(tmp_path, "front.jpg", "1_2.jpg")
    check_output(tmp_path / "new" / "folder", [], overwrite=False)
    check_output(tmp_path, [], overwrite=False)


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (file,) = images(tmp_path, "out")
    with pytest.raises(Trouble, match=r"--out: .*out is a file, not a folder"):
        check_output(file / "deeper", [], overwrite=False)
