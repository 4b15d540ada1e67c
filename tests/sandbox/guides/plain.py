"""What the programs beside this file share: plain `requests`, one call after the other."""

import json
import os
import sys
import time

import requests

API = os.environ["PIKTID_BASE_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['PIKTID_API_TOKEN']}"}


def call(method, path, **how):
    answer = requests.request(method, API + path, headers=HEADERS, timeout=60, **how)
    answer.raise_for_status()
    return answer.json()


def make_project(name):
    return call("POST", "/project", json={"project_name": name})


def upload(project_name, path):
    """Ask for a pre-signed URL, and put the file there as the type that the answer names."""
    wish = {"project_name": project_name, "filename": os.path.basename(path)}
    ticket = call("POST", "/upload", json=wish)
    with open(path, "rb") as picture:
        typed = {"Content-Type": ticket["content_type"]}
        requests.put(ticket["upload_url"], headers=typed, data=picture.read(), timeout=60)
    print("uploaded", ticket["file_id"])
    return ticket


def start(path, **order):
    ticket = call("POST", path, json=order)
    print("started", ticket["job_id"], ticket.get("total_outputs"), ticket.get("status"))
    return ticket["job_id"]


def notifications():
    """Read the account's event stream line by line; what is no data line is skipped."""
    url = API + "/notifications/events"
    with requests.get(url, headers=HEADERS, stream=True, timeout=600) as stream:
        stream.raise_for_status()
        for line in stream.iter_lines(decode_unicode=True):
            if line and line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def notifications_of(job_id):
    for note in notifications():
        told = note.get("data", {})
        if (told.get("id_task") or told.get("job_id")) == job_id:
            print("notification", note["name"])
            yield note, told


def wait_on_stream(job_id):
    for note, told in notifications_of(job_id):
        if note["name"] == "batch_edit" and told.get("status") in ("completed", "failed"):
            if told["status"] == "failed":
                raise RuntimeError(told.get("error_message", "no reason"))
            print("completed by the stream")
            return note
    raise RuntimeError("the stream has ended before the job")


def wait_by_polling(job_id):
    while True:
        status = show_status(job_id)
        if status["status"] in ("completed", "failed"):
            return
        time.sleep(0.01)


def wait(job_id):
    how = {"stream": wait_on_stream, "polling": wait_by_polling}
    how[sys.argv[1]](job_id)


def show_status(job_id):
    status = call("GET", f"/jobs/{job_id}/status")
    done, total = status["processed_images"], status["total_images"]
    print("status", status["status"], f"{status['progress']}%", f"{done}/{total}")
    return status


def show_results(job_id):
    results = call("GET", f"/jobs/{job_id}/results")
    if results["status"] == "failed":
        print("failed:", results["error_message"])
        return
    for row in results["results"]:
        place = f"{row['image_index']}.{row['group_index']}"
        if row["status"] == "failed":
            print("failed", place, row["error_message"])
        elif row["status"] == "completed":
            print("picture", place, row.get("model_used"), row["output"]["full_size"])


def save_zip(job_id):
    """The link of a ZIP needs no token: it holds one."""
    link = call("POST", "/download", json={"job_id": job_id})
    print("zip", link["download_url"], link["expires"])
    with open("results.zip", "wb") as file:
        file.write(requests.get(link["download_url"], timeout=60).content)


def collect(job_id):
    wait(job_id)
    show_results(job_id)
    save_zip(job_id)
    show_status(job_id)
