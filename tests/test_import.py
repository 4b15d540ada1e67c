"""What `import piktid_async` loads, and that nothing of it is missed."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import piktid_async

SOURCE = Path(piktid_async.__file__)


def for_types() -> Iterator[tuple[str, str]]:
    """Yield the names that type checkers see, with their modules."""
    (block,) = [
        each
        for each in ast.parse(SOURCE.read_text(encoding="utf-8")).body
        if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING"
    ]
    for each in block.body:
        assert isinstance(each, ast.ImportFrom)
        yield from ((alias.name, str(each.module)) for alias in each.names)


def fresh(program: str) -> str:
    """Run a program in a Python of its own."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_names_are_found_where_type_checkers_find_them():
    homes = {name: f"piktid_async.{home}" for name, home in piktid_async._HOMES.items()}
    assert homes == dict(for_types())
    assert sorted({*homes, "__version__"}) == sorted(piktid_async.__all__)


@pytest.mark.parametrize("name", piktid_async.__all__)
def test_each_name_is_there(name):
    assert getattr(piktid_async, name) is getattr(sys.modules["piktid_async"], name)
    assert name in dir(piktid_async)


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Sessions'"):
        _ = piktid_async.Sessions
    assert not hasattr(piktid_async, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'Sessions'"):
        exec("from piktid_async import Sessions")


def test_nothing_heavy_is_loaded_before_it_is_used():
    loaded = fresh("import sys, piktid_async; print(*sys.modules)").split()
    heavy = {"aiohttp", "asyncio", "attr", "cattrs", "orjson", "ssl", "logging", "psycopg"}
    assert heavy.isdisjoint(loaded)
    assert {each for each in loaded if each.startswith("piktid_async")} == {
        "piktid_async",
        "piktid_async.version",
    }


def test_a_session_loads_no_service_before_it_is_used():
    loaded = fresh(
        "import asyncio, sys, piktid_async\n"
        "async def main():\n"
        "    async with piktid_async.Session('token') as session:\n"
        "        print(*sys.modules)\n"
        "        print(session.presets is session.presets)\n"
        "asyncio.run(main())"
    )
    modules, same = loaded.splitlines()
    services = {"account", "identities", "presets", "webhooks", "archives"}
    models = {"models.account", "models.identities", "models.presets", "models.garment_recolor"}
    assert {f"piktid_async.{name}" for name in services | models}.isdisjoint(modules.split())
    assert same == "True"


def test_models_and_errors_load_no_network():
    loaded = fresh("import sys; from piktid_async import GarmentRecolor; print(*sys.modules)")
    assert {"aiohttp", "asyncio", "ssl"}.isdisjoint(loaded.split())


@pytest.mark.parametrize(
    "program",
    [
        "import piktid_async; print(piktid_async.errors.NotFoundError.__name__)",
        "import piktid_async.errors; print(piktid_async.errors.NotFoundError.__name__)",
        "from piktid_async import errors; print(errors.NotFoundError.__name__)",
        "from piktid_async import *; print(NotFoundError.__name__)",
        "from piktid_async import NotFoundError; print(NotFoundError.__name__)",
    ],
)
def test_all_ways_to_a_name_lead_there(program):
    assert fresh(program) == "NotFoundError"


def test_what_was_pickled_elsewhere_is_read_by_who_has_imported_nothing():
    text = pickle.dumps(piktid_async.InvalidRequestError("name", "must be a text"))
    assert fresh(f"import pickle; print(pickle.loads({text!r}).field)") == "name"


def test_a_missing_dependency_is_told_as_what_it_is():
    hidden = "import sys; sys.modules['orjson'] = None\n"
    told = fresh(
        f"{hidden}import piktid_async\ntry:\n    piktid_async.Session\n"
        "except ModuleNotFoundError as error:\n    print(error.name)"
    )
    assert told == "orjson"


@pytest.mark.parametrize(
    "module",
    [
        "importlib.util",
        "io",
        "typer",
        "piktid_async.cli.app",
        "piktid_async.cli.batch_app",
    ],
)
def test_ctrl_c_while_the_command_line_is_loaded_ends_it_calmly(module):
    """Whoever types it before there is anything to stop wants no account of what was loaded."""
    program = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.argv = ["piktid", "--help"]
from piktid_async.__main__ import main
sys.modules.pop({module!r}, None)
sys.meta_path.insert(0, Interrupting())
main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")
