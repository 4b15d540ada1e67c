"""Logging below `piktid_async`: who is asked for it by the environment, and what lines carry."""

from __future__ import annotations

import logging
import os
import sys
import threading
from inspect import iscoroutinefunction

import attrs

from piktid_async.errors import ConfigurationError
from piktid_async.models.events import Event, OnEvent

VARIABLE = "PIKTID_LOG"
LEVELS = ("debug", "info", "warning", "error")
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_log = logging.getLogger("piktid_async")
_lock = threading.Lock()
_ready = False


def about(**fields: object) -> dict[str, object]:
    """Return the `extra` of a line: its fields, as `record.piktid`."""
    return {"piktid": fields}


def set_up() -> None:
    """Do once what `PIKTID_LOG` asks for; raises `ConfigurationError` for another word."""
    global _ready
    with _lock:
        if _ready:
            return
        level = os.environ.get(VARIABLE, "").strip().lower()
        if level and level not in LEVELS:
            raise ConfigurationError(
                f"{VARIABLE} must be one of {', '.join(LEVELS)}, not {level!r}"
            )
        if level:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter(FORMAT))
            handler.addFilter(_told_by_nobody_else)
            _log.setLevel(level.upper())
            _log.addHandler(handler)
        _ready = True


def hush(*names: str) -> None:
    """Silence loggers of libraries, except one that somebody has set to a level."""
    for logger in map(logging.getLogger, names):
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL)


def listener(on_event: OnEvent | None) -> Listener | None:
    """Return who hears of each event; None when nobody does, so that none is made."""
    if on_event is not None and not callable(on_event):
        raise ConfigurationError(f"on_event must be a function, not {on_event!r}")
    if iscoroutinefunction(on_event):
        raise ConfigurationError("on_event must be a plain function: nobody awaits what it returns")
    if on_event is None and not _log.isEnabledFor(logging.DEBUG):
        return None
    return Listener(on_event)


class Listener:
    """Write each event down at level DEBUG, and pass it on; nothing it raises gets through."""

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._has_failed = False

    def __call__(self, event: Event) -> None:
        """Tell of one event."""
        log = logging.getLogger(f"piktid_async.{event.topic}")
        if log.isEnabledFor(logging.DEBUG):
            fields = about(event=type(event).__name__, **attrs.asdict(event))
            log.debug("%s", event, extra=fields)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            if not self._has_failed:
                self._has_failed = True
                text = "on_event failed at %s; it is called on, and not complained of again"
                _log.warning(text, type(event).__name__, exc_info=error)


def _told_by_nobody_else(_: logging.LogRecord) -> bool:
    """Whether the program's own logging does not write to the same stream, too."""
    return all(getattr(each, "stream", None) is not sys.stderr for each in logging.root.handlers)
