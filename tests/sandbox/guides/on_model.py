"""Flat lay to model: an identity of one's own wears two garments; annotated when polled.

After https://docs.piktid.com/docs/v2/flat-lay
"""

import sys

from plain import call, collect, make_project, start, upload

with open("pictures/person.jpg", "rb") as picture:
    form = {"files": {"image": picture}, "data": {"name": "Ada"}}
    identity = call("POST", "/identity/upload", **form)["identity_code"]
print("identity", identity)

project = make_project("looks")
shirt, trousers = (
    upload(project["project_name"], f"pictures/{name}.jpg")["file_id"]
    for name in ("shirt", "trousers")
)
options = {"model": "auto"}
images = [shirt, trousers]
if sys.argv[1] == "polling":
    images[1] = {"file_id": trousers, "note": "wide, with a turn-up"}
    options["add_ai_watermark"] = True
standing = {
    "pose": "standing, facing the camera",
    "expression": "calm",
    "background": "white wall",
    "lighting": "soft",
    "camera": {"framing": "full body", "angle": "eye level"},
    "options": {"size": "2K", "ar": "9:16", "format": "jpg"},
}
walking = {
    "pose": "walking",
    "mood": "editorial",
    "background": "roof terrace in the evening",
    "lighting": "dramatic",
    "camera": {"framing": "three-quarter", "angle": "low angle"},
    "options": {"size": "2K", "ar": "3:4", "format": "png"},
}
job_id = start(
    "/flat-2-model",
    identity_code=identity,
    project_id=project["project_id"],
    images=images,
    instructions=[standing, walking],
    post_process=False,
    options=options,
)
collect(job_id)
