"""Garment Recolor: three views of a shirt, a swatch, two variations of each.

After https://docs.piktid.com/docs/v2/garment-recolor
"""

from plain import collect, make_project, start, upload

project = make_project("shirts")
names = [f"pictures/shirt-{view}.jpg" for view in ("front", "back", "side", "swatch")]
tickets = [upload(project["project_name"], name) for name in names]
assert all(ticket["project_id"] == project["project_id"] for ticket in tickets)
*views, swatch = [ticket["file_id"] for ticket in tickets]
job_id = start(
    "/garment-recolor",
    project_id=project["project_id"],
    images=views,
    garment_label="shirt",
    reference_image=swatch,
    num_variations=2,
    model="auto",
    processing_size=2048,
    post_process=True,
    use_anchor=True,
)
collect(job_id)
