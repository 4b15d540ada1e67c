"""Journals of every kind, and a quick sandbox to run batches against."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from piktid_async import AccountLimits, GarmentRecolor, PostgresCoordinator, Session
from piktid_async.batch import Product
from piktid_async.batch.ledger import Store
from piktid_async.batch.postgres import PostgresStore
from piktid_async.batch.sqlite import SqliteStore
from piktid_async.sandbox import Faults, Sandbox
from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.batch.program import QUICK

NAVY = (GarmentRecolor, {"reference_text": "navy", "processing_size": 1024})


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Every kind of journal: what holds for one holds for all."""
    opened: SqliteStore | PostgresStore
    if request.param == "sqlite":
        opened = await SqliteStore(tmp_path / "journal.sqlite").open()
    else:
        database = request.getfixturevalue("database")
        opened = await PostgresStore(database, uuid.uuid4().hex).open()
    yield opened
    await opened.close()


@pytest.fixture
async def quick() -> AsyncIterator[Sandbox]:
    async with Sandbox(
        render=False, limits=False, seconds_per_image=0.01, faults=Faults()
    ) as running:
        yield running


@pytest.fixture
def make_session(quick: Sandbox) -> Callable[..., Session]:
    def make(**options: object) -> Session:
        chosen = {"base_url": quick.url, "limits": AccountLimits.unlimited(), "stream": QUICK}
        return Session(quick.token, **{"timeout": 10.0, **chosen, **options})  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_products() -> Callable[..., list[Product]]:
    def make(count: int, request: object = NAVY) -> list[Product]:
        return [
            Product(f"sku-{number}", PLAIN_JPEG + b"%d" % number, request, f"list:{number}")  # type: ignore[arg-type]
            for number in range(count)
        ]

    return make


@pytest.fixture
def name() -> str:
    """Name a batch that no other test has."""
    return uuid.uuid4().hex[:12]


@pytest.fixture
def results_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have results without a directory land where nobody minds."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lease() -> float:
    """Seconds after which a program that is silent is taken for dead."""
    return 3.0


@pytest.fixture
def shared_session(
    make_session: Callable[..., Session], database: str, lease: float
) -> Callable[..., Session]:
    """Make sessions that share the limits and the stream of one account."""

    def make(**options: object) -> Session:
        return make_session(coordinator=PostgresCoordinator(database, lease=lease), **options)

    return make
