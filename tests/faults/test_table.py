"""The matrix is complete, true of every endpoint, and what the README prints."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from piktid_async import GarmentRecolor
from piktid_async.protocol import endpoints
from piktid_async.protocol.messages import Call, Form, Request
from piktid_async.vtryon import endpoints as vtryon
from tests.faults.calls import BLUE, CASES
from tests.faults.matrix import KINDS, MATRIX, REPEATED, readme_table

README = Path(__file__).parents[2] / "README.md"
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}

FORM = Form(fields={}, name="image", filename="a", content_type="image/png", file=None)  # type: ignore[arg-type]
ARGUMENTS: dict[str, Any] = {
    "request": GarmentRecolor(project="p", images=["a"], reference_text="navy"),
    "recolor": BLUE,
    "form": FORM,
    "json": None,
    "method": "GET",
    "path": "/x",
    "page": 1,
    "page_size": 1,
    "params": {},
    "filters": {},
    "changes": {},
    "body": {},
    "note_id": 1,
    "task_id": 1,
    "ids": ["1"],
    "codes": ["1"],
    "job_ids": ["1"],
    "image_index": 0,
    "group_index": 0,
    "image_result_id": 1,
}


def makers() -> dict[str, Callable[..., Any]]:
    """Return the functions that make a request, by the names of the table."""
    found = {name: getattr(endpoints, name) for name in endpoints.__all__}
    made = {name: value for name, value in found.items() if inspect.isfunction(value)}
    made |= {
        f"vtryon.{name}": value
        for name, value in inspect.getmembers(vtryon, inspect.isfunction)
        if value.__module__ == vtryon.__name__ and not name.startswith("_")
    }
    return {
        name: value
        for name, value in made.items()
        if str(inspect.signature(value).return_annotation).startswith(("Call[", "Request"))
    }


def request_of(make: Callable[..., Any], **options: object) -> Request:
    names = inspect.signature(make).parameters
    made = make(**{name: options.get(name, ARGUMENTS.get(name, "x")) for name in names})
    return made.request if isinstance(made, Call) else made


def test_every_endpoint_has_its_kind() -> None:
    assert set(makers()) == set(KIND_OF)


@pytest.mark.parametrize("name", KIND_OF)
def test_a_request_is_marked_as_harmless_to_repeat_as_its_kind_says(name: str) -> None:
    make, wanted = makers()[name], KIND_OF[name] in REPEATED
    if "replayable" in inspect.signature(make).parameters:
        # Left to the caller: `ensure` may repeat it, `create` and `upload` may not.
        assert request_of(make, replayable=True).replayable
        assert not request_of(make, replayable=False).replayable
    else:
        assert request_of(make).replayable is wanted


def test_what_is_not_modelled_is_repeated_only_if_it_reads() -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert not request_of(endpoints.anything, method=method).replayable


def test_every_row_is_tested() -> None:
    assert {case.row for case in CASES} == set(MATRIX) - {"opening the event stream"}
    assert set(KINDS) <= set(MATRIX)


def test_the_readme_prints_the_matrix() -> None:
    table = "\n".join(readme_table())
    assert table in README.read_text(encoding="utf-8"), f"put this into the README:\n\n{table}"
