"""The products of `piktid batch` and `piktid estimate`, and what each of them becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

from piktid_async.batch import BadProduct, Product, read_csv, read_folder, read_jsonl
from piktid_async.batch.readers import Read
from piktid_async.cli.errors import Trouble, clean, trouble_from
from piktid_async.cli.inputs import at_most, shown
from piktid_async.cli.wishes import NO_COLUMN, Wish, read_wish
from piktid_async.errors import ConfigurationError

LISTS: dict[str, Callable[..., Read]] = {
    ".csv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
}


@attrs.frozen
class Products:
    """A list or a folder, which can be gone through any number of times."""

    path: Path
    wish: Wish
    total: int = 0

    def __iter__(self) -> Iterator[Product | BadProduct]:
        reader = LISTS.get(self.path.suffix.lower())
        if self.path.is_dir() or reader is None:
            return read_folder(self.path, self.wish.template({}))
        if self.wish.columns:
            return reader(self.path, self.wish.template, by_row=True)
        return reader(self.path, self.wish.template({}))


def find_products(path: Path, *, kind: str, to: str | None, settings: Iterable[str]) -> Products:
    """Check the settings and the list, and count its products; pictures are not looked at."""
    if not path.exists():
        raise Trouble(f"{shown(path)} does not exist. Nothing was sent.")
    if not path.is_dir() and path.suffix.lower() not in LISTS:
        raise Trouble(f"{shown(path)}: give a folder, or a file named .csv or .jsonl.")
    wish = read_wish(kind, to, settings)
    if path.is_dir() and wish.columns:
        raise Trouble(f"{{{wish.columns[0]}}} names a column, but {shown(path)} is a folder.")
    found = Products(path, wish)
    return attrs.evolve(found, total=_counted(found))


def _counted(products: Products) -> int:
    total, bad, reasons = 0, [], set()
    try:
        for each in products:
            total += 1
            if isinstance(each, BadProduct):
                bad.append(f"{each.line}: {each.reason}")
                reasons.add(each.reason)
    except ConfigurationError as error:
        raise trouble_from(error) from error
    if not total:
        raise Trouble(f"{shown(products.path)} holds no products. Nothing was sent.")
    if len(bad) == total > 1 and len(reasons) == 1 and NO_COLUMN in (reason := reasons.pop()):
        raise Trouble(f"{clean(reason)}, nor in any of all {total:,}. Nothing was sent.")
    if len(bad) == total:
        raise Trouble(f"{clean('; '.join(at_most(bad)))}. Nothing was sent.")
    return total
