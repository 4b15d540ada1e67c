"""The pictures that Vtryon's try-on takes: of people, and of garments.

No page that was available describes the try-on itself, so nothing here makes one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from piktid_async.forms import picture_form
from piktid_async.models.images import Source
from piktid_async.models.rules import checked_text
from piktid_async.sources import describe
from piktid_async.transport.settings import count
from piktid_async.vtryon import deleting, endpoints
from piktid_async.vtryon.models import TryOnImage, checked_id
from piktid_async.vtryon.paging import each
from piktid_async.vtryon.service import Service


class TryOnImages:
    """The pictures of one kind: `session.person_images`, `session.garment_images`."""

    def __init__(self, service: Service, path: str) -> None:
        self._service = service
        self._path = path

    async def upload(self, source: Source, name: str | None = None) -> TryOnImage:
        """Upload one picture: a path, bytes, a binary file object, or a `StreamSource`.

        One request, sent once: each makes an image. `name` is shown in lists, and found by them.
        Raises `UploadError` when the source cannot be read. The price is not documented.
        https://vtryon.legresca.ai/guide/api-integration/tryon
        """
        named = {} if name is None else {"image_name": checked_text("name", name)}
        form = picture_form(describe(source, None), named)
        call = endpoints.upload_image(self._path, form)
        return await self._service.connect().caller.execute(call)

    async def list(
        self, name: str | None = None, *, page_size: int | None = None
    ) -> AsyncIterator[TryOnImage]:
        """Yield the pictures, each once, in the service's order; one request per page.

        `name`: those with this `image_name`. `page_size`: absent: as the service likes.
        """
        size = None if page_size is None else count("page_size", page_size, at_least=1)
        wanted = None if name is None else checked_text("name", name)
        async for image in each(
            self._service,
            lambda page: endpoints.list_images(self._path, page, size, wanted),
        ):
            yield image


class PersonImages(TryOnImages):
    """`session.person_images`: people who try on."""

    async def delete(self, image: TryOnImage | int) -> None:
        """Delete a picture for good; one request. Raises `NotFoundError` if there was none."""
        number = image.id if isinstance(image, TryOnImage) else checked_id("image", image)
        await deleting.delete(self._service, endpoints.delete_person_image(number))
