"""One function per endpoint: what to send, and what the answer means.

A file per family; their functions are also names of this package.
"""

from piktid_async.protocol.endpoints.anything import anything
from piktid_async.protocol.endpoints.building import Page
from piktid_async.protocol.endpoints.gallery import GalleryJob, gallery_job_of_row, gallery_jobs
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
from piktid_async.protocol.endpoints.notifications import acknowledge, events
from piktid_async.protocol.endpoints.projects import create_project, list_projects, project_of_row
from piktid_async.protocol.endpoints.submissions import submit
from piktid_async.protocol.endpoints.uploads import UploadTicket, request_upload

__all__ = [
    "GalleryJob",
    "Page",
    "UploadTicket",
    "ZipTicket",
    "acknowledge",
    "anything",
    "create_project",
    "events",
    "fail_stuck_images",
    "gallery_job_of_row",
    "gallery_jobs",
    "job_results",
    "job_status",
    "job_versions",
    "list_projects",
    "project_of_row",
    "regenerate",
    "request_bulk_zip",
    "request_upload",
    "request_zip",
    "stuck_image_of_row",
    "stuck_images",
    "submit",
]
