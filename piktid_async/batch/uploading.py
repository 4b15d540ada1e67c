"""Uploads of a batch: each content once, whoever asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from piktid_async.batch.images import Picture, extension
from piktid_async.batch.ledger import Store, Uploaded
from piktid_async.batch.products import safe_name
from piktid_async.models.images import UploadedFile
from piktid_async.session import Session


class Uploads:
    """The contents that the service has, and the way there."""

    def __init__(self, session: Session, store: Store, mark: str) -> None:
        self._session = session
        self._store = store
        self._mark = mark
        """Tells this batch's files from those of others, in their names."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def bring(self, key: str, pictures: Sequence[Picture]) -> list[UploadedFile]:
        """Return a product's images as the service knows them; what is missing is uploaded."""
        found = await self._store.uploaded({each.sha256 for each in pictures})
        missing = {
            each.sha256: (f"{safe_name(key)}-{self._mark}-{number}", each)
            for number, each in enumerate(pictures)
            if each.sha256 not in found
        }
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._bring(*each)) for each in missing.values()]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        found |= {task.result().sha256: task.result() for task in tasks}
        return [_file(found[each.sha256]) for each in pictures]

    async def there(self, hashes: Sequence[str]) -> list[UploadedFile]:
        """Return images that were brought before."""
        found = await self._store.uploaded(set(hashes))
        return [_file(found[each]) for each in hashes]

    async def _bring(self, stem: str, picture: Picture) -> Uploaded:
        async with self._locks.setdefault(picture.sha256, asyncio.Lock()):
            there = await self._store.uploaded([picture.sha256])
            if picture.sha256 in there:
                return there[picture.sha256]
            name = f"{stem}.{await asyncio.to_thread(extension, picture)}"
            file = await self._session.upload(picture.source, filename=name)
            upload = Uploaded(
                sha256=picture.sha256,
                file_id=file.file_id,
                filename=file.filename,
                content_type=file.content_type,
                size=picture.size,
            )
            await self._store.keep_upload(upload)
            return upload


def _file(upload: Uploaded) -> UploadedFile:
    return UploadedFile(
        file_id=upload.file_id, filename=upload.filename, content_type=upload.content_type
    )
