"""The front door: one object for uploads, jobs and notifications of an account."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from piktid_async import downloads, estimates, paging, submissions, uploads
from piktid_async import jobs as job_service
from piktid_async.coordination.base import Coordinator
from piktid_async.coordination.local import LocalCoordinator
from piktid_async.errors import (
    ConfigurationError,
    InvalidRequestError,
    PiktidError,
    SubmissionUnknownError,
    once_submitted,
)
from piktid_async.feeds import NotificationFeed, publish, subscription
from piktid_async.follow import StreamState
from piktid_async.jobs import Job
from piktid_async.logs import Listener, listener, set_up
from piktid_async.models.events import OnEvent
from piktid_async.models.images import Source, UploadedFile, UploadOutcome
from piktid_async.models.jobs import JobResult, StuckImage
from piktid_async.models.limits import AccountLimits, Estimate, LimitsReport, checked_limits
from piktid_async.models.notifications import NAMES, AckMode, Notification
from piktid_async.models.projects import Project
from piktid_async.models.requests import JobRequest
from piktid_async.models.rules import as_tuple, checked_index, checked_seconds
from piktid_async.models.settings import StreamSettings
from piktid_async.protocol import endpoints
from piktid_async.runtime import Config, Runtime
from piktid_async.submissions import SubmissionReceipt
from piktid_async.transport.base import Transport
from piktid_async.transport.settings import (
    checked_base_url,
    checked_proxy,
    count,
    positive,
)
from piktid_async.transport.tokens import BoundSource, Tokens, TokenSource, checked_token
from piktid_async.transport.watched import watched
from piktid_async.types import Json, Params, Secret
from piktid_async.uploads import OnProgress, Sources

if TYPE_CHECKING:
    from piktid_async.account import ApiTokens, Assets, Billing, Gallery
    from piktid_async.identities import Identities
    from piktid_async.presets import Presets
    from piktid_async.projects import Projects
    from piktid_async.webhooks import Webhooks

DEFAULT_BASE_URL = "https://v2.api.piktid.com"
"""https://docs.piktid.com/docs/v2/garment-recolor"""
TOKEN_VARIABLE = "PIKTID_API_TOKEN"
BASE_URL_VARIABLE = "PIKTID_BASE_URL"


class Session:
    """Everything of one account: upload, submit, follow, fetch.

    It can be built anywhere, also outside a running loop, and used in one `asyncio.run` after
    another; connections are made on first need, in the loop they are needed in. Use it with
    `async with`, or call `close()`. Blocks may be nested: the last one that is left closes it.
    Nothing is sent when it is built. It serves one running loop at a time, and after a fork the
    child makes connections of its own.

    - `token`: a text, or an async function that returns one and is asked again once after a 401,
      or a `piktid_async.login.PasswordLogin`; absent: `PIKTID_API_TOKEN`.
    - `base_url`: absent: `PIKTID_BASE_URL`, then the service.
    - `upload_concurrency`, `download_concurrency`: files at once, and connections.
    - `limits`: what the account allows; `AccountLimits.unlimited()` holds nothing back. Absent:
      what is documented, or what the coordinator was given.
    - `max_credits`: a submission whose estimate would pass it is refused before it is sent.
    - `ack`: when notifications are deleted at the service: "handled", "manual" or "never".
    - `stream`: False follows jobs by status calls, and by webhooks where a `WebhookReceiver` is
      fed; `StreamSettings` changes its times.
    - `timeout`: seconds for one API call, and without a byte for one upload or download.
    - `max_retries`: repeats of what is safe to repeat; a submission is only repeated when it
      certainly never left, or was refused with 429.
    - `coordinator`: shares the limits with others, as `PostgresCoordinator(url)` does; absent:
      this process alone.
    - `proxy`: URL of an HTTP proxy. The environment's proxies are not used.
    - `on_event`: a plain function that is told of every request, wait, reconnect, replay,
      acknowledgement, file and job, as records of `piktid_async.models.events`. It is called in
      the loop, so it must be quick; what it raises is logged once and disturbs nothing.

    The first session of a program reads `PIKTID_LOG`. Raises `ConfigurationError` for what cannot
    work.
    """

    def __init__(
        self,
        token: str | Callable[[], Awaitable[str]] | None = None,
        *,
        base_url: str | None = None,
        upload_concurrency: int = 8,
        download_concurrency: int = 8,
        limits: AccountLimits | None = None,
        max_credits: float | None = None,
        ack: AckMode = "handled",
        stream: bool | StreamSettings = True,
        timeout: float = 60.0,
        max_retries: int = 3,
        coordinator: Coordinator | None = None,
        proxy: str | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        source = Secret(token) if isinstance(token, str) else token
        del token  # error trackers send the variables of a frame along
        set_up()
        if ack not in ("handled", "manual", "never"):
            raise ConfigurationError(f"ack must be 'handled', 'manual' or 'never', not {ack!r}")
        if limits is not None:
            checked_limits(limits)
        if coordinator is not None and not hasattr(coordinator, "turn"):
            raise ConfigurationError(f"coordinator cannot hand out turns: {coordinator!r}")
        config = Config(
            base_url=checked_base_url(
                base_url or os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL, DEFAULT_BASE_URL
            ),
            timeout=positive("timeout", timeout),
            max_retries=count("max_retries", max_retries, at_least=0),
            upload_concurrency=count("upload_concurrency", upload_concurrency, at_least=1),
            download_concurrency=count("download_concurrency", download_concurrency, at_least=1),
            ack=ack,
            stream=_stream(stream),
            max_credits=max_credits,
        )
        found = _token(source)
        if isinstance(found, BoundSource):
            found.serve(config.base_url)
        tell = listener(on_event)
        network = _network(config, found, checked_proxy(proxy), tell)
        if coordinator is None:
            coordinator = LocalCoordinator(limits or AccountLimits(), time.monotonic)
        else:
            coordinator.bind(_account(config.base_url, found), limits)
        self._runtime = Runtime(config, coordinator, network, tell)

    # Each of the services is loaded on first use: few programs need them all.
    @cached_property
    def projects(self) -> Projects:
        """`create`, `ensure`, `list`."""
        from piktid_async import projects

        return projects.Projects(self._runtime)

    @cached_property
    def identities(self) -> Identities:
        """`upload`, `ensure`, `get`, `list`, `wait`, `create`, `promote`, and more."""
        from piktid_async import identities

        return identities.Identities(self._runtime)

    @cached_property
    def assets(self) -> Assets:
        """`list`, `get`, `delete_many`."""
        from piktid_async import account

        return account.Assets(self._runtime)

    @cached_property
    def gallery(self) -> Gallery:
        """`jobs`, `projects`."""
        from piktid_async import account

        return account.Gallery(self._runtime)

    @cached_property
    def billing(self) -> Billing:
        """`usage`, `group_usage`."""
        from piktid_async import account

        return account.Billing(self._runtime)

    @cached_property
    def presets(self) -> Presets:
        """`create`, `get`, `update`, `delete_many`, `extract_from_image`, and more."""
        from piktid_async import presets

        return presets.Presets(self._runtime)

    @cached_property
    def tokens(self) -> ApiTokens:
        """`create`, `list`."""
        from piktid_async import account

        return account.ApiTokens(self._runtime)

    @cached_property
    def webhooks(self) -> Webhooks:
        """`register`."""
        from piktid_async import webhooks

        return webhooks.Webhooks(self._runtime)

    def __repr__(self) -> str:
        if not hasattr(self, "_runtime"):
            return "<Session>"  # shown by a traceback with variables: it was not to be built
        return f"<Session {self._runtime.config.base_url} {self.stream_state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Session is neither copied nor pickled: its connections are its own; make another"
        )

    async def __aenter__(self) -> Self:
        self._runtime.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runtime.leave()

    async def close(self) -> None:
        """Close every connection; jobs go on at the service and can be picked up by their id.

        Pending acknowledgements are waited for, `StreamSettings.close_wait` seconds at most;
        those that do not make it are replayed to the next session. Who still waits for a job
        gets `SessionClosedError`. Closing twice does nothing.
        """
        await self._runtime.aclose()

    @property
    def stream_state(self) -> StreamState:
        """`idle`, `connecting`, `live`, `reconnecting` or `closed`."""
        return self._runtime.stream_state

    @property
    def limits(self) -> LimitsReport:
        """What stands in the queue of submissions now: what waits for what, and until when.

        Sends nothing. Of a coordinator that is shared, what this process knows.
        """
        return self._runtime.coordinator.report()

    def set_limits(self, limits: AccountLimits) -> None:
        """Keep other limits from now on; who waits goes as soon as they allow it."""
        self._runtime.coordinator.set_limits(checked_limits(limits))

    async def estimate(
        self, requests: Iterable[JobRequest] | AsyncIterable[JobRequest]
    ) -> Estimate:
        """Add up what requests would cost, in credits and in time; sends nothing.

        `float(estimate)` is its credits. The time is the least that the account's limits make
        the submissions take: by the rate of each endpoint and, once it is known how long jobs
        run, by the active jobs, too. Raises `InvalidRequestError` for what is no request.
        """
        return await estimates.estimate(self._runtime.coordinator.report(), requests)

    @property
    def in_doubt(self) -> tuple[SubmissionUnknownError, ...]:
        """Submissions that may have made a job which is not known, oldest first.

        Each can be asked to `reconcile()`, and is gone from here once its job is found. Also
        those whose `submit()` was cancelled, or was under way when its event loop ended: a
        cancellation can carry no error. Their credits count as spent under `max_credits`.
        """
        return tuple(doubt.error() for doubt in self._runtime.doubts if doubt.unanswered)

    async def upload(
        self,
        source: Source,
        *,
        filename: str | None = None,
        project: Project | str | None = None,
        on_progress: OnProgress | None = None,
    ) -> UploadedFile:
        """Upload one image: a path, bytes, a binary file object, or a `StreamSource`.

        Two requests, no credits. The service chooses the content type by the file's name. The
        name of a `project` is sent along, as older guides do; of an id nothing is, since files
        belong to no project. Raises `UploadError` when the source cannot be read (before
        anything is sent) or the storage refuses it. Repeated after faults if the source can be
        read again. Cancelling breaks the upload off.
        https://docs.piktid.com/docs/v2/upload/upload__post
        """
        return await uploads.upload(
            self._runtime, source, filename=filename, project=project, on_progress=on_progress
        )

    async def upload_many(
        self,
        sources: Sources,
        *,
        project: Project | str | None = None,
        on_progress: OnProgress | None = None,
    ) -> list[UploadedFile]:
        """Upload many images at once and return them in the order of the sources.

        All are tried. Raises `UploadGroupError` if any failed; its `.uploaded` has the others.
        """
        return await uploads.upload_many(
            self._runtime, sources, project=project, on_progress=on_progress
        )

    def upload_each(
        self,
        sources: Sources,
        *,
        project: Project | str | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncIterator[UploadOutcome]:
        """Upload any number of images and yield each outcome as it ends; none stops the others.

        Sources come from a sync or async iterable of any length and are drawn as places get
        free. Leaving the loop cancels what is under way.
        """
        return uploads.upload_each(self._runtime, sources, project=project, on_progress=on_progress)

    async def submit(
        self,
        request: JobRequest,
        *,
        wait_for_post_processing: bool = False,
        receipt: SubmissionReceipt | None = None,
    ) -> Job:
        """Submit a paid job and return it at once; costs `request.credits`.

        Waits for its turn under the account's limits, and for the event stream the first time.
        Sent again only when the server certainly did not take it; otherwise raises
        `SubmissionUnknownError`, whose `reconcile()` looks for the job. Raises
        `BudgetExceededError` before anything is sent, and the service's refusals as
        `BadRequestError`, `InsufficientCreditsError`, `PermissionDeniedError`, `NotFoundError`.
        Cancelling while it waits for its turn costs nothing; once it was sent, the job may exist:
        see `in_doubt`.
        `wait_for_post_processing` makes `await job` wait for the finishing pass, too. `receipt`
        is for journals: it hears of the submission right before it leaves.
        """
        return await submissions.submit(
            self._runtime,
            request,
            wait_for_post_processing=wait_for_post_processing,
            receipt=receipt,
        )

    async def run(
        self,
        request: JobRequest,
        timeout: float | None = None,
        *,
        wait_for_post_processing: bool = False,
    ) -> JobResult:
        """Submit a job and wait for its result; `timeout` seconds are for the wait alone.

        Raises what `submit` and `job.result` raise. None of it is `retryable` once the job was
        made: to call again would pay again, so its note names the job to pick up.
        """
        checked_seconds("timeout", timeout)
        job = await self.submit(request, wait_for_post_processing=wait_for_post_processing)
        try:
            return await job.result(timeout)
        except PiktidError as error:
            raise once_submitted(error, job.id).with_traceback(error.__traceback__) from None

    async def download_zip(self, jobs: Iterable[Job], path: str | PathLike[str]) -> Path:
        """Wait for the jobs, then save all their images as one ZIP, whole or not at all.

        One results request a job, and two requests for each hundred images: above that the
        parts are put together here, each job in a folder of its id. A conversation is packed
        whole, once, whichever of its generations are given: the service knows no less. Raises
        `DownloadError`, and what `job.result()` raises.
        https://docs.piktid.com/docs/v2/download/create_bulk_download_url__post
        """
        chosen = _jobs("jobs", jobs)
        results = await job_service.results_of(chosen)
        sizes: dict[str, int] = {}
        for job, result in zip(chosen, results, strict=True):
            sizes[job.id] = sizes.get(job.id, 0) + len(result.ok)
        return await downloads.save_zip_of_many(self._runtime, sizes.items(), path)

    def stuck_images(
        self, *, min_hours: float = 1.0, status: str | None = None
    ) -> AsyncIterator[StuckImage]:
        """Yield images that have been in the works for long; one request per hundred.

        https://docs.piktid.com/docs/v2/jobs/list_stuck_images__get
        """
        filters = paging.chosen(
            min_hours=checked_seconds("min_hours", min_hours, unit="hours"), status=status
        )
        return paging.each(
            self._runtime,
            lambda page: endpoints.stuck_images(page, filters),
            endpoints.stuck_image_of_row,
            lambda image: str(image.id),
        )

    async def fail_stuck_images(
        self, images: Iterable[StuckImage | int], error_message: str | None = None
    ) -> int:
        """Give up on images, so that their jobs can end; one request. Returns how many it were.

        https://docs.piktid.com/docs/v2/jobs/bulk_update_stuck_images__post
        """
        ids = [
            image.id if isinstance(image, StuckImage) else checked_index("images", image)
            for image in as_tuple("images", images)
        ]
        call = endpoints.fail_stuck_images(ids, error_message)
        return await self._runtime.connect().caller.execute(call)

    def job(
        self, job_id: str, *, kind: str | type[JobRequest], total_outputs: int | None = None
    ) -> Job:
        """Pick up a job made elsewhere or before; sends nothing by itself.

        `kind` is the service's `job_type`, or the request class. A conversation is picked up at
        its newest generation. A job that does not exist shows as `NotFoundError` when it is
        awaited, one of another kind as `InvalidRequestError`.
        """
        return job_service.pick_up(self._runtime, job_id, kind, total_outputs)

    def notifications(
        self,
        names: Iterable[str] | None = None,
        jobs: Iterable[Job | str] | None = None,
        *,
        ack_foreign: bool = False,
    ) -> NotificationFeed:
        """Open a feed of the account's notifications, to be used with `async with`.

        `names` and `jobs` filter it. Notifications of jobs that this session does not know
        belong to somebody else on the account: they are shown, and never deleted unless
        `ack_foreign` says so. All feeds and jobs share one connection.
        """
        chosen = subscription(names, _ids(jobs), ack_foreign=ack_foreign)
        return NotificationFeed(self._runtime, chosen)

    async def outstanding(
        self,
        names: Iterable[str] = NAMES,
        jobs: Iterable[Job | str] | None = None,
    ) -> AsyncIterator[Notification]:
        """Yield the account's notifications that nobody has deleted yet; one request.

        For a look now and then, without a stream: it changes nothing, neither the jobs nor what
        a feed will show. Delete one with `await note.ack()`. Those older than ten minutes are
        gone. https://docs.piktid.com/docs/v2/notifications/notifications__post
        """
        wanted = subscription(names, _ids(jobs), ack_foreign=False)
        call = endpoints.outstanding(
            sorted(wanted.names or ()), None if wanted.jobs is None else sorted(wanted.jobs)
        )
        for wire in await self._runtime.connect().caller.execute(call):
            yield publish(self._runtime, wire)

    async def request(
        self, method: str, path: str, *, json: Json = None, params: Params | None = None
    ) -> Json:
        """Call an endpoint that is not modelled, and return its parsed answer.

        Only GET is repeated after a fault. Raises `StatusError` and `ConnectionFailedError`.
        """
        call = endpoints.anything(method, path, json=json, params=params)
        return await self._runtime.connect().caller.execute(call)


def _ids(jobs: Iterable[Job | str] | None) -> list[str] | None:
    return None if jobs is None else [job.id if isinstance(job, Job) else job for job in jobs]


def _jobs(field: str, given: Iterable[Job]) -> list[Job]:
    jobs: tuple[object, ...] = as_tuple(field, given)
    chosen = [job for job in jobs if isinstance(job, Job)]
    if len(chosen) != len(jobs):
        raise InvalidRequestError(field, "takes jobs: pick one up with session.job(id, kind=...)")
    # In order, and each once.
    return list(dict.fromkeys(chosen))


def _token(given: Secret | Callable[[], Awaitable[str]] | None) -> TokenSource:
    if given is None:
        given = Secret(os.environ.get(TOKEN_VARIABLE, ""))
        if not given.reveal():
            raise ConfigurationError(
                f"no token: pass Session(token=...) or set {TOKEN_VARIABLE} "
                "(make one at https://app.on-model.com/profile?tab=tokens)"
            )
    if callable(given):
        return given
    return checked_token(given)


def _account(base_url: str, token: TokenSource) -> str | None:
    """Return what tells accounts apart, as a hash; None where the token is not known yet."""
    if not isinstance(token, Secret):
        return None
    return hashlib.sha256(f"{base_url}\n{token.reveal()}".encode()).hexdigest()


def _network(
    config: Config, token: TokenSource, proxy: str | None, tell: Listener | None
) -> Callable[[], Transport]:
    # aiohttp costs more to import than all the rest, so it waits for the first session. Not for
    # the first request: that would stall a running loop.
    from piktid_async.transport._aiohttp import AiohttpTransport, NetworkConfig

    network = NetworkConfig(
        base_url=config.base_url,
        timeout=config.timeout,
        upload_concurrency=config.upload_concurrency,
        download_concurrency=config.download_concurrency,
        proxy=proxy,
    )
    return lambda: watched(AiohttpTransport(network, Tokens(token)), tell, config.base_url)


def _stream(given: bool | StreamSettings) -> StreamSettings:
    if isinstance(given, StreamSettings):
        return given
    if not isinstance(given, bool):
        raise ConfigurationError(f"stream takes True, False or StreamSettings, not {given!r}")
    return StreamSettings(connect=given)
