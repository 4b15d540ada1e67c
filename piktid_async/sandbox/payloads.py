"""What jobs and their outputs look like in answers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.orders import Upload
from piktid_async.sandbox.state import Job, Output, iso
from piktid_async.sandbox.storage import Storage


def original_filename(output: Output) -> str | None:
    """Name the input that an output belongs to; the first of several, none of a bare prompt."""
    return output.shot.sources[0].filename if output.shot.sources else None


def download_name(output: Output) -> str:
    """Name the file that an output is saved under."""
    stem = PurePath(original_filename(output) or "image").stem
    place = f"{output.image_index}_{output.group_index}_v{output.version}"
    return f"{stem}_{place}.{output.shot.format}"


def status_body(job: Job) -> JsonObject:
    """Describe a job as `GET /jobs/{id}/status` does."""
    total, processed = len(job.outputs), job.processed
    return {
        "job_id": job.job_id,
        "job_type": job.request.kind,
        "status": job.status,
        "progress": round(100.0 * processed / total, 2),
        "total_images": total,
        "processed_images": processed,
        "should_post_process": job.request.post_process,
        "post_processing_status": job.post_processing_status,
        "post_processing_error": job.post_processing_error,
        "error_message": job.error_message,
        "created_at": iso(job.created),
        "updated_at": iso(job.updated),
        **_identity(job),
        **_project(job, "project_text"),
        "processing_options": dict(job.request.options),
    }


def results_body(job: Job, storage: Storage) -> JsonObject:
    """Describe a job as `GET /jobs/{id}/results` does: only what has begun is listed.

    Of a conversation and of images that are made again, also what waits.
    """
    outputs = job.outputs
    listed = [
        output
        for output in outputs
        if output.status != "pending" or output.version or job.conversation
    ]
    ended = job.processed
    body = {
        **status_body(job),
        "results": [image_result(job, output, storage) for output in listed],
        "summary": {
            "total_images": len(outputs),
            "successful": job.successful,
            "failed": job.failed,
            "average_quality_score": 1.0 if job.successful else None,
            "success_rate": round(100.0 * job.successful / ended, 2) if ended else 0.0,
        },
        "credits_used": job.credits_used,
    }
    return body | _supplied(job, storage) if job.conversation else body


def gallery_body(job: Job, storage: Storage, *, images: Iterable[Output]) -> JsonObject:
    """Describe a job as `GET /gallery/by-job` does, with those of its images that are shown."""
    outputs = job.outputs
    return {
        "job_id": job.job_id,
        "job_type": job.request.kind,
        "job_status": job.status,
        **_identity(job),
        **_project(job, "project_name"),
        "created_at": iso(job.created),
        "updated_at": iso(job.updated),
        "created_by": "sandbox",
        "total_images": len(outputs),
        "completed_images": job.successful,
        "failed_images": job.failed,
        "images": [image_result(job, output, storage) for output in images],
    }


def image_result(job: Job, output: Output, storage: Storage) -> JsonObject:
    """Describe one output: the union of what the editions of the reference show."""
    made = output.status == "completed"
    return {
        "id": output.number,
        "job_id": job.job_id,
        "image_index": output.image_index,
        "group_index": output.group_index,
        "version": output.version,
        "original_filename": original_filename(output),
        "download_filename": download_name(output) if made else None,
        "inputs": [_input(source, storage) for source in output.shot.sources],
        "output": {
            "full_size": _link(output.full_key, storage),
            "thumbnail": _link(output.thumbnail_key, storage),
            "uuid": output.uuid if made else None,
        },
        "input_description": {},
        "model_used": output.model_used,
        "detail_needs_review": False,
        "detail_review_reason": None,
        "status": output.status,
        "quality_score": 1.0 if made else None,
        "processing_time": output.processing_time,
        "error_message": output.error_message,
        "feedback": None,
        "feedback_comment": None,
        "created_at": iso(output.created),
    }


def _link(key: str | None, storage: Storage) -> str | None:
    return storage.download_url(key) if key is not None else None


def _input(upload: Upload, storage: Storage) -> JsonObject:
    return {
        "full_size": storage.download_url(upload.object_key),
        "thumbnail": None,
        "uuid": upload.file_id,
    }


def _identity(job: Job) -> JsonObject:
    cast = job.request.cast[0] if job.request.cast else None
    return {"identity_code": cast and cast.code, "identity_name": cast and cast.name}


def _project(job: Job, name: str) -> JsonObject:
    # A job answer calls the number `project_id` and the string `project_key`; what it calls the
    # name differs. A conversation has no project.
    project = job.request.project
    return {
        "project_id": project and project.number,
        name: project and project.name,
        "project_key": project and project.key,
    }


def _supplied(job: Job, storage: Storage) -> JsonObject:
    # The guide names the two lists and not what is in them; these shapes are invented.
    return {
        "edit_chat_attachments": [
            {**_input(each, storage), "filename": each.filename} for each in job.attachments
        ],
        "edit_chat_identities": [
            {"identity_code": each.code, "name": each.name} for each in job.cast
        ],
    }
