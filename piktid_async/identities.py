"""Identities: upload, generate, promote, describe, and wait until they can be used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Self

from piktid_async.errors import (
    ConflictError,
    ConnectionFailedError,
    IdentityFailedError,
    IdentityLimitError,
    IdentityTimeoutError,
    InvalidRequestError,
    PiktidError,
    RateLimitError,
    ServerError,
)
from piktid_async.feeds import NotificationFeed
from piktid_async.forms import picture_form
from piktid_async.jobs import Job
from piktid_async.logs import about
from piktid_async.models.account import Order
from piktid_async.models.identities import (
    PROMOTION_CREDITS,
    READY,
    CreateIdentity,
    Gender,
    Identity,
    IdentityInstruction,
    IdentitySort,
    IdentityStatus,
    MetadataUpdate,
    PovUpload,
    Promotion,
)
from piktid_async.models.images import Source
from piktid_async.models.jobs import Output
from piktid_async.models.notifications import WireNotification
from piktid_async.models.rules import checked_seconds
from piktid_async.paging import choice, chosen, each, number, text
from piktid_async.protocol import endpoints
from piktid_async.protocol.dispatcher import Subscription
from piktid_async.protocol.doubt import certainly_not_taken
from piktid_async.protocol.endpoints.identities import PROMOTION_PATH
from piktid_async.protocol.messages import Call, Probe
from piktid_async.runtime import Runtime
from piktid_async.sources import describe
from piktid_async.submissions import submit
from piktid_async.types import Json, JsonObject

_log = logging.getLogger("piktid_async.identities")

PREPARED = "identity_preprocessing"
A_MOMENT = 0.25
"""Seconds that a notification may come behind the status that it tells of."""
OLDEST = 150


class Identities:
    """`session.identities`: the people that pictures are made of."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._own: dict[str, str | None] = {}
        """Codes of what this session made, with the preparing job where that is known."""

    async def upload(
        self, source: Source, name: str | None = None, tag: str | None = None
    ) -> Identity:
        """Make an identity of a picture of one person; one request, not repeated after a fault.

        Takes one of the account's slots. The identity can be used once it is prepared: see
        `wait`. Raises `ConflictError` when it exists, with its `identity_code`,
        `IdentityLimitError`, and `UploadError` when the source cannot be read.
        https://docs.piktid.com/docs/v2/identities/upload_identity__post
        """
        return await self._upload(source, name, tag, repeatedly=False)

    async def ensure(self, source: Source, name: str) -> Identity:
        """Return the identity of this picture or name, uploading it if there is none.

        One request if there is none, else two, as a rule. Safe to repeat, and to call from many
        programs at once. Which of picture and name the service goes by is not documented.
        """
        try:
            return await self._upload(source, text("name", name), None, repeatedly=True)
        except ConflictError as error:
            if error.identity_code is not None:
                return await self.get(error.identity_code)
            async for identity in self.list(search=name):
                if identity.name == name:
                    return identity
            raise

    async def get(self, identity: Identity | str) -> Identity:
        """Return an identity; one request. Raises `NotFoundError`.

        https://docs.piktid.com/docs/v2/identities/get_identity__get
        """
        call = endpoints.identity(code_of(identity))
        return await self._runtime.connect().caller.execute(call)

    def list(
        self,
        *,
        search: str | None = None,
        ownership: str | None = None,
        include_locked: bool | None = None,
        sort_by: IdentitySort = "created_at",
        order: Order = "desc",
    ) -> AsyncIterator[Identity]:
        """Yield the identities that can be used, newest first; one request per hundred.

        `search` is for a name; `ownership` is mine, shared or default, the platform's own.
        https://docs.piktid.com/docs/v2/identities/list_identities__get
        """
        filters = chosen(
            search=search,
            ownership=ownership,
            include_locked=include_locked,
            sort_by=choice("sort_by", sort_by, "created_at", "name"),
            order=choice("order", order, "asc", "desc"),
        )
        return each(
            self._runtime,
            lambda page: endpoints.list_identities(page, filters),
            endpoints.identity_of_row,
            lambda identity: identity.identity_code,
        )

    async def status(self, identity: Identity | str) -> IdentityStatus:
        """Return how far the preparation is; one request.

        No page describes this call; the vendor's own programs make it.
        """
        call = endpoints.identity_status(code_of(identity))
        return await self._runtime.connect().caller.execute(call)

    async def wait(
        self, identity: Identity | Promotion | str, timeout: float | None = None
    ) -> Identity:
        """Wait until an identity can be used, and return it.

        Costs a status request at the beginning, after each notification about it, and after
        silence, and one for the identity. Raises `IdentityFailedError`, `IdentityTimeoutError`
        after `timeout` seconds (the preparation goes on), `NotFoundError`. The notifications
        are deleted if this session made the identity and its `ack` is "handled".
        https://docs.piktid.com/docs/v2/create-identity ("Tracking preprocessing")
        """
        limit = asyncio.timeout(checked_seconds("timeout", timeout))
        code = code_of(identity)
        if isinstance(identity, Promotion):
            self._own.setdefault(code, identity.preprocessing_job_id)
        try:
            async with limit:
                status = await self._ended(code)
        except TimeoutError as error:
            # Others may raise it, too: a call that took too long, a token source.
            if isinstance(error, PiktidError) or not limit.expired():
                raise
            message = f"is not prepared within {timeout:g} s; it goes on and can be awaited again"
            raise IdentityTimeoutError(code, message) from None
        if status.preprocessing_status != READY:
            reason = status.error_message or "no reason given"
            raise IdentityFailedError(code, f"{status.preprocessing_status}: {reason}")
        return await self.get(code)

    async def update_metadata(
        self,
        identity: Identity | str,
        *,
        tag: str | None = None,
        gender: Gender | None = None,
        age: int | None = None,
    ) -> MetadataUpdate:
        """Change what is given; one request.

        https://docs.piktid.com/docs/v2/identities/update_identity_metadata__patch
        """
        changes: JsonObject = {}
        if tag is not None:
            changes["tag"] = text("tag", tag)
        if gender is not None:
            changes["gender"] = choice("gender", gender, "male", "female", "non-binary")
        if age is not None:
            changes["age"] = number("age", age, 0, OLDEST)
        if not changes:
            raise InvalidRequestError("tag", "nothing is to be changed: give tag, gender or age")
        call = endpoints.update_identity(code_of(identity), changes)
        return await self._runtime.connect().caller.execute(call)

    async def upload_pov(
        self, identity: Identity | str, source: Source, pov_index: int
    ) -> PovUpload:
        """Put a corrected picture in the place of one point of view; one request, free.

        It must show exactly one face; the service makes it 1024 x 1024. Repeated after faults
        if the source can be read again.
        https://docs.piktid.com/docs/v2/identities/upload_identity_pov__post
        """
        index = number("pov_index", pov_index, 0, 2**31 - 1)
        code, opened = code_of(identity), describe(source, None)
        form = picture_form(opened, {"pov_index": str(index)})
        connections = self._runtime.connect()
        async with connections.uploads:
            return await connections.caller.execute(
                endpoints.upload_pov(code, form, replayable=opened.repeatable)
            )

    async def create(
        self,
        instructions: Iterable[IdentityInstruction | Mapping[str, Json]],
        *,
        model: str = "auto",
        name: str | None = None,
    ) -> Job:
        """Have drafts of new people made; a paid job, submitted like any other.

        Its outputs are the drafts: look at them, then `promote` one. It costs an amount that no
        page names, so a session with `max_credits` refuses it. Sent again only when the server
        certainly did not take it. Raises what `session.submit` raises, and `BadRequestError`
        for a prompt that names a real person. The same as submitting a `CreateIdentity`.
        https://docs.piktid.com/docs/v2/identities/create_identity__post
        """
        request = CreateIdentity(instructions=instructions, model=model, name=name)
        return await submit(self._runtime, request)

    async def promote(self, draft: Output | int, name: str | None = None) -> Promotion:
        """Make an identity of a draft: 50 credits and one of the account's slots.

        `draft` is an output of the draft job's result, or its `image_result_id`. Waits for its
        turn under the account's limits; sent again only when the server certainly did not take
        it. After a `ConnectionFailedError` or `ServerError` it may have been done, and calling
        again tells: a draft that was promoted before raises `ConflictError`, with the
        `identity_code` where the service names it. `IdentityLimitError` is not waited for.
        https://docs.piktid.com/docs/v2/identities/promote_generated__post
        """
        call = endpoints.promote_draft(_draft_number(draft), name and text("name", name))
        runtime = self._runtime
        runtime.connect()
        runtime.budget.reserve(PROMOTION_CREDITS)
        attempt = _Promoting(runtime, call)
        try:
            promotion = await attempt.run()
        except BaseException:
            if not attempt.may_be_charged:
                runtime.budget.release(PROMOTION_CREDITS)
            raise
        self._own[promotion.identity_code] = promotion.preprocessing_job_id
        return promotion

    # Within

    async def _upload(
        self, source: Source, name: str | None, tag: str | None, *, repeatedly: bool
    ) -> Identity:
        fields = {
            field: text(field, value)
            for field, value in (("name", name), ("tag", tag))
            if value is not None
        }
        opened = describe(source, None)
        call = endpoints.upload_identity(
            picture_form(opened, fields), replayable=repeatedly and opened.repeatable
        )
        connections = self._runtime.connect()
        async with connections.uploads:
            identity = await connections.caller.execute(call)
        self._own[identity.identity_code] = None
        return identity

    async def _ended(self, code: str) -> IdentityStatus:
        """Wait for the end; notifications only say when to ask, for their fields are unknown."""
        checks = 0
        async with _Watch(self._runtime, code, self._own) as watch:
            while True:
                watch.heard()
                if (status := await self._asked(code)) is not None and status.ended:
                    watch.heard()
                    if code in self._own:
                        # Its last notification may come behind the status; nobody else deletes it.
                        await watch.news_within(A_MOMENT)
                        watch.heard()
                    return status
                pause = self._runtime.dispatcher.patience.after(checks)
                checks = 0 if await watch.news_within(pause) else checks + 1

    async def _asked(self, code: str) -> IdentityStatus | None:
        try:
            return await self.status(code)
        except (ConnectionFailedError, ServerError, RateLimitError) as error:
            fields = about(identity_code=code, error=type(error).__name__)
            _log.warning(
                "the status of identity %s could not be read: %s", code, error, extra=fields
            )
            return None


class _Promoting:
    """One promotion, from its place in the queue to its answer."""

    def __init__(self, runtime: Runtime, call: Call[Promotion]) -> None:
        self._runtime = runtime
        self._call = call
        self.may_be_charged = False
        """Whether it was charged for, or may have been without our knowing it."""

    async def run(self) -> Promotion:
        place = self._runtime.coordinator.place(PROMOTION_PATH, pooled=False)
        refused = False
        while True:
            async with self._runtime.connect().turn(place, refused=refused) as turn:
                try:
                    return await self._send()
                except IdentityLimitError:
                    raise
                except RateLimitError as error:
                    # Refused, so certainly not taken: wait, and queue again at the same place.
                    turn.refused(error)
                    refused = True

    async def _send(self) -> Promotion:
        probe = Probe()
        try:
            promotion = await self._runtime.connect().caller.execute(self._call.probed(probe))
        except ConflictError:
            # It was charged for by whoever promoted it.
            raise
        except PiktidError as error:
            self.may_be_charged = probe.sent and not certainly_not_taken(error)
            raise
        except BaseException:
            # A cancellation, or a token source that failed: it depends on when.
            self.may_be_charged = probe.sent
            raise
        self.may_be_charged = True
        return promotion


class _Watch(NotificationFeed):
    """Wakes a waiter at news of one identity; what concerns others goes back unhandled."""

    def __init__(self, runtime: Runtime, code: str, own: Mapping[str, str | None]) -> None:
        # Nobody else on the account needs the notifications of what this session made.
        subscription = Subscription(frozenset({PREPARED}), None, ack_foreign=code in own)
        super().__init__(runtime, subscription)
        self._code = code
        self._job_id = own.get(code)
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        runtime = self._runtime
        follower = runtime.connect().follow()
        runtime.feeds[self._subscription] = self
        runtime.dispatcher.subscribe(self._subscription)
        runtime.pump()
        try:
            # Without a stream, the status call alone has to do.
            await follower.ready()
        except BaseException:
            self._leave(crashed=True)
            raise
        return self

    def put(self, wire: WireNotification) -> bool:
        """Take in what is about this identity; what does not say whose it is only wakes."""
        code = wire.data.get("identity_code")
        mine = code == self._code or (self._job_id is not None and wire.job_id == self._job_id)
        if mine or not isinstance(code, str):
            self._news.set()
        if mine:
            return super().put(wire)
        self._runtime.dispatcher.passed(wire)
        return True

    def end(self, error: PiktidError | None) -> None:
        """Let the waiter look: a closed session shows at its next request."""
        del error
        self._news.set()

    def forget(self) -> None:
        """Drop those who wait in an event loop that is gone."""
        self._news = asyncio.Event()

    def heard(self) -> None:
        """Note that what has come so far is handled: a status is read, or was."""
        self._news.clear()
        while self._waiting:
            self._runtime.dispatcher.handled(self._subscription, self._waiting.popleft())
        if not self._runtime.closed:
            self._runtime.pump()

    async def news_within(self, pause: float) -> bool:
        """Wait for news; false when there was none."""
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            return False
        return True


def code_of(identity: Identity | Promotion | str) -> str:
    """Return the code of an identity, however it is given."""
    found: object = identity if isinstance(identity, str) else identity.identity_code
    return text("identity", found)


def _draft_number(draft: Output | int) -> int:
    found = draft.image_result_id if isinstance(draft, Output) else draft
    if type(found) is not int:
        raise InvalidRequestError(
            "draft",
            "takes an output of the draft job's result, or its image_result_id (events do not "
            f"tell it), not {draft!r}",
        )
    return found
