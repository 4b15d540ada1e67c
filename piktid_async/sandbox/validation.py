"""Checks the body of `POST /garment-recolor` against the guide.

https://docs.piktid.com/docs/v2/garment-recolor
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from piktid_async.sandbox.answers import JsonObject, invalid, problem, refuse
from piktid_async.sandbox.state import CREDITS_PER_OUTPUT, Account, RecolorRequest, Upload

MODELS = ("auto", "nano_banana_2", "nano_banana_pro", "seedream", "gpt_image")
MAX_IMAGES = 10
MAX_VARIATIONS = 8

Uploaded = Callable[[Upload], bool]


class _Fields:
    """Reads fields one by one and gathers what is wrong with them."""

    def __init__(self, body: JsonObject) -> None:
        self._body = body
        self.problems: list[JsonObject] = []

    def required_text(self, name: str) -> str:
        value = self._body.get(name)
        if isinstance(value, str) and value:
            return value
        missing = value is None or value == ""
        self._wrong(name, "Missing data for required field." if missing else "Not a valid string.")
        return ""

    def text(self, name: str) -> str | None:
        value = self._body.get(name)
        if value is not None and not isinstance(value, str):
            self._wrong(name, "Not a valid string.")
            return None
        return value or None

    def texts(self, name: str, *, most: int) -> list[str]:
        value = self._body.get(name)
        if value is None:
            self._wrong(name, "Missing data for required field.")
        elif not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(name, "Must be a list of strings.")
        elif not 1 <= len(value) <= most:
            self._wrong(name, f"Length must be between 1 and {most}.")
        else:
            return value
        return []

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(name, "Not a valid boolean.")
            return default
        return value

    def number(self, name: str, default: int, allowed: range | list[int]) -> int:
        value = self._body.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(name, "Not a valid integer.")
        elif value not in allowed:
            self._wrong(name, _rule(allowed))
        else:
            return value
        return default

    def _wrong(self, name: str, message: str) -> None:
        self.problems.append(problem(name, message))


def _rule(allowed: range | list[int]) -> str:
    if isinstance(allowed, range):
        return f"Must be between {allowed[0]} and {allowed[-1]}."
    return f"Must be one of: {', '.join(map(str, allowed))}."


def check_recolor(body: JsonObject, account: Account, uploaded: Uploaded) -> RecolorRequest:
    """Return the request, or raise the 400 or 404 that it deserves."""
    fields = _Fields(body)
    project_key = fields.required_text("project_id")
    file_ids = fields.texts("images", most=MAX_IMAGES)
    reference_id = fields.text("reference_image")
    checked: dict[str, Any] = {
        "garment_label": fields.text("garment_label"),
        "reference_text": fields.text("reference_text"),
        "instruction": fields.text("instruction"),
        "num_variations": fields.number("num_variations", 1, range(1, MAX_VARIATIONS + 1)),
        "processing_size": fields.number("processing_size", 2048, list(CREDITS_PER_OUTPUT)),
        "model": fields.text("model") or "auto",
        "post_process": fields.flag("post_process", default=True),
        "use_anchor": fields.flag("use_anchor", default=True),
        "add_ai_watermark": fields.flag("add_ai_watermark", default=False),
    }
    if fields.problems:
        raise invalid(*fields.problems)
    if not (reference_id or checked["reference_text"] or checked["instruction"]):
        raise refuse(400, "Provide at least one of reference_image, reference_text, or instruction")
    if checked["model"] not in MODELS:
        raise refuse(400, f"Unsupported model: {checked['model']}")
    project = account.projects.get(project_key)
    if project is None:
        raise refuse(404, "Project not found")

    def find(file_id: str, what: str) -> Upload:
        upload = account.uploads.get(file_id)
        if upload is None or not uploaded(upload):
            raise refuse(400, f"{what} not found or not uploaded: {file_id}")
        return upload

    return RecolorRequest(
        project=project,
        images=tuple(find(file_id, "Image") for file_id in file_ids),
        reference_image=find(reference_id, "Reference image") if reference_id else None,
        **checked,
    )
