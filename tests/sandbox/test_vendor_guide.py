"""The program of the vendor's guide, as it stands there: synchronous, line by line.

https://docs.piktid.com/docs/v2/garment-recolor, with `urllib` in the place of `requests`.
"""

from __future__ import annotations

import io
import json
import urllib.request
import zipfile

from piktid_async.sandbox.rendering import PLAIN_JPEG
from tests.sandbox.vendor import get, post, put, run


def guide(api_url, access_token):
    response = post(api_url, access_token, "/project", {"project_name": "my-recolor-project"})
    project_id = response["project_id"]
    project_name = response["project_name"]

    file_ids = []
    for filename in ("tshirt-front.jpg", "tshirt-back.jpg"):
        response = post(
            api_url, access_token, "/upload", {"project_name": project_name, "filename": filename}
        )
        assert response["project_id"] == project_id
        assert put(response["upload_url"], response["content_type"], b"pixels") in (200, 201)
        file_ids.append(response["file_id"])

    response = post(
        api_url,
        access_token,
        "/garment-recolor",
        {
            "project_id": project_id,
            "images": file_ids,
            "garment_label": "t-shirt",
            "reference_text": "#2E5A3B",
            "num_variations": 2,
            "model": "auto",
            "processing_size": 2048,
            "post_process": True,
            "use_anchor": True,
        },
    )
    job_id = response["job_id"]
    assert response["total_outputs"] == 4

    request = urllib.request.Request(
        api_url + "/notifications/events", headers={"Authorization": "Bearer " + access_token}
    )
    seen = []
    with urllib.request.urlopen(request, timeout=10) as response:
        for raw in response:
            raw_line = raw.decode().rstrip("\n")
            if not raw_line or raw_line.startswith(":"):
                continue
            if not raw_line.startswith("data: "):
                continue
            notification = json.loads(raw_line[6:])
            data = notification.get("data", {})
            task_id = data.get("id_task") or data.get("job_id")
            if task_id != job_id:
                continue
            seen.append(notification["name"])
            if notification["name"] == "batch_edit":
                status = data.get("status")
                assert status != "failed"
                if status == "completed":
                    break
    assert seen.count("image_result") == 4

    response = get(api_url, access_token, f"/jobs/{job_id}/results")
    assert response["status"] == "completed"
    for result in response["results"]:
        assert result["status"] == "completed"
        with urllib.request.urlopen(result["output"]["full_size"]) as image:
            assert image.read() == PLAIN_JPEG

    response = get(api_url, access_token, f"/jobs/{job_id}/status")
    assert (response["processed_images"], response["total_images"]) == (4, 4)

    response = post(api_url, access_token, "/download", {"job_id": job_id})
    with urllib.request.urlopen(response["download_url"]) as zip_response:
        packed = zipfile.ZipFile(io.BytesIO(zip_response.read()))
    assert len(packed.namelist()) == 4


async def test_the_program_of_the_guide_runs_as_it_is_written(caller):
    await run(guide, caller.sandbox.url, caller.sandbox.token)
    assert caller.sandbox.books.authorization_seen_by_storage is False
