"""What jobs and their outputs look like in answers."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from piktid_async.sandbox.answers import JsonObject
from piktid_async.sandbox.state import Job, Output, iso
from piktid_async.sandbox.storage import Storage


def download_name(output: Output) -> str:
    """Name the file that an output is saved under."""
    stem = PurePath(output.source.filename).stem
    return f"{stem}_{output.image_index}_{output.group_index}_v0.jpg"


def status_body(job: Job) -> JsonObject:
    """Describe a job as `GET /jobs/{id}/status` does."""
    project = job.request.project
    total = len(job.outputs)
    return {
        "job_id": job.job_id,
        "job_type": "garment_recolor",
        "status": job.status,
        "progress": round(100.0 * job.processed / total, 2),
        "total_images": total,
        "processed_images": job.processed,
        "should_post_process": job.request.post_process,
        "post_processing_status": job.post_processing_status,
        "post_processing_error": None,
        "error_message": job.error_message,
        "created_at": iso(job.created),
        "updated_at": iso(job.updated),
        "identity_code": None,
        "identity_name": None,
        "project_id": project.number,
        "project_text": project.name,
        "project_key": project.key,
        "processing_options": _options(job),
    }


def results_body(job: Job, storage: Storage) -> JsonObject:
    """Describe a job as `GET /jobs/{id}/results` does: only what has begun is listed."""
    begun = [output for output in job.outputs if output.status != "pending"]
    ended = job.processed
    return {
        **status_body(job),
        "results": [image_result(job, output, storage) for output in begun],
        "summary": {
            "total_images": len(job.outputs),
            "successful": job.successful,
            "failed": job.failed,
            "average_quality_score": 1.0 if job.successful else None,
            "success_rate": round(100.0 * job.successful / ended, 2) if ended else 0.0,
        },
        "credits_used": job.credits_used,
    }


def gallery_body(job: Job, storage: Storage, *, max_images: int) -> JsonObject:
    """Describe a job as `GET /gallery/by-job` does: every output is listed."""
    project = job.request.project
    return {
        "job_id": job.job_id,
        "job_type": "garment_recolor",
        "job_status": job.status,
        "identity_code": None,
        "identity_name": None,
        "project_id": project.number,
        "project_name": project.name,
        "project_key": project.key,
        "created_at": iso(job.created),
        "updated_at": iso(job.updated),
        "created_by": "sandbox",
        "total_images": len(job.outputs),
        "completed_images": job.successful,
        "failed_images": job.failed,
        "images": [image_result(job, output, storage) for output in job.outputs[:max_images]],
    }


def image_result(job: Job, output: Output, storage: Storage) -> JsonObject:
    """Describe one output: the union of what the editions of the reference show."""
    made = output.status == "completed"
    return {
        "id": output.number,
        "job_id": job.job_id,
        "image_index": output.image_index,
        "group_index": output.group_index,
        "version": 0,
        "original_filename": output.source.filename,
        "download_filename": download_name(output) if made else None,
        "inputs": [
            {
                "full_size": storage.download_url(output.source.object_key),
                "thumbnail": None,
                "uuid": output.source.file_id,
            }
        ],
        "output": {
            "full_size": _link(output.full_key, storage),
            "thumbnail": _link(output.thumbnail_key, storage),
            "uuid": output.uuid if made else None,
        },
        "input_description": {},
        "model_used": _engine(job) if made else None,
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


def _engine(job: Job) -> str:
    # The guide: auto runs the default engine, Google's Nano Banana 2.
    return "nano_banana_2" if job.request.model == "auto" else job.request.model


def _options(job: Job) -> dict[str, Any]:
    request = job.request
    return {
        "garment_label": request.garment_label,
        "reference_image": request.reference_image and request.reference_image.file_id,
        "reference_text": request.reference_text,
        "instruction": request.instruction,
        "num_variations": request.num_variations,
        "processing_size": request.processing_size,
        "model": request.model,
        "use_anchor": request.use_anchor,
        "add_ai_watermark": request.add_ai_watermark,
    }
