"""Vtryon's Recolor API: create, poll, list, delete."""

import os
import time

import requests

API = os.environ["VTRYON_BASE_URL"]
TASKS = "/v2/models/multipose-tasks/"
RECOLORS = "/v4/models/multipose-image-recolor/"


def call(method, path, **how):
    headers = {"x-api-key": os.environ["VTRYON_API_KEY"]}
    return requests.request(method, API + path, headers=headers, timeout=60, **how).json()


changes = [{"target": "blouse", "color": "navy"}, {"target": "lehenga", "color": "navy"}]
order = {"pose_image_generation_id": 936, "color_changes": changes, "image_quality": "2k"}
task = call("POST", RECOLORS, json=order)
print("task", task["id"], task["status"])
while task["status"] not in ("completed", "failed"):
    time.sleep(0.01)
    task = call("GET", f"{TASKS}{task['id']}/")
print("result", task["result_url"])
listed = call("GET", RECOLORS, params={"page": 1, "page_size": 10})
print("listed", listed["count"], [each["id"] for each in listed["results"]])
print("deleted", call("DELETE", f"{TASKS}{task['id']}/")["detail"])
