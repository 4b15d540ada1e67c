"""Products from lists and folders; what is wrong is told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from piktid_async import ConfigurationError, InvalidRequestError
from piktid_async.batch import BadProduct, Product, read_csv, read_folder, read_jsonl
from tests.batch.conftest import NAVY


def shown(products):
    return [
        (each.key, [Path(image).name for image in each.images], each.line)
        if isinstance(each, Product)
        else (each.key, each.reason.split(":")[0], each.line)
        for each in products
    ]


def test_a_csv_gives_a_product_a_row_and_names_the_bad_ones(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"\xef\xbb\xbfkey,images,colour\r\n"
        b"a,front.jpg;back.jpg,navy\r\n"
        b'"b,1","one.jpg ; ",red\r\n'
        b"c\r\n"
        b",x.jpg,red\r\n"
        b"d,x.jpg,red,more\r\n"
        b'e,"x"y,red\r\n'
        b"f,caf\xe9.jpg,red\r\n"
    )
    products = list(read_csv(path, NAVY))
    assert shown(products) == [
        ("a", ["front.jpg", "back.jpg"], "list.csv:2"),
        ("b,1", ["one.jpg"], "list.csv:3"),
        ("c", "has other cells than the header", "list.csv:4"),
        ("", "key", "list.csv:5"),
        ("d", "has other cells than the header", "list.csv:6"),
        ("", "cannot be read", "list.csv:7"),
        ("f", ["caf\udce9.jpg"], "list.csv:8"),
    ]
    assert products[0].images[0] == tmp_path / "front.jpg"


def test_a_csv_can_say_each_rows_request(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("sku,files,colour\na,x.jpg,navy\nb,x.jpg,\n")

    def of_row(row):
        if not row["colour"]:
            raise InvalidRequestError("colour", "is needed")
        return (NAVY[0], {"reference_text": row["colour"]})

    first, second = read_csv(
        path, of_row, by_row=True, key="sku", images="files", directory="/elsewhere"
    )
    assert first.request == (NAVY[0], {"reference_text": "navy"})
    assert first.images == (Path("/elsewhere/x.jpg"),)
    assert second == BadProduct("b", "list.csv:3", "colour: is needed")


def test_jsonl_gives_a_product_a_line_and_names_the_bad_ones(tmp_path):
    rows = [
        json.dumps({"key": "a", "images": ["x.jpg", "y.jpg"]}),
        "",
        json.dumps({"key": "b", "images": "x.jpg"}),
        "{",
        "[]",
        json.dumps({"key": "c", "images": [1]}),
        json.dumps({"images": ["x.jpg"]}),
        json.dumps({"key": 7, "images": []}),
    ]
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(rows))
    assert shown(read_jsonl(path, NAVY)) == [
        ("a", ["x.jpg", "y.jpg"], "list.jsonl:1"),
        ("b", ["x.jpg"], "list.jsonl:3"),
        ("", "is no JSON", "list.jsonl:4"),
        ("", "is no JSON object", "list.jsonl:5"),
        ("c", "images must be paths", "list.jsonl:6"),
        ("", "key", "list.jsonl:7"),
        ("7", "key", "list.jsonl:8"),
    ]


def test_what_is_wrong_with_a_rows_request_is_that_rows(tmp_path):
    path = tmp_path / "list.jsonl"
    path.write_text('{"key": "a", "images": "x.jpg"}\n')
    (bad,) = read_jsonl(path, lambda row: row["colour"], by_row=True)
    assert bad.reason == "request: cannot be made of this row: KeyError('colour')"


def test_a_tree_gives_a_product_for_each_folder_with_images(tmp_path):
    for name in (
        "shoes/look-10.jpg", "shoes/look-2.PNG", "shoes/notes.txt", "shoes/red/a.webp",
        "bags/.hidden.jpg", ".git/x.jpg", "done/0_0_v1.jpg", "done/0_0_v1_thumbnail.jpg",
        "top.jpeg",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert shown(read_folder(tmp_path, NAVY)) == [
        (tmp_path.name, ["top.jpeg"], str(tmp_path)),
        ("shoes", ["look-2.PNG", "look-10.jpg"], str(tmp_path / "shoes")),
        ("shoes/red", ["a.webp"], str(tmp_path / "shoes" / "red")),
    ]


@pytest.mark.parametrize(
    ("reader", "name", "words"),
    [
        (read_csv, "none.csv", "cannot be read"),
        (read_jsonl, "none.jsonl", "cannot be read"),
        (read_folder, "none", "is no folder"),
        (read_csv, "empty.csv", "has no column 'key'"),
    ],
)
def test_a_list_that_is_not_there_is_named_at_once(tmp_path, reader, name, words):
    (tmp_path / "empty.csv").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=words):
        list(reader(tmp_path / name, NAVY))
