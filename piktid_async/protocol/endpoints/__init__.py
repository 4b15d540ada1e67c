"""One function per endpoint: what to send, and what the answer means.

A file per family; their functions are also names of this package, loaded on first use: few programs
need every family, and its models.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from piktid_async.protocol.endpoints.account import (
        asset,
        asset_of_row,
        create_token,
        credit_usage,
        delete_assets,
        group_usage,
        list_assets,
        list_tokens,
        login,
        refresh,
        token_of_row,
    )
    from piktid_async.protocol.endpoints.anything import anything
    from piktid_async.protocol.endpoints.building import Page
    from piktid_async.protocol.endpoints.gallery import GalleryJob, gallery_job_of_row, gallery_jobs
    from piktid_async.protocol.endpoints.identities import (
        identity,
        identity_of_row,
        identity_status,
        list_identities,
        promote_draft,
        update_identity,
        upload_identity,
        upload_pov,
    )
    from piktid_async.protocol.endpoints.jobs import (
        ZipTicket,
        fail_stuck_images,
        job_results,
        job_status,
        job_versions,
        regenerate,
        request_bulk_zip,
        request_zip,
        stuck_image_of_row,
        stuck_images,
    )
    from piktid_async.protocol.endpoints.notifications import acknowledge, events, outstanding
    from piktid_async.protocol.endpoints.presets import (
        create_category,
        create_preset,
        delete_presets,
        duplicate_category,
        preset,
        preset_from_image,
        preset_from_text,
        update_category,
        update_preset,
    )
    from piktid_async.protocol.endpoints.projects import (
        create_project,
        list_projects,
        project_of_row,
    )
    from piktid_async.protocol.endpoints.submissions import submit
    from piktid_async.protocol.endpoints.summaries import (
        job_summary_of_row,
        list_job_summaries,
        list_project_summaries,
        project_summary_of_row,
    )
    from piktid_async.protocol.endpoints.uploads import UploadTicket, request_upload
    from piktid_async.protocol.endpoints.webhooks import register_webhook

__all__ = [
    "GalleryJob",
    "Page",
    "UploadTicket",
    "ZipTicket",
    "acknowledge",
    "anything",
    "asset",
    "asset_of_row",
    "create_category",
    "create_preset",
    "create_project",
    "create_token",
    "credit_usage",
    "delete_assets",
    "delete_presets",
    "duplicate_category",
    "events",
    "fail_stuck_images",
    "gallery_job_of_row",
    "gallery_jobs",
    "group_usage",
    "identity",
    "identity_of_row",
    "identity_status",
    "job_results",
    "job_status",
    "job_summary_of_row",
    "job_versions",
    "list_assets",
    "list_identities",
    "list_job_summaries",
    "list_project_summaries",
    "list_projects",
    "list_tokens",
    "login",
    "outstanding",
    "preset",
    "preset_from_image",
    "preset_from_text",
    "project_of_row",
    "project_summary_of_row",
    "promote_draft",
    "refresh",
    "regenerate",
    "register_webhook",
    "request_bulk_zip",
    "request_upload",
    "request_zip",
    "stuck_image_of_row",
    "stuck_images",
    "submit",
    "token_of_row",
    "update_category",
    "update_identity",
    "update_preset",
    "upload_identity",
    "upload_pov",
]

if not TYPE_CHECKING:  # checkers read the imports above
    _NAMES = {
        "account": (
            "asset asset_of_row create_token credit_usage delete_assets group_usage "
            "list_assets list_tokens login refresh token_of_row"
        ),
        "anything": "anything",
        "building": "Page",
        "gallery": "GalleryJob gallery_job_of_row gallery_jobs",
        "identities": (
            "identity identity_of_row identity_status list_identities promote_draft "
            "update_identity upload_identity upload_pov"
        ),
        "jobs": (
            "ZipTicket fail_stuck_images job_results job_status job_versions regenerate "
            "request_bulk_zip request_zip stuck_image_of_row stuck_images"
        ),
        "notifications": "acknowledge events outstanding",
        "presets": (
            "create_category create_preset delete_presets duplicate_category preset "
            "preset_from_image preset_from_text update_category update_preset"
        ),
        "projects": "create_project list_projects project_of_row",
        "submissions": "submit",
        "summaries": (
            "job_summary_of_row list_job_summaries list_project_summaries project_summary_of_row"
        ),
        "uploads": "UploadTicket request_upload",
        "webhooks": "register_webhook",
    }
    _HOMES = {name: family for family, names in _NAMES.items() for name in names.split()}

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = found
        return found
