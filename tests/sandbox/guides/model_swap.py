"""Model swap: another person in the same photo.

After https://docs.piktid.com/docs/v2/model-swap/create_model_swap_job__post
"""

from plain import collect, make_project, start, upload

project = make_project("swaps")
look = upload(project["project_name"], "pictures/look.jpg")["file_id"]
job_id = start(
    "/model-swap",
    identity_code="default-pro-00000002",
    project_id=project["project_id"],
    images=[look],
    post_process=True,
)
collect(job_id)
