"""Create Packshot: a ghost mannequin three times, and a flat lay on linen.

After https://docs.piktid.com/docs/v2/create-packshot
"""

from plain import collect, make_project, start, upload

project = make_project("coats")
pictures = [
    upload(project["project_name"], f"pictures/coat-{view}.jpg")["file_id"]
    for view in ("front", "back")
]
worn = {
    "style": "ghost_mannequin",
    "background": "light grey",
    "framing": "tall_3_4",
    "angle": "three_quarter",
    "shadow": "contact",
    "num_variations": 3,
    "options": {"size": "2K", "ar": "3:4", "format": "jpg"},
}
laid = {
    "style": "flat_lay",
    "surface": "linen",
    "shadow": "natural",
    "options": {"size": "2K", "ar": "1:1", "format": "jpg"},
}
job_id = start(
    "/create-packshot",
    project_id=project["project_id"],
    images=pictures,
    instructions=[worn, laid],
    post_process=False,
    options={"model": "auto", "use_anchor": False},
)
collect(job_id)
