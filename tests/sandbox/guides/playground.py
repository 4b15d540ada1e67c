"""Image playground: from words, with an identity, from a picture; then the last one is refined.

After https://docs.piktid.com/docs/v2/image-playground
"""

import time

from plain import call, notifications_of, show_results, start, upload


def wait_for_picture(job_id):
    for note, told in notifications_of(job_id):
        if note["name"] != "image_result":
            continue
        if told["status"] == "failed":
            raise RuntimeError(told.get("error_message", "no reason"))
        if told["status"] == "completed":
            print("ready", told["output_link"])
            return


bag = upload("image-playground", "pictures/bag.jpg")["file_id"]
job_id = start("/edit-chat", prompt="a tin of tea on a stone", size="2K", num_variations=1)
wait_for_picture(job_id)
worn = {"prompt": "somebody in a raincoat", "identity_codes": ["default-pro-00000001"]}
job_id = start("/edit-chat", size="2K", **worn)
wait_for_picture(job_id)
job_id = start("/edit-chat", prompt="the bag on a bench at night", image_ids=[bag], size="2K")
wait_for_picture(job_id)

call("POST", "/edit-chat", json={"prompt": "warmer light", "conversation_id": job_id})
while True:
    rows = call("GET", f"/jobs/{job_id}/results")["results"]
    if len(rows) == 2 and all(row["status"] in ("completed", "failed") for row in rows):
        break
    time.sleep(0.01)
show_results(job_id)
