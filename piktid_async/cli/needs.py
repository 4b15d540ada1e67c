"""What a command needs before it can start at all."""

from __future__ import annotations

import importlib.util
import os

from piktid_async.cli.errors import TOKENS_PAGE, Trouble


def check_service() -> None:
    """Refuse to start without a token, before anything else is looked at."""
    if not os.environ.get("PIKTID_API_TOKEN", "").strip():
        raise Trouble(
            "No token: PIKTID_API_TOKEN is not set. Make a token at "
            f"{TOKENS_PAGE}, or add --sandbox to try this without one."
        )


def check_vtryon() -> None:
    """Refuse to start without a key and a host."""
    if not os.environ.get("VTRYON_API_KEY", "").strip():
        raise Trouble("No key: VTRYON_API_KEY is not set. Add --sandbox to try this without one.")
    if not os.environ.get("VTRYON_BASE_URL", "").strip():
        raise Trouble(
            "No host: VTRYON_BASE_URL is not set, and Vtryon's pages do not name the host of its "
            "API. Add --sandbox to try this without one."
        )


def check_sandbox() -> None:
    """Refuse to start without what the sandbox needs."""
    missing = [name for name in ("numpy", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        raise Trouble("The sandbox needs its extra: pip install 'piktid-async[cli,sandbox]'.")
