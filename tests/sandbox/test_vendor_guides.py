"""The programs of the other guides, as they stand there: synchronous, line by line.

https://docs.piktid.com/docs/v2/create-packshot, flat-lay, image-playground, and the reference
page of model swap.
"""

from __future__ import annotations

import io
import urllib.request
import zipfile

from tests.sandbox.vendor import get, notifications, post, run, upload, wait_for_batch


def download(url):
    with urllib.request.urlopen(url) as response:
        return response.read()


def packshot(api_url, access_token):
    response = post(api_url, access_token, "/project", {"project_name": "my-packshot-project"})
    project_id = response["project_id"]
    project_name = response["project_name"]
    file_ids = [
        upload(api_url, access_token, project_name, filename)
        for filename in ("blazer-front.jpg", "blazer-back.jpg")
    ]
    instructions = [
        {
            "style": "ghost_mannequin",
            "background": "white studio",
            "framing": "tall_3_4",
            "angle": "three_quarter",
            "shadow": "contact",
            "num_variations": 3,
            "options": {"size": "2K", "ar": "3:4", "format": "jpg"},
        },
        {
            "style": "flat_lay",
            "surface": "linen",
            "shadow": "natural",
            "options": {"size": "2K", "ar": "1:1", "format": "jpg"},
        },
    ]
    response = post(
        api_url,
        access_token,
        "/create-packshot",
        {
            "project_id": project_id,
            "images": file_ids,
            "instructions": instructions,
            "post_process": False,
            "options": {"model": "auto", "use_anchor": False},
        },
    )
    job_id = response["job_id"]
    assert response["total_outputs"] == 4
    wait_for_batch(api_url, access_token, job_id)

    response = get(api_url, access_token, f"/jobs/{job_id}/results")
    assert response["job_type"] == "create_packshot"
    assert [result["image_index"] for result in response["results"]] == [0, 0, 0, 1]
    for result in response["results"]:
        assert result["model_used"] == "nano_banana_pro"
        assert download(result["output"]["full_size"])

    response = get(api_url, access_token, f"/jobs/{job_id}/status")
    assert response["progress"] == 100.0
    assert response["should_post_process"] is False
    assert response["post_processing_status"] is None

    response = post(api_url, access_token, "/download", {"job_id": job_id})
    packed = zipfile.ZipFile(io.BytesIO(download(response["download_url"])))
    assert len(packed.namelist()) == 4


def flat_lay(api_url, access_token):
    response = post(api_url, access_token, "/project", {"project_name": "my-flat-lay-project"})
    project_id = response["project_id"]
    file_ids = [
        upload(api_url, access_token, "my-flat-lay-project", filename)
        for filename in ("sku-shirt.jpg", "sku-pants.jpg")
    ]
    instructions = [
        {
            "pose": "standing front-facing",
            "expression": "neutral",
            "background": "white studio",
            "lighting": "soft",
            "camera": {"framing": "full body", "angle": "eye level"},
            "options": {"size": "2K", "ar": "9:16", "format": "jpg"},
        },
        {
            "pose": "walking, mid-stride",
            "expression": "confident",
            "mood": "editorial",
            "background": "gym rooftop at golden hour",
            "lighting": "dramatic",
            "camera": {"framing": "three-quarter", "angle": "low angle"},
            "options": {"size": "2K", "ar": "3:4", "format": "png"},
        },
    ]
    response = post(
        api_url,
        access_token,
        "/flat-2-model",
        {
            "identity_code": "default-pro-00000001",
            "project_id": project_id,
            "images": [file_ids[0], {"file_id": file_ids[1], "note": "slim fit, cuffed at ankles"}],
            "instructions": instructions,
            "post_process": False,
            "options": {"model": "auto", "add_ai_watermark": True},
        },
    )
    job_id = response["job_id"]
    assert response["total_outputs"] == 2
    wait_for_batch(api_url, access_token, job_id)
    response = get(api_url, access_token, f"/jobs/{job_id}/results")
    for result in response["results"]:
        assert (result["status"], result.get("model_used")) == ("completed", "nano_banana_pro")
        assert download(result["output"]["full_size"])
    response = get(api_url, access_token, f"/jobs/{job_id}/status")
    assert (response["job_type"], response["status"]) == ("flat_2_model", "completed")


def model_swap(api_url, access_token):
    response = post(api_url, access_token, "/project", {"project_name": "my-swap-project"})
    file_id = upload(api_url, access_token, "my-swap-project", "look.jpg")
    response = post(
        api_url,
        access_token,
        "/model-swap",
        {
            "identity_code": "default-pro-00000002",
            "project_id": response["project_id"],
            "images": [file_id],
            "post_process": True,
        },
    )
    assert response["status"] == "pending"
    job_id = response["job_id"]
    wait_for_batch(api_url, access_token, job_id)
    (result,) = get(api_url, access_token, f"/jobs/{job_id}/results")["results"]
    assert (result["original_filename"], result["status"]) == ("look.jpg", "completed")
    response = get(api_url, access_token, f"/jobs/{job_id}/status")
    assert response["post_processing_status"] == "completed"


def image_ready(api_url, access_token, job_id):
    for notification in notifications(api_url, access_token):
        if notification["name"] != "image_result":
            continue
        data = notification.get("data", {})
        if data.get("id_task") != job_id:
            continue
        status = data.get("status")
        if status == "completed":
            return data["output_link"]
        if status == "failed":
            raise RuntimeError(data.get("error_message", "Generation failed"))
    raise RuntimeError("the stream has ended")


def image_playground(api_url, access_token):
    image_id = upload(api_url, access_token, "image-playground", "product.jpg")
    response = post(
        api_url,
        access_token,
        "/edit-chat",
        {
            "prompt": "Place this sneaker on a wet city street at night with neon reflections.",
            "image_ids": [image_id],
            "size": "2K",
        },
    )
    job_id = response["job_id"]
    assert response["conversation_id"] == job_id
    assert download(image_ready(api_url, access_token, job_id))

    response = post(
        api_url,
        access_token,
        "/edit-chat",
        {
            "prompt": "Warm the lighting and add a soft rim light on the left.",
            "conversation_id": job_id,
        },
    )
    assert response["job_id"] == job_id
    while True:
        response = get(api_url, access_token, f"/jobs/{job_id}/results")
        if all(result["status"] == "completed" for result in response["results"]):
            break
    assert response["job_type"] == "edit_chat"
    assert response["status"] == "completed"
    assert [
        (result["image_index"], result["group_index"], result["version"])
        for result in response["results"]
    ] == [(0, 0, 0), (1, 0, 0)]
    for result in response["results"]:
        assert download(result["output"]["full_size"])
    assert get(api_url, access_token, f"/jobs/{job_id}/status")["status"] == "completed"


async def test_the_packshot_guide_runs_as_it_is_written(caller):
    await run(packshot, caller.sandbox.url, caller.sandbox.token)


async def test_the_flat_lay_guide_runs_as_it_is_written(caller):
    await run(flat_lay, caller.sandbox.url, caller.sandbox.token)


async def test_a_model_swap_program_runs_in_the_manner_of_the_guides(caller):
    await run(model_swap, caller.sandbox.url, caller.sandbox.token)


async def test_the_image_playground_guide_runs_as_it_is_written(caller):
    """Its loop looks for a name in everything that it takes for a notification."""
    await run(image_playground, caller.sandbox.url, caller.sandbox.token)
