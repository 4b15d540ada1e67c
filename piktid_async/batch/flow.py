"""So many products in hand at once, drawn as places get free."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from piktid_async.batch.ledger import State
from piktid_async.batch.products import BadProduct, Product, ProductOutcome
from piktid_async.batch.shared import Run
from piktid_async.batch.work import OF_THE_ACCOUNT, Work
from piktid_async.errors import InvalidRequestError
from piktid_async.iterables import drawn

if TYPE_CHECKING:
    from piktid_async.batch.run import Products

LOOK_AGAIN = 1.0
"""Seconds between looks whether another program is done with a product."""


class Flow:
    """Workers that draw a product, bring it to its end and hand its outcome over.

    An error of the account, of the list, or of the journal stops the drawing; what is under way
    goes on, and the error is raised when all else has been handed out.
    """

    def __init__(
        self, run: Run, products: Products, in_flight: int, in_doubt: dict[str, Product]
    ) -> None:
        self._run = run
        self._drawing = drawn("products", products, "products")
        self._drawn_out = False
        self._lock = asyncio.Lock()
        self._outcomes: asyncio.Queue[ProductOutcome | None] = asyncio.Queue()
        # One that is finished keeps its place until it is taken: a slow caller slows the drawing.
        self._space = asyncio.Semaphore(in_flight)
        self._working = in_flight
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self._doubts: list[Work] = []
        self._elsewhere: deque[Work] = deque()
        self._in_doubt = in_doubt

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._work(), name=f"piktid batch {number}")
            for number in range(self._working)
        ]
        for task in self._tasks:
            task.add_done_callback(self._worked)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def outcomes(self) -> AsyncIterator[ProductOutcome]:
        """Yield what ends; then, once more looked for, what is in doubt; then raise."""
        while (outcome := await self._outcomes.get()) is not None:
            yield outcome
            self._space.release()
        if self._doubts and self._failure is None:
            await self._run.settling.look()
        for work in self._doubts:
            outcome = await work.try_again()
            yield outcome
        if self._failure is not None:
            raise self._failure

    async def _work(self) -> None:
        try:
            while (product := await self._draw()) is not None:
                self._hand_over(await self._bring(product))
            # Those that other programs had in hand; a program that has died has them no more.
            while self._elsewhere:
                work = self._elsewhere.popleft()
                await self._space.acquire()
                self._hand_over(self._sorted(work, await work.take_over()))
                if work.elsewhere:
                    await asyncio.sleep(LOOK_AGAIN)
        except Exception as error:
            self._drawn_out = True
            self._elsewhere.clear()
            if self._failure is None or not isinstance(error, OF_THE_ACCOUNT):
                self._failure = error

    def _hand_over(self, outcome: ProductOutcome | None) -> None:
        if outcome is not None:
            self._outcomes.put_nowait(outcome)
        else:
            self._space.release()

    def _worked(self, _: asyncio.Task[None]) -> None:
        self._working -= 1
        if self._working == 0:
            self._outcomes.put_nowait(None)

    async def _draw(self) -> Product | BadProduct | None:
        await self._space.acquire()
        async with self._lock:
            product = None if self._drawn_out else await anext(self._drawing, None)
            self._drawn_out = self._drawn_out or product is None
        if product is None:
            self._space.release()  # so that those who wait for a place hear of the end
            return None
        if not isinstance(product, Product | BadProduct):
            raise InvalidRequestError("products", f"must be products, not {product!r}")
        return product

    async def _bring(self, product: Product | BadProduct) -> ProductOutcome | None:
        if isinstance(product, BadProduct):
            where = f" ({product.line})" if product.line else ""
            error = InvalidRequestError("product", f"{product.reason}{where}")
            return ProductOutcome(product=product, error=error)
        work = Work(self._run, product)
        return self._sorted(work, await work.bring())

    def _sorted(self, work: Work, outcome: ProductOutcome | None) -> ProductOutcome | None:
        """Keep in mind what has no outcome yet."""
        if work.elsewhere:
            self._elsewhere.append(work)
            return outcome
        if outcome is None:
            self._doubts.append(work)
        if outcome is None or outcome.state is State.IN_DOUBT:
            self._in_doubt[work.product.key] = work.product
        return outcome
