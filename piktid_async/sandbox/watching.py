"""What the sandbox's page shows: how everything stands, as JSON. No token and no signed query."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeVar

import attrs
from yarl import URL

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.faults import AFTER, BEFORE, Faults
from piktid_async.sandbox.notifications import Notification, NotificationBoard
from piktid_async.sandbox.state import Account, Job, Output
from piktid_async.sandbox.storage import Storage
from piktid_async.sandbox.stream import Streams
from piktid_async.sandbox.webhooks import WebhookSender

T = TypeVar("T")

MOST_JOBS = 30
MOST_OUTPUTS = 48
"""Of one job."""
MOST_LISTED = 40
"""Projects, and uploads."""
MOST_REMEMBERED = 300
"""Notifications of which it is told what became of them."""

FAULT_GROUPS: dict[str, tuple[str, ...]] = {
    "Any request": BEFORE + AFTER,
    "Event stream": (
        "stream_refuse",
        "stream_hangs_up",
        "stream_cut",
        "stream_cut_after_events",
        "stream_cut_mid_event",
        "stream_cut_in_character",
        "stream_silent",
        "stream_garbage",
        "stream_bad_json",
        "stream_unknown_event",
        "stream_enormous_event",
        "stream_duplicate",
        "stream_reorder",
    ),
    "Notifications": ("drop_events", "events_deleted", "backlog_expired", "acks_fail"),
    "Uploads and links": (
        "upload_url_expired",
        "upload_url_skewed",
        "download_url_expired",
        "download_url_skewed",
        "storage_errors",
        "download_errors",
        "upload_reset",
        "upload_stall",
    ),
    "Jobs": (
        "submit_lost",
        "submit_delay",
        "status_404",
        "status_404_for",
        "images_fail",
        "images_stuck",
        "stuck_seconds",
        "content_refused",
        "post_processing_fails",
        "identities_fail",
    ),
    "Webhook": ("webhook_duplicate", "webhook_reorder"),
    "Vtryon": ("vtryon_create_lost", "vtryon_delete_lost", "vtryon_poll_errors"),
}
"""What the page offers to switch."""


@attrs.frozen(kw_only=True)
class Watch:
    """Reads everything, and changes nothing."""

    account: Account
    board: NotificationBoard
    storage: Storage
    streams: Streams
    webhooks: WebhookSender
    faults: Faults

    def standing(self) -> JsonObject:
        """Tell how everything stands; of what is many, the newest."""
        account = self.account
        owners = [job.request.project for job in account.jobs.values()]
        jobs_in = Counter(project.key for project in owners if project is not None)
        return {
            "credits": {"left": account.credits_left, "charged": account.credits_charged},
            "counts": {
                "projects": len(account.projects),
                "uploads": len(account.uploads),
                "jobs": len(account.jobs),
                "active": len(account.active_jobs()),
                "streams": self.streams.open,
                "acknowledged": len(self.board.acknowledged),
            },
            "projects": [
                {"key": each.key, "name": each.name, "jobs": jobs_in[each.key]}
                for each in _newest(account.projects.values(), MOST_LISTED)
            ],
            "uploads": [
                {
                    "file_id": each.file_id,
                    "filename": each.filename,
                    "arrived": self.storage.spool.find(each.object_key) is not None,
                }
                for each in _newest(account.uploads.values(), MOST_LISTED)
            ],
            "jobs": [_job(job) for job in _newest(account.jobs.values(), MOST_JOBS)],
            "webhook": self._webhook(),
            "acknowledged": self.board.acknowledged[-MOST_REMEMBERED:],
            "gone": {str(key): why for key, why in _newest(self.board.gone.items(), 100)},
            "faults": {"options": self.faults.options(), "counts": dict(self.faults.counts)},
        }

    def _webhook(self) -> JsonObject | None:
        hook = self.webhooks.hook
        if hook is None:
            return None
        return {
            "url": _bare(hook.url),
            "last_response_status": hook.last_response_status,
            "delivered": len(self.webhooks.delivered),
            "given_up": len(self.webhooks.given_up),
            "last_delivered": self.webhooks.delivered[-MOST_REMEMBERED:],
            "last_given_up": self.webhooks.given_up[-MOST_REMEMBERED:],
        }


def told(note: Notification) -> JsonObject:
    """Return a notification without what is signed."""
    body: JsonObject = _unsigned(note.body())
    return body


def _unsigned(value: Any) -> Any:
    match value:
        case dict():
            return {key: _unsigned(each) for key, each in value.items()}
        case list():
            return [_unsigned(each) for each in value]
        case str() if value.startswith(("http://", "https://")):
            return value.partition("?")[0]
    return value


def _bare(url: URL) -> str:
    return str(url.with_user(None).with_query(None).with_fragment(None))


def _newest(found: Iterable[T], most: int) -> list[T]:
    return list(itertools.islice(reversed(list(found)), most))


def _job(job: Job) -> JsonObject:
    project = job.request.project
    return {
        "job_id": job.job_id,
        "kind": job.request.kind,
        "project": project.name if project is not None else None,
        "status": job.status,
        "error": job.error_message,
        "created": job.created,
        "credits": job.credits_used,
        "total": len(job.outputs),
        "processed": job.processed,
        "failed": job.failed,
        "outputs": [_output(output) for output in job.outputs[:MOST_OUTPUTS]],
    }


def _output(output: Output) -> JsonObject:
    return {
        "number": output.number,
        "place": f"{output.image_index}_{output.group_index}_v{output.version}",
        "status": output.status,
        "error": output.error_message,
        "engine": output.model_used,
        "seconds": output.processing_time,
        "made": output.thumbnail_key is not None,
        "sources": [
            {"file_id": each.file_id, "filename": each.filename} for each in output.shot.sources
        ],
    }
