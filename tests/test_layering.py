"""Read the imports of every module and fail on the first that points up.

A module imports its own ring or a lower one. Imports inside functions and under TYPE_CHECKING count
for the direction; cycles are looked for among the imports that run when a module is loaded.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import piktid_async

PACKAGE = "piktid_async"
SOURCE = Path(piktid_async.__file__).parent

RINGS: dict[str, int] = {
    "errors": 0,
    "types": 0,
    "version": 0,
    "models": 1,
    "protocol": 2,
    "transport": 3,
    "coordination": 3,
    "account": 4,
    "acks": 4,
    "archives": 4,
    "connections": 4,
    "doubts": 4,
    "downloads": 4,
    "estimates": 4,
    "feeds": 4,
    "follow": 4,
    "forms": 4,
    "logs": 3,
    "identities": 4,
    "iterables": 4,
    "jobs": 4,
    "paging": 4,
    "pictures": 4,
    "placing": 4,
    "presets": 4,
    "projects": 4,
    "regeneration": 4,
    "results": 4,
    "runtime": 4,
    "shared_stream": 4,
    "sources": 4,
    "stream": 4,
    "submissions": 4,
    "uploads": 4,
    "waiters": 4,
    "webhooks": 4,
    "threads": 4,
    "writing": 4,
    "": 5,  # piktid_async/__init__.py itself
    "batch": 5,
    "login": 5,
    "session": 5,
    "telemetry": 5,
    "vtryon": 5,
    "__main__": 6,
    "cli": 6,
    "sandbox": 6,
    "testing": 6,
}
NAMED_FOR_TYPES = {"errors"}
"""May name upper rings under TYPE_CHECKING: errors carry requests and results, and make none."""
NO_SHARING = "the sandbox shares no code with the client"
PURE = 2  # rings up to this one do no I/O, know no clock and throw no dice
IMPURE = {
    "aiofiles",
    "aiohttp",
    "asyncio",
    "psycopg",
    "random",
    "secrets",
    "select",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tenacity",
    "threading",
    "time",
}


class Import(NamedTuple):
    """One imported module, as seen from the line that asks for it."""

    where: str
    what: str
    relative: bool
    line: int
    at_load: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.what or 'a relative name'}"


class Tree:
    """The modules under one folder, and what each of them imports."""

    def __init__(self, folder: Path) -> None:
        self.paths = {self._name(folder, path): path for path in sorted(folder.rglob("*.py"))}
        self.imports = list(
            dict.fromkeys(found for name in self.paths for found in self._read(name))
        )

    @staticmethod
    def _name(folder: Path, path: Path) -> str:
        parts = path.relative_to(folder).with_suffix("").parts
        return ".".join((PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))

    def _read(self, name: str) -> Iterator[Import]:
        tree = ast.parse(self.paths[name].read_text(encoding="utf-8"))
        for node, at_load, for_types in _imports(tree, at_load=True, for_types=False):
            when = node.lineno, at_load, for_types
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(name, alias.name, False, *when)
            else:
                for alias in node.names:
                    module = node.module or ""
                    full = f"{module}.{alias.name}"  # a submodule, or a name inside the module?
                    what = full if full in self.paths else module
                    yield Import(name, what, bool(node.level), *when)


def _imports(
    outer: ast.AST, *, at_load: bool, for_types: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """Find the import statements, and whether they run at load or only for type checkers."""
    for node in ast.iter_child_nodes(outer):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, at_load, for_types
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            typed = for_types or _is_for_types(node)
            late = typed or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _imports(node, at_load=at_load and not late, for_types=typed)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _area(module: str) -> str:
    """Name the row of the table: the module or folder right under the package."""
    return [*module.split("."), ""][1]


def _ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE


def unknown_areas(tree: Tree) -> Iterator[str]:
    for area in sorted({_area(module) for module in tree.paths} - RINGS.keys()):
        yield f"{PACKAGE}/{area} is in no ring: say which in RINGS"


def upward_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        area, wanted = _area(found.where), _area(found.what)
        if not _ours(found.what) or not {area, wanted} <= RINGS.keys():
            continue
        if found.for_types and area in NAMED_FOR_TYPES:
            continue
        ring, target = RINGS[area], RINGS[wanted]
        if target > ring:
            yield f"{found}: ring {ring} may not import ring {target}"


def relative_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        if found.relative:
            yield f"{found}: write the absolute name"


def impure_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        ring = RINGS.get(_area(found.where), PURE + 1)
        if ring <= PURE and found.what.split(".")[0] in IMPURE:
            yield f"{found}: rings 0 to {PURE} are pure"


def strange_aiohttp_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        if found.what.split(".")[0] != "aiohttp" or _area(found.where) in {"cli", "sandbox"}:
            continue
        if not found.where.startswith(f"{PACKAGE}.transport._"):
            yield f"{found}: only {PACKAGE}/transport/_*.py may"


def strange_cattrs_imports(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        if found.what.split(".")[0] == "cattrs" and found.where != f"{PACKAGE}.protocol.codec":
            yield f"{found}: only {PACKAGE}/protocol/codec.py may"


def sandbox_imports_of_ours(tree: Tree) -> Iterator[str]:
    for found in tree.imports:
        inside = _area(found.where) == "sandbox"
        if inside and _ours(found.what) and _area(found.what) != "sandbox":
            yield f"{found}: {NO_SHARING}"


def vtryon_imports_of_the_stream(tree: Tree) -> Iterator[str]:
    """At any remove: what vtryon imports may not import them either."""
    reached = {module for module in tree.paths if _area(module) == "vtryon"}
    inner = [found for found in tree.imports if not found.for_types and found.what in tree.paths]
    while more := {found.what for found in inner if found.where in reached} - reached:
        reached |= more
    for found in tree.imports:
        if found.where in reached and (
            _area(found.what) == "stream" or found.what == f"{PACKAGE}.protocol.dispatcher"
        ):
            yield f"{found}: vtryon has no stream"


def cycles(tree: Tree) -> Iterator[str]:
    edges: dict[str, set[str]] = {module: set() for module in tree.paths}
    for found in tree.imports:
        if found.at_load and found.what in edges and found.what != found.where:
            edges[found.where].add(found.what)
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> Iterator[str]:
        if module in trail:
            yield "cycle: " + " -> ".join([*trail[trail.index(module) :], module])
            return
        if module in done:
            return
        for target in sorted(edges[module]):
            yield from visit(target, [*trail, module])
        done.add(module)

    for module in sorted(edges):
        yield from visit(module, [])


RULES: list[Callable[[Tree], Iterator[str]]] = [
    unknown_areas,
    upward_imports,
    relative_imports,
    impure_imports,
    strange_aiohttp_imports,
    strange_cattrs_imports,
    sandbox_imports_of_ours,
    vtryon_imports_of_the_stream,
    cycles,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps(rule: Callable[[Tree], Iterator[str]]) -> None:
    assert list(rule(Tree(SOURCE))) == []


UPWARD = f"{PACKAGE}.{{}} imports {PACKAGE}.{{}}: ring {{}} may not import ring {{}}"
LOOP = ("one", "two", "three", "one")
PLANTED: list[tuple[Callable[[Tree], Iterator[str]], dict[str, str], str]] = [
    (
        unknown_areas,
        {"helpers.py": ""},
        "piktid_async/helpers is in no ring: say which in RINGS",
    ),
    (
        upward_imports,
        {"protocol/planted.py": "from piktid_async.session import Session"},
        UPWARD.format("protocol.planted:1", "session", 2, 5),
    ),
    (
        upward_imports,
        {"models/planted.py": "def late():\n    import piktid_async.protocol.codec"},
        UPWARD.format("models.planted:2", "protocol.codec", 1, 2),
    ),
    (
        upward_imports,
        {"uploads/planted.py": "if TYPE_CHECKING:\n    from piktid_async import Session"},
        "piktid_async.uploads.planted:2 imports piktid_async: ring 4 may not import ring 5",
    ),
    (
        upward_imports,
        {"errors.py": "from piktid_async import planted", "planted.py": ""},
        UPWARD.format("errors:1", "planted", 0, 4),
    ),
    (
        relative_imports,
        {"models/planted.py": "from . import images"},
        "piktid_async.models.planted:1 imports a relative name: write the absolute name",
    ),
    (
        impure_imports,
        {"protocol/planted.py": "import asyncio.queues"},
        "piktid_async.protocol.planted:1 imports asyncio.queues: rings 0 to 2 are pure",
    ),
    (
        impure_imports,
        {"protocol/planted.py": "from time import monotonic"},
        "piktid_async.protocol.planted:1 imports time: rings 0 to 2 are pure",
    ),
    (
        strange_aiohttp_imports,
        {"uploads/planted.py": "import aiohttp"},
        "piktid_async.uploads.planted:1 imports aiohttp: only piktid_async/transport/_*.py may",
    ),
    (
        strange_aiohttp_imports,
        {"transport/planted.py": "from aiohttp import web"},
        "piktid_async.transport.planted:1 imports aiohttp: only piktid_async/transport/_*.py may",
    ),
    (
        strange_cattrs_imports,
        {"models/planted.py": "import cattrs"},
        "piktid_async.models.planted:1 imports cattrs: only piktid_async/protocol/codec.py may",
    ),
    (
        sandbox_imports_of_ours,
        {"sandbox/planted.py": "from piktid_async.errors import PiktidError"},
        f"{PACKAGE}.sandbox.planted:1 imports {PACKAGE}.errors: {NO_SHARING}",
    ),
    (
        vtryon_imports_of_the_stream,
        {"vtryon/planted.py": "import piktid_async.stream"},
        "piktid_async.vtryon.planted:1 imports piktid_async.stream: vtryon has no stream",
    ),
    (
        vtryon_imports_of_the_stream,
        {"pictures.py": "import piktid_async.protocol.dispatcher"},  # vtryon saves pictures
        "piktid_async.pictures:1 imports piktid_async.protocol.dispatcher: vtryon has no stream",
    ),
    (
        cycles,
        {
            "models/one.py": "from piktid_async.models import two",
            "models/two.py": "import piktid_async.models.three",
            "models/three.py": "from piktid_async.models.one import x",
        },
        "cycle: " + " -> ".join(f"{PACKAGE}.models.{name}" for name in LOOP),
    ),
]


@pytest.mark.parametrize(
    ("rule", "files", "words"),
    PLANTED,
    ids=[f"{rule.__name__}-{next(iter(files))}" for rule, files, _ in PLANTED],
)
def test_a_planted_fault_is_seen(
    rule: Callable[[Tree], Iterator[str]],
    files: dict[str, str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Plant one fault in a copy of the package; its rule goes red."""
    monkeypatch.setitem(RINGS, "planted", 4)
    copy = tmp_path / PACKAGE
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in files.items():
        path = copy / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
    assert words in list(rule(Tree(copy)))


def test_late_and_type_only_imports_make_no_cycle(tmp_path: Path) -> None:
    copy = tmp_path / PACKAGE
    (copy / "models").mkdir(parents=True)
    (copy / "models" / "one.py").write_text("import piktid_async.models.two\n")
    (copy / "models" / "two.py").write_text(
        "if TYPE_CHECKING:\n    import piktid_async.models.one\n"
        "def late():\n    import piktid_async.models.one\n"
    )
    assert list(cycles(Tree(copy))) == []
