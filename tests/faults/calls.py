"""The calls that stand for each row of the matrix, with a good answer for each."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs

from piktid_async import (
    CreateIdentity,
    CreatePackshot,
    FlatToModel,
    GarmentRecolor,
    ImagePlayground,
    JobRequest,
    ModelSwap,
    PackshotInstruction,
    Session,
    StreamSource,
)
from piktid_async.models.jobs import Output
from piktid_async.protocol import endpoints, messages
from piktid_async.results import save_output
from piktid_async.vtryon import Recolor
from piktid_async.vtryon.models import ColorChange
from tests.transport.servers import PNG

WIRE = Path(__file__).parents[1] / "wire"
BLUE = Recolor(pose_image_generation_id=936, color_changes=[ColorChange("blouse", "royal blue")])

LAST_PAGE = {"pagination": {"has_next": False}, "next": None}

Call = Callable[[Any, str], Awaitable[Any]]
"""Takes the session, and the URL of the server that the endpoint is on."""


@attrs.frozen
class Case:
    """One call: its row, its endpoint, a good answer, and how it is made."""

    row: str
    name: str
    method: str
    path: str
    good: Any
    call: Call
    others: Callable[[str], dict[tuple[str, str], Any]] = lambda _: {}
    """Good answers of what it asks besides, given where the endpoint is."""
    apart: bool = False
    """Whether the endpoint is on a server of its own, not on the API's."""
    vtryon: bool = False

    def __str__(self) -> str:
        return self.name


def sample(row: str, name: str, call: Callable[[Any], Awaitable[Any]], **options: Any) -> Case:
    """Return a case whose endpoint and good answer are those of a sample of the wire."""
    content = json.loads((WIRE / f"{name}.json").read_text())
    sent, answer = content["request"], content["response"]
    body = answer.get("json")
    if isinstance(body, dict):  # the samples of lists are first pages of many
        body.update((key, end) for key, end in LAST_PAGE.items() if key in body)
    good = (answer["status"], b"" if body is None else body)
    return Case(
        row, name, sent["method"], sent["path"], good, lambda session, _: call(session), **options
    )


async def listed(rows: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in rows]


def execute(make: Callable[[], messages.Call[Any]]) -> Callable[[Session], Awaitable[Any]]:
    return lambda session: session._runtime.connect().caller.execute(make())


def ticket(where: str) -> dict[tuple[str, str], Any]:
    """Return the answer of `POST /upload`."""
    named = {"file_id": "img_1", "filename": "a.png", "content_type": "image/png"}
    return {("POST", "/upload"): {"upload_url": f"{where}/bytes?X-Sig=1", **named}}


async def chunks() -> AsyncIterator[bytes]:
    yield PNG


async def fetch(session: Session, where: str) -> Path:
    output = Output(
        job_id="j", image_index=0, group_index=0, status="completed", url=f"{where}/file?X-Sig=1"
    )
    with tempfile.TemporaryDirectory() as folder:
        saved = await save_output(session._runtime, output, Path(folder) / "a.png")
        assert saved.read_bytes() == PNG
        return saved


JOBS: dict[str, JobRequest] = {
    "garment_recolor": GarmentRecolor(project="p", images=["a"], reference_text="navy"),
    "create_packshot": CreatePackshot(
        project="p", images=["a"], instructions=[PackshotInstruction(style="flat_lay")]
    ),
    "flat_to_model": FlatToModel(project="p", images=["a"], identity="abc1234567xy"),
    "model_swap": ModelSwap(project="p", images=["a"], identity="abc1234567xy"),
    "image_playground": ImagePlayground(prompt="a red coat"),
    "identity_create": CreateIdentity(instructions=[{"prompt": "a person"}]),
}


def job(name: str, request: JobRequest) -> Case:
    return sample("submitting a job", name, lambda session: session.submit(request))


READ = "reading and listing"
CHANGE = "changing and replacing"
ENSURE = "`projects.ensure`, `identities.ensure`"
DELETE = "acknowledging, deleting a Vtryon task"
LINK = "asking for an upload or download link"
OTHER = "what else makes, deletes or costs"

CASES: list[Case] = [
    sample(READ, "job_status", execute(lambda: endpoints.job_status("job_abc123..."))),
    sample(READ, "job_results", execute(lambda: endpoints.job_results("job_abc123..."))),
    sample(READ, "projects", lambda session: listed(session.projects.list())),
    sample(READ, "identity_get", lambda session: session.identities.get("string")),
    sample(READ, "vtryon_poll", lambda session: session.task(501).fetch_status(), vtryon=True),
    sample(READ, "vtryon_list", lambda session: listed(session.tasks()), vtryon=True),
    sample(CHANGE, "preset_update", lambda session: session.presets.update("string", name="n")),
    sample(CHANGE, "identity_pov", lambda session: session.identities.upload_pov("string", PNG, 0)),
    sample(DELETE, "acknowledge", execute(lambda: endpoints.acknowledge(12345))),
    sample(DELETE, "vtryon_delete", lambda session: session.delete(501), vtryon=True),
    sample(
        ENSURE,
        "project_created",
        lambda session: session.projects.ensure("spring"),
        others=lambda _: {
            ("GET", "/project"): {"projects": [{"project_key": "k", "project_text": "spring"}]}
        },
    ),
    sample(
        ENSURE,
        "identity_upload",
        lambda session: session.identities.ensure(PNG, "Ann"),
        others=lambda _: {
            ("GET", "/identity"): {"identities": [{"identity_code": "abc", "name": "Ann"}]}
        },
    ),
    sample(LINK, "download", execute(lambda: endpoints.request_zip("job_123"))),
    Case(
        LINK, "upload", "POST", "/upload", None, lambda session, _: session.upload(PNG),
        others=lambda where: {("PUT", "/bytes"): b"", **ticket(where)},
    ),
    Case(
        "putting the bytes of a file", "put", "PUT", "/bytes", b"",
        lambda session, _: session.upload(PNG), ticket, apart=True,
    ),
    Case(
        "putting bytes that can be read once", "put_once", "PUT", "/bytes", b"",
        lambda session, _: session.upload(StreamSource(chunks(), len(PNG), "a.png")), ticket,
        apart=True,
    ),
    Case(
        "fetching a result", "fetch", "GET", "/file", PNG, fetch,
        lambda _: {("GET", "/other"): PNG, ("GET", "/x"): PNG}, apart=True,
    ),
    *(job(name, request) for name, request in JOBS.items()),
    sample(
        "a Vtryon recolor", "vtryon_create", lambda session: session.recolor(BLUE), vtryon=True
    ),
    sample("`identities.promote`", "identity_promote", lambda s: s.identities.promote(0)),
    Case(
        "regenerating an image", "regenerate", "POST", "/jobs/j/regenerate/0", {},
        lambda session, _: execute(lambda: endpoints.regenerate("j", 0, 0))(session),
    ),
    sample(OTHER, "preset_create", lambda s: s.presets.create("string", "flat_2_model", {})),
    sample(OTHER, "preset_from_text", lambda s: s.presets.extract_from_text("string")),
    sample(OTHER, "preset_delete", lambda s: s.presets.delete_many(["string"])),
    sample(OTHER, "assets_delete", lambda s: s.assets.delete_many(["string"])),
    sample(OTHER, "token_create", lambda s: s.tokens.create("1d")),
    sample(OTHER, "webhooks_register", lambda s: s.webhooks.register("https://example.com/hook")),
]  # fmt: skip
