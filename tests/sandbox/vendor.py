"""What the programs of the guides are made of: synchronous calls, one after the other.

`urllib` stands in the place of `requests`; everything else is as the guides write it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
import urllib.request
from urllib.parse import urlsplit


def post(api_url, access_token, path, body):
    request = urllib.request.Request(
        api_url + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + access_token, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def get(api_url, access_token, path):
    request = urllib.request.Request(
        api_url + path, headers={"Authorization": "Bearer " + access_token}
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def put(upload_url, content_type, data):
    parts = urlsplit(upload_url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.request(
        "PUT", f"{parts.path}?{parts.query}", body=data, headers={"Content-Type": content_type}
    )
    status = connection.getresponse().status
    connection.close()
    return status


def upload(api_url, access_token, project_name, filename, data=b"pixels"):
    response = post(
        api_url, access_token, "/upload", {"project_name": project_name, "filename": filename}
    )
    assert put(response["upload_url"], response["content_type"], data) in (200, 201)
    return response["file_id"]


def notifications(api_url, access_token):
    """Yield what the guides' loop over the lines of the stream finds."""
    request = urllib.request.Request(
        api_url + "/notifications/events", headers={"Authorization": "Bearer " + access_token}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        for raw in response:
            raw_line = raw.decode().rstrip("\n")
            if not raw_line or raw_line.startswith(":"):
                continue
            if not raw_line.startswith("data: "):
                continue
            yield json.loads(raw_line[6:])


def wait_for_batch(api_url, access_token, job_id):
    """Follow a batch job to its end, as all batch guides do."""
    for notification in notifications(api_url, access_token):
        data = notification.get("data", {})
        task_id = data.get("id_task") or data.get("job_id")
        if task_id != job_id:
            continue
        if notification["name"] == "batch_edit":
            status = data.get("status")
            if status == "completed":
                break
            if status == "failed":
                raise RuntimeError(data.get("error_message", "Job failed"))


async def run(program, *args):
    """Run a program in a thread of its own, and pass on what it raises."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def target() -> None:
        loop = ended.get_loop()
        try:
            program(*args)
        except BaseException as error:  # handed over to the test
            loop.call_soon_threadsafe(ended.set_exception, error)
        else:
            loop.call_soon_threadsafe(ended.set_result, None)

    thread = threading.Thread(target=target)
    thread.start()
    async with asyncio.timeout(20):
        await ended
    thread.join()
