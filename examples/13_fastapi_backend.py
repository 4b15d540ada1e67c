"""A backend that starts jobs and streams their progress to a browser: open it, pick a picture.

The picture goes through to the storage as it comes in; one session serves every request. Any
process of the backend can tell of any job: `session.job` picks it up by its id.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from piktid_async import GarmentRecolor, Job, PiktidError, Session, StreamSource

session = Session()  # connects on first need
app = FastAPI(on_shutdown=[session.close])


@app.get("/")
async def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("13_page.html"))


@app.post("/jobs")
async def start(request: Request, name: str, color: str) -> JSONResponse:
    size = int(request.headers.get("content-length", "0"))
    try:
        image = await session.upload(StreamSource(request.stream(), size, name))
        project = await session.projects.ensure("backend")
        wanted = GarmentRecolor(
            project=project, images=[image], reference_text=color, num_variations=2
        )
        job = await session.submit(wanted)
    except PiktidError as error:
        return JSONResponse({"error": error.summary}, 502 if error.retryable else 400)
    return JSONResponse({"job": job.id})


@app.get("/jobs/{job_id}/events")
async def events(job_id: str) -> StreamingResponse:
    job = session.job(job_id, kind=GarmentRecolor.kind)
    return StreamingResponse(told(job), media_type="text/event-stream")


async def told(job: Job) -> AsyncIterator[str]:
    """Server-sent events for the page: each picture as it is ready, then the end."""
    try:
        async for output in job.outputs():
            yield f"data: {json.dumps({'percent': job.progress.percent, 'url': output.url})}\n\n"
        status = (await job).status
        yield f"data: {json.dumps({'percent': job.progress.percent, 'status': status})}\n\n"
    except PiktidError as error:
        yield f"data: {json.dumps({'error': error.summary})}\n\n"


uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), log_level="warning")
