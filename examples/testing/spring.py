"""The program under test: recolors the photos of a folder, and says what became of each."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from piktid_async import GarmentRecolor, Session
from piktid_async.webhooks import unwrap


def photos_in(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))


async def recolor_folder(
    session: Session, folder: Path, colour: str, *, patience: float = 900
) -> dict[str, str]:
    """Recolor each photo into `folder/colour`; return what became of it, by its name."""
    photos = await asyncio.to_thread(photos_in, folder)
    project = await session.projects.ensure("spring")
    images = await session.upload_many(photos)
    request = GarmentRecolor(project=project, images=images, reference_text=colour)
    result = await session.run(request, timeout=patience)
    told = {photo.name: "failed" for photo in photos}
    for output in result.ok:
        name = photos[output.image_index].name
        await output.save(folder / colour / name)
        told[name] = "done"
    return told


async def main(folder: Path, colour: str) -> None:
    async with Session() as session:  # token and server from the environment
        for name, fate in (await recolor_folder(session, folder, colour)).items():
            print(name, fate)


def job_of_webhook(body: bytes, headers: Mapping[str, str], secret: str) -> str | None:
    """Return the job that a posted notification is about; raises `WebhookSignatureError`."""
    return unwrap(body, headers, secret).job_id
