"""The front door: one object for the recolor tasks of a Vtryon account."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import NoReturn, Self

from piktid_async.errors import ConfigurationError
from piktid_async.logs import Listener, listener, set_up
from piktid_async.models.events import OnEvent
from piktid_async.transport.base import Transport
from piktid_async.transport.settings import (
    checked_base_url,
    checked_proxy,
    count,
    positive,
)
from piktid_async.transport.tokens import Tokens, fits_a_header
from piktid_async.transport.watched import watched
from piktid_async.types import Secret
from piktid_async.vtryon import deleting, endpoints
from piktid_async.vtryon.images import PersonImages, TryOnImages
from piktid_async.vtryon.models import Recolor, TaskResult, checked_id
from piktid_async.vtryon.service import DOWNLOADS, Service
from piktid_async.vtryon.submissions import listed, submit
from piktid_async.vtryon.tasks import UNREAD, Task, task_of

KEY_VARIABLE = "VTRYON_API_KEY"
BASE_URL_VARIABLE = "VTRYON_BASE_URL"


class VtryonSession:
    """A Vtryon account: recolor, wait, list, delete.

    It can be built anywhere, also outside a running loop, and used in one `asyncio.run` after
    another; connections are made on first need, in the loop they are needed in. Use it with
    `async with`, or call `close()`. Nothing is sent when it is built.

    - `api_key`: absent: `VTRYON_API_KEY`. Only ever sent to `base_url`.
    - `base_url`: absent: `VTRYON_BASE_URL`. There is no default: no page names the API's host.
    - `timeout`: seconds for one API call, and without a byte for one download.
    - `max_retries`: repeats of what is safe to repeat; a recolor is only repeated when it
      certainly never left.
    - `poll_interval`: seconds between two status reads of one task, a quarter more or less. The
      service asks for 3 to 5.
    - `proxy`: URL of an HTTP proxy. The environment's proxies are not used.
    - `on_event`: as for `piktid_async.Session`; here it is told of requests and downloads.

    Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 60.0,
        max_retries: int = 3,
        poll_interval: float = 4.0,
        proxy: str | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        given = Secret(api_key) if isinstance(api_key, str) else api_key
        del api_key  # error trackers send the variables of a frame along
        set_up()
        self._base_url = _base_url(base_url)
        retries = count("max_retries", max_retries, at_least=0)
        tell = listener(on_event)
        self._service = Service(
            _network(
                self._base_url,
                _key(given),
                positive("timeout", timeout),
                checked_proxy(proxy),
                tell,
            ),
            max_retries=retries,
            poll_interval=positive("poll_interval", poll_interval),
            tell=tell,
        )
        self.person_images: PersonImages = PersonImages(self._service, endpoints.PERSON_IMAGES)
        """`upload`, `list`, `delete`."""
        self.garment_images: TryOnImages = TryOnImages(self._service, endpoints.GARMENT_IMAGES)
        """`upload`, `list`."""

    def __repr__(self) -> str:
        if not hasattr(self, "_service"):
            return "<VtryonSession>"  # shown by a traceback with variables: it was not to be built
        return f"<VtryonSession {self._base_url}{' closed' if self._service.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a VtryonSession is neither copied nor pickled: its connections are its own; "
            "make another"
        )

    async def __aenter__(self) -> Self:
        self._service.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._service.leave()

    async def close(self) -> None:
        """Close every connection; tasks go on at the service and can be picked up by their id.

        Who still waits for a task gets `SessionClosedError`. Closing twice does nothing.
        """
        await self._service.aclose()

    async def recolor(self, request: Recolor) -> Task:
        """Make a recolor task and return it at once.

        Sent again only when it certainly never left; a refusal with 429 is raised, since no
        limit is documented that could be waited for. Otherwise raises `SubmissionUnknownError`.
        Its `reconcile()` lists the account's tasks: `None` when this session knows them all, so
        that none is new; otherwise it raises again and names the strangers, because the list
        does not tell which request made a task. To tell old from new, list the tasks before.
        Cancelling while it is under way leaves open whether the task exists.
        https://vtryon.legresca.ai/guide/api-integration/recolor
        """
        return await submit(self._service, request)

    def task(self, task_id: int) -> Task:
        """Pick up a task made elsewhere or before; sends nothing by itself.

        A task that does not exist shows as `NotFoundError` when it is awaited.
        """
        told = TaskResult(id=checked_id("task_id", task_id), status=UNREAD)
        return task_of(self._service, told, due=self._service.clock())

    async def tasks(self, *, page_size: int | None = None) -> AsyncIterator[Task]:
        """Yield the account's tasks, each once, in the service's order; one request per page.

        `page_size`: absent: as the service likes.
        """
        size = None if page_size is None else count("page_size", page_size, at_least=1)
        async for told in listed(self._service, page_size=size):
            yield task_of(self._service, told, due=self._service.clock())

    async def delete(self, task: Task | int) -> None:
        """Delete a task for good; one request.

        Raises `NotFoundError` if there was none. Who waits for it gets that, too.
        """
        task_id = task.id if isinstance(task, Task) else checked_id("task_id", task)
        await deleting.delete(self._service, endpoints.delete(task_id))


def _key(given: object) -> Secret:
    key = Secret(os.environ.get(KEY_VARIABLE, "")) if given is None else given
    if isinstance(key, Secret) and not key.reveal():
        raise ConfigurationError(f"no key: pass VtryonSession(api_key=...) or set {KEY_VARIABLE}")
    if not isinstance(key, Secret) or not fits_a_header(key.reveal()):
        raise ConfigurationError("api_key holds characters that no key has (line end? space?)")
    return key


def _base_url(given: str | None) -> str:
    url = given or os.environ.get(BASE_URL_VARIABLE)
    if not url:
        raise ConfigurationError(
            "no host: Vtryon's pages do not name that of its API; pass "
            f"VtryonSession(base_url=...) or set {BASE_URL_VARIABLE}"
        )
    return checked_base_url(url, "https://host.of.the.api")


def _network(
    base_url: str, key: Secret, timeout: float, proxy: str | None, tell: Listener | None
) -> Callable[[], Transport]:
    # As in `piktid_async.session`: aiohttp waits for the first session.
    from piktid_async.transport._aiohttp import AiohttpTransport, NetworkConfig

    network = NetworkConfig(
        base_url=base_url,
        timeout=timeout,
        upload_concurrency=1,
        download_concurrency=DOWNLOADS,
        proxy=proxy,
        credentials=lambda key: {"x-api-key": key.reveal()},
    )
    return lambda: watched(AiohttpTransport(network, Tokens(key)), tell, base_url)
