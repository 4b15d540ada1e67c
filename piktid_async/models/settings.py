"""How the event stream is followed."""

from __future__ import annotations

import attrs

from piktid_async.errors import ConfigurationError


@attrs.frozen(kw_only=True)
class StreamSettings:
    """Times of the event stream, all in seconds; the defaults fit the documented service.

    Other values are for tests that cannot wait, and for proxies with habits of their own.
    https://docs.piktid.com/docs/v2/notifications/notifications_stream__get
    """

    connect: bool = True
    """False opens no stream: jobs are followed by status calls alone."""
    keepalive: float = 15.0
    """Pause between the service's keepalives; silence past three of them means a dead link."""
    silent_after: float = 30.0
    """A job without news for so long has its status read; the pause then doubles."""
    silent_longest: float = 300.0
    """The longest pause between two status reads of one job."""
    poll_every: float = 5.0
    """Pause between status reads while there is no stream at all."""
    reconnect_base: float = 0.5
    """Upper end of the first pause before a reconnect; doubles with each failure."""
    reconnect_cap: float = 30.0
    """No pause before a reconnect is longer."""
    open_wait: float = 10.0
    """How long the first submission waits for the stream before it goes ahead without."""
    close_wait: float = 5.0
    """How long closing waits for pending acknowledgements."""

    def __attrs_post_init__(self) -> None:
        times = attrs.asdict(self)
        if type(times.pop("connect")) is not bool:
            raise ConfigurationError(
                f"stream settings: connect must be True or False, not {self.connect!r}"
            )
        for name, value in times.items():
            if type(value) not in (int, float) or not value > 0:
                raise ConfigurationError(
                    f"stream settings: {name} must be positive seconds, not {value!r}"
                )
