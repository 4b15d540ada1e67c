"""What a run would do and cost, before it does."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable

import attrs

from piktid_async.batch import images
from piktid_async.batch.ledger import Row, State, Store
from piktid_async.batch.products import (
    BadProduct,
    Product,
    build,
    check_count,
    fingerprint,
    same_key,
    stand_ins,
)
from piktid_async.batch.summary import Failure, Plan
from piktid_async.errors import InvalidRequestError, UploadError
from piktid_async.iterables import drawn
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest
from piktid_async.session import Session

MOST_NAMED = 100
ENDED = frozenset({State.SAVED, State.DONE, State.FAILED})


@attrs.define
class _Sums:
    products: int = 0
    ended: int = 0
    under_way: int = 0
    outputs: int = 0
    bad: list[Failure] = attrs.field(factory=list)
    bad_count: int = 0

    def note(self, product: Product | BadProduct, error: str) -> None:
        self.bad_count += 1
        if len(self.bad) < MOST_NAMED:
            self.bad.append(Failure(key=product.key, line=product.line, error=error))


async def planned(
    session: Session,
    store: Store,
    products: Iterable[Product | BadProduct] | AsyncIterable[Product | BadProduct],
) -> Plan:
    """Go through the products without sending anything."""
    sums = _Sums()
    estimate = await session.estimate(_to_submit(products, store, sums))
    return Plan(
        products=sums.products,
        ended=sums.ended,
        under_way=sums.under_way,
        to_submit=estimate.jobs,
        outputs=estimate.outputs,
        credits=estimate.credits,
        unpriced=estimate.unpriced,
        seconds=estimate.seconds,
        bad=tuple(sums.bad),
        bad_count=sums.bad_count,
    )


async def _to_submit(
    products: Iterable[Product | BadProduct] | AsyncIterable[Product | BadProduct],
    store: Store,
    sums: _Sums,
) -> AsyncIterator[JobRequest]:
    seen: dict[str, str] = {}
    async for product in drawn("products", products, "products"):
        sums.products += 1
        if isinstance(product, BadProduct):
            sums.note(product, product.reason)
            continue
        if product.key in seen:
            sums.note(product, str(same_key(product, seen[product.key])))
            continue
        seen[product.key] = product.line or "an earlier one"
        try:
            request = await _request(product, await store.row(product.key), store, sums)
        except (InvalidRequestError, UploadError) as error:
            sums.note(product, str(error))
            continue
        if request is not None:
            yield request


async def _request(
    product: Product, row: Row | None, store: Store, sums: _Sums
) -> JobRequest | None:
    """Return what would be submitted, if anything."""
    if row is not None and row.state not in (State.PENDING, State.FAILED):
        if row.state in ENDED:
            sums.ended += 1
        else:
            sums.under_way += 1
        return None
    check_count(product)
    pictures = await images.look(product.images, store)
    hashes = [each.sha256 for each in pictures]
    if row is not None and row.state is State.FAILED:
        same = row.fingerprint == fingerprint(product.request, hashes)
        if row.job_id is not None or same:
            sums.ended += 1
            return None
    return build(product.request, Project("project"), stand_ins(hashes))
