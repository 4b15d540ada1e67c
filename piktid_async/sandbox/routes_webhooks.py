"""Registering the account's webhook."""

from __future__ import annotations

import attrs
from aiohttp import web
from yarl import URL

from piktid_async.sandbox.answers import invalid, json_answer, json_object, problem
from piktid_async.sandbox.state import iso
from piktid_async.sandbox.webhooks import WebhookSender


@attrs.frozen
class WebhookRoutes:
    """`/webhooks`."""

    webhooks: WebhookSender

    def table(self) -> list[web.RouteDef]:
        """List the routes."""
        return [web.put("/webhooks", self.register)]

    async def register(self, request: web.Request) -> web.Response:
        """Create the webhook, or replace it; either way with a new secret."""
        hook = self.webhooks.register(_url((await json_object(request)).get("url")))
        answer = {
            "id": hook.number,
            "url": str(hook.url),
            "secret": hook.secret,
            "is_active": True,
            "created_at": iso(hook.created),
            "updated_at": iso(hook.updated),
            "last_response_status": hook.last_response_status,
            "last_response_at": hook.last_response and iso(hook.last_response),
        }
        await self.webhooks.pinged()
        return json_answer(answer)


def _url(value: object) -> URL:
    if value is None:
        raise invalid(problem("url", "Missing data for required field."))
    try:
        url = URL(value) if isinstance(value, str) else URL()
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise invalid(problem("url", "Not a valid URL."))
    return url
