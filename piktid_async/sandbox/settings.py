"""What a sandbox can be told before it starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import attrs
from attrs import validators

_above_zero = validators.gt(0)
_positive = validators.gt(0.0)
_not_negative = validators.ge(0.0)

# https://docs.piktid.com/docs/v2/garment-recolor, "Common errors at job creation", and the same
# table of the other guides.
DOCUMENTED_PER_MINUTE: Mapping[str, int] = {
    "/garment-recolor": 5,
    "/create-packshot": 5,
    "/flat-2-model": 5,
    "/model-swap": 5,
    "/identity/create": 5,
    "/identity/promote-generated": 5,
    "/edit-chat": 15,
}


@attrs.frozen(kw_only=True)
class SandboxLimits:
    """The limits of a non-enterprise account."""

    active_jobs: int = attrs.field(default=5, validator=_above_zero)
    """Jobs that may be pending or processing at once, pooled over the batch services."""
    per_minute: Mapping[str, int] = attrs.field(factory=lambda: dict(DOCUMENTED_PER_MINUTE))
    """Requests that each endpoint takes within one window."""
    identities: int = attrs.field(default=50, validator=_above_zero)
    """Identities of one's own that an account can hold."""
    window: float = attrs.field(default=60.0, validator=_positive)
    """Length of the "minute" in seconds; tests make it shorter."""


def _words(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word.lower() for word in words)


@attrs.frozen(kw_only=True)
class Settings:
    """Every setting of one sandbox. `Sandbox` describes them."""

    host: str
    port: int
    state: Path | None = attrs.field(converter=attrs.converters.optional(Path))
    token: str
    credits: float = attrs.field(validator=_not_negative)
    limits: SandboxLimits | None
    seconds_per_image: float = attrs.field(validator=_not_negative)
    image_scale: float = attrs.field(validator=_positive)
    render: bool | Literal["marked"] = attrs.field(
        validator=validators.in_((True, False, "marked"))
    )
    retention: float = attrs.field(validator=_not_negative)
    keepalive: float = attrs.field(validator=_positive)
    url_life: float = attrs.field(validator=_positive)
    visible_after: float = attrs.field(validator=_not_negative)
    request_delay: float = attrs.field(validator=_not_negative)
    max_size: int = attrs.field(validator=_above_zero)
    custom_dimensions: bool
    blocked_words: frozenset[str] = attrs.field(converter=_words)
    post_process_seconds: float = attrs.field(validator=_not_negative)
    max_upload_bytes: int | None = attrs.field(validator=validators.optional(_above_zero))
    email: str
    password: str
    login_life: float = attrs.field(validator=_positive)
    vtryon_key: str
    vtryon_seconds: float = attrs.field(validator=_not_negative)
