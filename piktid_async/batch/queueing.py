"""Products put into a database for workers: each row with its first task, in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator

from piktid_async.batch.ledger import State
from piktid_async.batch.postgres import PostgresStore
from piktid_async.batch.products import BadProduct, Product, same_key
from piktid_async.batch.specs import spec_of
from piktid_async.batch.summary import Enqueued
from piktid_async.errors import InvalidRequestError

CHUNK = 200


async def enqueue(
    store: PostgresStore, products: AsyncIterator[Product | BadProduct], first_task: str
) -> Enqueued:
    """Put products into the queue, some hundred in a transaction; sends nothing."""
    told = Enqueued()
    chunk: dict[str, tuple[Product, str]] = {}
    async for product in products:
        told.products += 1
        if isinstance(product, BadProduct):
            told.refuse(product.key, product.line, product.reason)
            continue
        if not isinstance(product, Product):
            raise InvalidRequestError("products", f"must be products, not {product!r}")
        if product.key in chunk:
            twin = chunk[product.key][0].line or "an earlier one"
            told.refuse(product.key, product.line, str(same_key(product, twin)))
            continue
        try:
            chunk[product.key] = product, spec_of(product)
        except InvalidRequestError as error:
            told.refuse(product.key, product.line, str(error))
        if len(chunk) == CHUNK:
            await _add(store, chunk, first_task, told)
            chunk = {}
    if chunk:
        await _add(store, chunk, first_task, told)
    return told


async def _add(
    store: PostgresStore,
    chunk: dict[str, tuple[Product, str]],
    first_task: str,
    told: Enqueued,
) -> None:
    rows = [(key, product.line, spec) for key, (product, spec) in chunk.items()]
    there = await store.add(rows, first_task)
    told.added += len(rows) - len(there)
    for key, (row, spec) in there.items():
        product, wanted = chunk[key]
        if spec == wanted:
            told.known += 1
        elif row.state is State.FAILED and row.job_id is None and spec is not None:
            await store.change_spec(key, wanted)
            await store.move(key, State.PENDING, then=first_task)
            told.added += 1
        else:
            told.refuse(
                product.key,
                product.line,
                f"{key!r} stands in the batch with other images or another request: give the "
                "changed product a key of its own",
            )
