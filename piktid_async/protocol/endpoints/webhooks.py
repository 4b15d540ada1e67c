"""`/webhooks`."""

from __future__ import annotations

from piktid_async.models.webhooks import WebhookRegistration
from piktid_async.protocol.endpoints.building import date_or_none, text_or_none
from piktid_async.protocol.messages import Call, Request, Response
from piktid_async.protocol.responses import read_object


def register_webhook(url: str) -> Call[WebhookRegistration]:
    """`PUT /webhooks`: creates the account's webhook, or replaces it; always a new secret.

    Not sent again on its own: if two were under way, the answer that came last could hold the
    secret that was made first. Nothing is required of the answer: the secret is shown once, and
    what else is missing or odd must not lose it; and without one, the webhook is set all the same.
    https://docs.piktid.com/docs/v2/webhooks/upsert_webhook__put
    """
    request = Request(method="PUT", path="/webhooks", json={"url": url})

    def parse(response: Response) -> WebhookRegistration:
        answer = read_object(request, response)
        hook_id = answer.get("id")
        status = answer.get("last_response_status")
        return WebhookRegistration(
            id=hook_id if isinstance(hook_id, int | str) else "",
            url=text_or_none(answer.get("url")) or url,
            secret=text_or_none(answer.get("secret")) or "",
            is_active=answer.get("is_active") is not False,
            created_at=date_or_none(answer.get("created_at")),
            updated_at=date_or_none(answer.get("updated_at")),
            last_response_status=status if isinstance(status, int) else None,
            last_response_at=date_or_none(answer.get("last_response_at")),
        )

    return Call(request, parse)
