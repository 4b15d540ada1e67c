"""Who may see and change what is the sandbox's own: this machine, and in a browser its own page."""

from __future__ import annotations

import hmac
import ipaddress
import secrets

from aiohttp import web
from yarl import URL

from piktid_async.sandbox.answers import refuse

KEY_HEADER = "X-Sandbox-Key"
PAGE_PATH = "/"
OWN_PATHS = "/_sandbox/"
EVENTS_PATH = f"{OWN_PATHS}page/events"
UPLOAD_PATH = f"{OWN_PATHS}page/uploads/{{file_id}}"
OUTPUT_PATH = f"{OWN_PATHS}page/outputs/{{job_id}}/{{number}}"
PAGE_PATHS = frozenset({PAGE_PATH, EVENTS_PATH, UPLOAD_PATH, OUTPUT_PATH})
"""What a browser may ask for without the token."""


def is_own(request: web.BaseRequest) -> bool:
    """Tell whether a request is for the sandbox itself, not for the service that it plays."""
    return request.path == PAGE_PATH or request.path.startswith(OWN_PATHS)


class Visitors:
    """Tells the sandbox's page from all others that a browser on this machine may show.

    The page holds a key, which opens what changes something, in place of the token. Nobody else
    can read it: a browser gives a page of another origin no answer of ours, and a name that leads
    here by way of somebody else's DNS is not taken for ours.
    """

    def __init__(self) -> None:
        self.key: str = secrets.token_urlsafe(24)

    def check(self, request: web.BaseRequest) -> None:
        """Refuse other machines, other names of this one, and pages of other origins."""
        if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:
            raise refuse(403, "The sandbox itself is shown and changed from this machine only")
        host = request.headers.get("Host", "")
        if not _is_loopback(host):
            raise refuse(403, "The sandbox itself has no other name than localhost")
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "none")
        # A link may lead to the page from anywhere.
        strange = site not in ("none", "same-origin") and request.path != PAGE_PATH
        if strange or (origin is not None and origin != f"http://{host}"):
            raise refuse(403, "The sandbox itself answers to its own page only")

    def is_page(self, request: web.BaseRequest) -> bool:
        """Tell whether a request comes from the page."""
        given = request.headers.get(KEY_HEADER, "").encode(errors="surrogateescape")
        return hmac.compare_digest(given, self.key.encode())


def _is_loopback(host: str) -> bool:
    try:
        name = URL(f"http://{host}").host or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
