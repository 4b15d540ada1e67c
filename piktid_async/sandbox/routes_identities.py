"""`/identity`."""

from __future__ import annotations

import attrs
from aiohttp import web

from piktid_async.sandbox import connections
from piktid_async.sandbox.answers import (
    JsonObject,
    invalid,
    json_answer,
    json_object,
    problem,
    refuse,
)
from piktid_async.sandbox.checks.fields import Fields
from piktid_async.sandbox.checks.identity import check_creation
from piktid_async.sandbox.faults import Faults
from piktid_async.sandbox.forms import picture_form
from piktid_async.sandbox.identities import CREATION, PROMOTION_CREDITS, Identity, IdentityBook
from piktid_async.sandbox.jobs import JobRunner
from piktid_async.sandbox.paging import paged, query_choice
from piktid_async.sandbox.state import Account, Job, KnownIdentity, Output, iso
from piktid_async.sandbox.storage import Storage, upload_key
from piktid_async.sandbox.submitting import Desk

GENDERS = ("male", "female", "non-binary")
_LONGEST_NAME = 255


@attrs.frozen(kw_only=True)
class IdentityRoutes:
    """Identities: upload, list, describe, generate, promote."""

    account: Account
    storage: Storage
    book: IdentityBook
    runner: JobRunner
    desk: Desk
    faults: Faults
    max_upload_bytes: int | None

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [
            web.post("/identity/upload", self.upload),
            web.post("/identity/create", self.create),
            web.post("/identity/promote-generated", self.promote),
            web.get("/identity", self.list),
            web.get("/identity/{code}", self.get),
            web.get("/identity/{code}/status", self.status),
            web.patch("/identity/{code}/metadata", self.describe),
            web.post("/identity/{code}/pov", self.pov),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Make an identity of a picture."""
        form = await picture_form(request, most=self.max_upload_bytes)
        fields = Fields(dict(form.fields))
        name, tag = fields.text("name"), fields.text("tag")
        if name is not None and len(name) > _LONGEST_NAME:
            fields.wrong("name", f"Length must be between 1 and {_LONGEST_NAME}.")
        fields.raise_problems()
        if name is not None and (taken := self.book.named(name)) is not None:
            raise refuse(409, "Identity already exists", existing_identity_code=taken.code)
        self.book.check_slots()
        identity = self.book.add(
            name=name, tag=tag, picture_key="", original_filename=form.filename
        )
        identity.picture_key = upload_key(identity.code, form.filename or "identity")
        try:
            await self.storage.spool.put(
                identity.picture_key, form.picture, content_type=form.content_type
            )
        finally:
            # Also for a client that has hung up meanwhile: the identity is there.
            self.book.prepare(identity, price=0.0)
        if self.faults.take("submit_lost"):
            return connections.reset(request)
        told = {"success": True, "face_detected": True, "face_metadata": {"faces": 1}}
        return json_answer(self._shown(identity) | told, status=201)

    async def list(self, request: web.Request) -> web.Response:
        """List identities, the platform's own before the account's."""
        ownership = query_choice(request, "ownership", ("mine", "shared", "default"))
        sort_by = query_choice(request, "sort_by", ("created_at", "name")) or "created_at"
        search = request.query.get("search", "").lower()
        found = [
            each
            for each in self.account.identities.values()
            if search in each.name.lower() and ownership in (None, _owner(each))
        ]
        if sort_by == "name":
            found.sort(key=lambda each: each.name)
        page, pagination = paged(request, found)
        rows = [self._shown(each) | {"locked": False, "tier": _tier(each)} for each in page]
        return json_answer({"identities": rows, "pagination": pagination})

    async def get(self, request: web.Request) -> web.Response:
        """Describe one."""
        return json_answer(self._shown(self._known(request)))

    async def status(self, request: web.Request) -> web.Response:
        """Tell how far the preparation is."""
        identity = self._known(request)
        status, error = (
            (identity.status, identity.error_message)
            if isinstance(identity, Identity)
            else ("completed", None)
        )
        return json_answer({"preprocessing_status": status, "error_message": error})

    async def describe(self, request: web.Request) -> web.Response:
        """Change tag, gender and age."""
        identity = self.book.find(request.match_info["code"])
        fields = Fields(await json_object(request))
        tag, gender = fields.text("tag"), fields.choice("gender", GENDERS)
        age = fields.whole("age")
        if age is not None and age < 0:
            fields.wrong("age", "Must not be negative.")
        fields.raise_problems()
        identity.tag = identity.tag if tag is None else tag
        identity.gender = identity.gender if gender is None else gender
        identity.age = identity.age if age is None else age
        return json_answer(
            {
                "success": True,
                "message": "Identity metadata updated",
                "name": identity.name,
                "image_description": _description(identity),
            }
        )

    async def pov(self, request: web.Request) -> web.Response:
        """Put a picture in the place of one point of view."""
        identity = self.book.find(request.match_info["code"])
        form = await picture_form(request, most=self.max_upload_bytes)
        text = form.fields.get("pov_index", "")
        if not (text.isascii() and text.isdigit()):
            raise invalid(problem("pov_index", "Not a valid integer."))
        index = int(text)
        key = upload_key(f"{identity.code}-pov-{index}", form.filename or "pov")
        await self.storage.spool.put(key, form.picture, content_type=form.content_type)
        identity.povs[index] = key
        image = {
            "original_filename": form.filename,
            "link": self.storage.download_url(key),
            "thumbnail_link": None,
        }
        return json_answer(
            {"success": True, "pov_index": index, "processed_images": [image], "processed_count": 1}
        )

    async def create(self, request: web.Request) -> web.Response:
        """Check a draft job, book it, start it."""
        body = await self.desk.read(request, "/identity/create")
        order = check_creation(body, self.desk.lookup, self.desk.plan.blocked_words)
        self.desk.admit(order, short_of_credits="Insufficient credits to create job")
        job = self.account.add_job(order)
        self.runner.start(job)
        answer: JsonObject = {
            "job_id": job.job_id,
            "status": "pending",
            "num_instructions": len(body["instructions"]),
            "total_variations": len(job.history),
            "message": "Identity creation job created",
        }
        return await self.desk.accept(request, job, answer)

    async def promote(self, request: web.Request) -> web.Response:
        """Make an identity of a draft."""
        fields = Fields(await self.desk.read(request, "/identity/promote-generated"))
        number, name = fields.whole("image_result_id"), fields.text("name")
        if number is None and not fields.problems:
            fields.wrong("image_result_id", "Missing data for required field.")
        fields.raise_problems()
        job, draft = self._draft(number)
        for identity in self.book.own():
            if identity.draft == draft.number:
                raise refuse(409, "Draft already promoted", identity_code=identity.code)
        self.book.check_slots()
        self.desk.check_credits(PROMOTION_CREDITS, short_of_credits="Insufficient credits")
        chosen = name or job.request.options["name"]
        promoted = self.book.add(
            name=chosen and self.book.free_name(chosen),
            tag=None,
            picture_key=draft.full_key or "",
            original_filename=None,
            draft=draft.number,
        )
        preparing = self.book.prepare(promoted, price=PROMOTION_CREDITS)
        if self.faults.take("submit_lost"):
            return connections.reset(request)
        return json_answer(
            {
                "identity_code": promoted.code,
                "preprocessing_job_id": preparing.job_id,
                "status": "pending",
                "message": "Identity created, preprocessing started",
            },
            status=201,
        )

    def _draft(self, number: int | None) -> tuple[Job, Output]:
        for job in self.account.jobs.values():
            for output in job.history if job.request.kind == CREATION else ():
                if output.number == number:
                    if output.status != "completed":
                        raise refuse(400, "The draft is not completed")
                    return job, output
        raise refuse(404, "Draft not found")

    def _known(self, request: web.Request) -> KnownIdentity:
        found = self.account.identities.get(request.match_info["code"])
        if found is None:
            raise refuse(404, "Identity not found")
        return found

    def _shown(self, identity: KnownIdentity) -> JsonObject:
        if not isinstance(identity, Identity):
            return {
                "identity_code": identity.code,
                "name": identity.name,
                "link": "https://cdn.piktid.invalid/default.jpg",
                "visibility": "shared",
                "groups": [],
                "created_by": "piktid",
                "image_description": None,
                "original_filename": None,
                "preprocessing_status": "completed",
                "created_at": iso(0.0),
                "updated_at": iso(0.0),
            }
        return {
            "identity_code": identity.code,
            "name": identity.name,
            "link": self.storage.download_url(identity.picture_key),
            "visibility": "private",
            "groups": [],
            "created_by": "sandbox",
            "image_description": _description(identity),
            "original_filename": identity.original_filename,
            "preprocessing_status": identity.status,
            "created_at": iso(identity.created),
            "updated_at": iso(identity.updated),
        }


def _owner(identity: KnownIdentity) -> str:
    return "mine" if isinstance(identity, Identity) else "default"


def _tier(identity: KnownIdentity) -> str | None:
    return None if isinstance(identity, Identity) else "pro"


def _description(identity: Identity) -> JsonObject | None:
    told = {"tag": identity.tag, "gender": identity.gender, "age": identity.age}
    return {name: value for name, value in told.items() if value is not None} or None
