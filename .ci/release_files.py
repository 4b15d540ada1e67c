"""Compare what was built with what it was built from: the one argument is the folder."""

import re
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).parent.parent
LITTER = re.compile(r"__pycache__|\.pyc$|\.sqlite$|\.hypothesis")
IN_SDIST = {
    *(".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "PKG-INFO", "README.md"),
    *("benchmarks", "docs", "examples", "mkdocs.yml", "piktid_async", "pyproject.toml"),
    *("pytest_piktid.py", "tests"),
}


def source_files() -> set[str]:
    """Return what belongs into the wheel."""
    package = (path for path in (ROOT / "piktid_async").rglob("*") if path.is_file())
    files = {str(path.relative_to(ROOT)) for path in package if "__pycache__" not in path.parts}
    return files | {"pytest_piktid.py"}


def check_wheel(path: Path, version: str) -> None:
    """Raise unless it holds the package, the plugin and their metadata, and nothing else."""
    with zipfile.ZipFile(path) as wheel:
        info = f"piktid_async-{version}.dist-info"
        held = {name for name in wheel.namelist() if not name.startswith(f"{info}/")}
        expect(path.name, held, source_files())
        if "piktid_async/py.typed" not in held:
            sys.exit(f"{path.name}: without py.typed no type checker looks at it")
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        scripts = wheel.read(f"{info}/entry_points.txt").decode()
    if metadata["Version"] != version:
        sys.exit(f"{path.name}: version {metadata['Version']}, not {version}")
    minors = set(re.findall(r":: (3\.\d+)", " ".join(metadata.get_all("Classifier", []))))
    expect("classifiers", minors, {"3.11", "3.12", "3.13"})
    for line in ("piktid = piktid_async.__main__:main", "piktid = pytest_piktid"):
        if line not in scripts.splitlines():
            sys.exit(f"{path.name}: no entry point {line!r}")


def check_sdist(path: Path) -> None:
    """Raise unless it holds what is needed to build and to test, and nothing else."""
    with tarfile.open(path) as sdist:
        names = [name.split("/", 1)[1] for name in sdist.getnames() if "/" in name]
    expect(path.name, {name.split("/")[0] for name in names}, IN_SDIST)
    litter = {name for name in names if LITTER.search(name)}
    expect(f"litter in {path.name}", litter, set())


def expect(what: str, found: set[str], wanted: set[str]) -> None:
    """Exit unless the two are the same."""
    if found != wanted:
        sys.exit(f"{what}: too much {sorted(found - wanted)}, missing {sorted(wanted - found)}")


def main(folder: Path) -> None:
    version = re.search(r'__version__ = "(.+)"', (ROOT / "piktid_async" / "version.py").read_text())
    assert version is not None
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_wheel(wheel, version[1])
    check_sdist(sdist)
    sys.stdout.write(f"{wheel.name} and {sdist.name} hold what they should, no more\n")


main(Path(sys.argv[1]))
