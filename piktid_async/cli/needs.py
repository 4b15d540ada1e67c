"""What a command needs before it can start at all."""

from __future__ import annotations

import importlib.util
import os

from piktid_async.cli.errors import TOKENS_PAGE, Trouble


def check_service(*, sandbox: bool = True) -> None:
    """Refuse to start without a token; `sandbox` says whether the command takes --sandbox."""
    if not os.environ.get("PIKTID_API_TOKEN", "").strip():
        instead = (
            "add --sandbox to try this without one"
            if sandbox
            else "run `piktid sandbox` and set the variables that it prints"
        )
        raise Trouble(
            f"No token: PIKTID_API_TOKEN is not set. Make a token at {TOKENS_PAGE}, or {instead}."
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
