"""The pictures of the try-on page: of people and of garments, uploaded, listed, deleted."""

from __future__ import annotations

from typing import Literal

import attrs
from aiohttp import web

from piktid_async.sandbox.answers import ApiError, json_answer
from piktid_async.sandbox.forms import picture_form
from piktid_async.sandbox.ledger import Ledger
from piktid_async.sandbox.vtryon.cdn import Cdn
from piktid_async.sandbox.vtryon.pages import detail, page

Kind = Literal["person", "garment"]

_MOST = 64 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Picture:
    """One that was uploaded."""

    number: int
    kind: Kind
    name: str
    url: str

    def body(self) -> dict[str, object]:
        """Describe it as the page does."""
        return {"id": self.number, "image_url": self.url}


@attrs.define(kw_only=True, eq=False)
class ImageRoutes:
    """`/v2/tryon/...-images/`."""

    cdn: Cdn
    ledger: Ledger
    pictures: dict[int, Picture] = attrs.field(factory=dict, init=False)
    last: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        """Have the pictures kept."""
        self.ledger.keep("vtryon pictures", lambda: (self.pictures, self.last), self._restore)

    def _restore(self, kept: tuple[dict[int, Picture], int]) -> None:
        self.pictures, self.last = kept

    def table(self) -> list[web.RouteDef]:
        """List the routes; how a garment's picture is deleted is not documented."""
        people, garments = "/v2/tryon/person-images/", "/v2/tryon/garment-images/"
        return [
            web.post(people, self.add_person),
            web.get(people, self.people),
            web.delete(people + r"{image_id:\d+}/", self.delete_person),
            web.post(garments, self.add_garment),
            web.get(garments, self.garments),
        ]

    async def add_person(self, request: web.Request) -> web.Response:
        """Take in a person's picture."""
        return await self._add(request, "person")

    async def add_garment(self, request: web.Request) -> web.Response:
        """Take in a garment's picture."""
        return await self._add(request, "garment")

    async def people(self, request: web.Request) -> web.Response:
        """List the pictures of people."""
        return self._list(request, "person")

    async def garments(self, request: web.Request) -> web.Response:
        """List the pictures of garments."""
        return self._list(request, "garment")

    async def delete_person(self, request: web.Request) -> web.Response:
        """Delete a person's picture."""
        found = self.pictures.get(int(request.match_info["image_id"]))
        if found is None or found.kind != "person":
            raise detail(404, "Not found.")
        del self.pictures[found.number]
        self.cdn.remove(found.url)
        return json_answer({"detail": "Deleted successfully"})

    async def _add(self, request: web.Request, kind: Kind) -> web.Response:
        try:
            form = await picture_form(request, most=_MOST)
        except ApiError as error:
            raise detail(error.status, "image: upload a valid image.") from None
        self.last += 1
        number = self.last
        link = await self.cdn.add(f"{kind}-{number}", form.picture, form.content_type)
        name = form.fields.get("image_name") or form.filename or "image"
        self.pictures[number] = Picture(number=number, kind=kind, name=name, url=link)
        return json_answer(self.pictures[number].body())

    def _list(self, request: web.Request, kind: Kind) -> web.Response:
        name = request.query.get("image_name", "")
        rows = [
            picture.body()
            for picture in reversed(self.pictures.values())
            if picture.kind == kind and name in picture.name
        ]
        return json_answer(page(request, rows))
