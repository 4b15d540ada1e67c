"""Faults asked for by name.

Two kinds of option. A *standing* fault (`stream_refuse`, `submit_delay`) holds until it is set
back. All others happen a number of times, or with a probability: `Faults(acks_fail=3)` is used up,
one each time it happens, and at zero the server behaves again; `Faults(rates={"acks_fail": 0.05})`
throws dice at each occasion, for ever. Both at once are allowed: the number comes first. What
happened is counted either way.

Each name has dice of its own, made from `seed` and the name. The same seed and the same sequence of
occasions give the same faults, whatever else is asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from random import Random
from types import MappingProxyType
from typing import Any

import attrs

from piktid_async.sandbox import fault_rules as rules

_TIMES = {"times": True}
_ENDPOINT = re.compile(r"\*|[A-Z*?]+ \S+")


def _check_rates(_: object, field: attrs.Attribute[Any], value: object) -> None:
    remedy = 'give probabilities by name, as in {"reset_after": 0.05}'
    if not isinstance(value, Mapping):
        rules.wrong(TypeError, field.name, "a mapping", value, remedy)
    for name, rate in value.items():
        rules.known(name, TIMES, "with a probability")
        if not 0 <= rules.check_number(rate, f"rates[{name!r}]", remedy) <= 1:
            rule = "between 0 and 1"
            rules.wrong(
                ValueError, f"rates[{name!r}]", rule, rate, "1 is always, 0.05 one in twenty"
            )


def _check_on(_: object, field: attrs.Attribute[Any], value: object) -> None:
    remedy = 'give a method and a path, as in "POST /garment-recolor" or "GET /jobs/*"'
    if isinstance(value, Mapping):
        for name in value:
            rules.known(name, ANYWHERE, "that befalls any request")
    for each in value.values() if isinstance(value, Mapping) else [value]:
        if not isinstance(each, str):
            rules.wrong(TypeError, field.name, "a text, or texts by name of a fault", value, remedy)
        if not _ENDPOINT.fullmatch(each):
            rules.wrong(ValueError, field.name, "an endpoint", each, remedy)


def _times() -> int:
    field: int = attrs.field(default=0, validator=rules.check_times, metadata=_TIMES)
    return field


def _seconds(default: float = 0.0) -> float:
    field: float = attrs.field(default=default, validator=rules.check_seconds)
    return field


def _reseed(faults: Faults, _: attrs.Attribute[Any], seed: int) -> int:
    faults.forget_dice()
    return seed


def _frozen(value: object) -> object:
    return MappingProxyType(dict(value)) if isinstance(value, Mapping) else value


@attrs.define(kw_only=True, eq=False)
class Faults:
    """What goes wrong, and how often it did. May be changed while the server runs.

    Raises `TypeError` and `ValueError`, also when it is changed; they name the option, the rule and
    the remedy.
    """

    seed: int = attrs.field(
        default=0,
        validator=rules.check_seed,
        on_setattr=[attrs.setters.validate, _reseed],
    )
    """What the dice are made from. Setting it makes them anew."""
    rates: Mapping[str, float] = attrs.field(
        factory=dict, converter=_frozen, validator=_check_rates
    )
    """Probabilities from 0 to 1 by name, for every fault that happens a number of times."""
    on: str | Mapping[str, str] = attrs.field(default="*", converter=_frozen, validator=_check_on)
    """Which requests those faults befall that can befall any: a method and a path as
    `books.api_requests` writes them, `*` for any text: `"POST /garment-recolor"`, `"GET /jobs/*"`;
    the storage's are `"PUT storage"` and `"GET storage"`, Vtryon's files `"GET results"`. One for
    all, or one each by name of the fault."""

    # Any request. At most one of these befalls a request, the first that is due in this order.
    restarts: int = _times()
    """Requests in place of which the whole server is killed; it starts again on the same state and
    the same ports after `down_seconds`, and the jobs go on."""
    connections_refused: int = _times()
    """Requests whose connection is reset before the server acts, and whose port then refuses
    connections for `down_seconds`."""
    reset_before: int = _times()
    """Requests whose connection is reset before the server has acted."""
    stall_before: int = _times()
    """Requests that are neither read nor answered for `stall_seconds`, then reset."""
    errors: int = _times()
    """Requests that are not acted upon but answered with one of `error_statuses` and JSON."""
    errors_html: int = _times()
    """The same with a page of HTML, as proxies send it."""
    rate_limited: int = _times()
    """Requests that are answered with 429, without `Retry-After` unless `retry_after` is set."""
    rate_limited_told: int = _times()
    """Requests that are answered with 429 and `Retry-After`: `retry_after` seconds, or 1."""
    reset_after: int = _times()
    """Requests whose connection is reset in place of the answer, after the server has acted."""
    stall_after: int = _times()
    """Requests that the server has acted upon and does not answer for `stall_seconds`, then
    resets."""
    errors_after: int = _times()
    """Requests that the server has acted upon and answers with one of `error_statuses` and HTML."""
    garbled_body: int = _times()
    """Answers whose body is a page of HTML, under the status and the type of the true one."""
    truncated_body: int = _times()
    """Answers that end in the middle of their body."""
    slow_body: int = _times()
    """Answers whose body takes `slow_seconds`, a little at a time."""

    error_statuses: Sequence[int] = attrs.field(
        default=(500, 502, 503), validator=rules.check_some_statuses
    )
    """Statuses of the errors above, in turn."""
    error_burst: int = attrs.field(default=1, validator=rules.check_positive)
    """How many errors come in a row each time that the dice ask for one."""
    down_seconds: float = _seconds(0.2)
    """How long a port refuses, or the server is away."""
    stall_seconds: float = _seconds(30.0)
    """How long a stalled request is held."""
    slow_seconds: float = _seconds(1.0)
    """How long a slow body takes."""

    # The event stream.
    stream_refuse: bool = attrs.field(default=False, validator=rules.check_flag)
    """Answer 503 to whoever opens the event stream."""
    stream_cut_after_events: int | None = attrs.field(
        default=None, validator=rules.check_optional_count
    )
    """Hang up after this many notifications on each connection, backfill included."""
    stream_cut_mid_event: int | None = attrs.field(
        default=None, validator=rules.check_optional_count
    )
    """After this many notifications on a connection, send half of the next one and reset."""
    stream_hangs_up: int = _times()
    """Streams that are accepted with 200 and ended at once."""
    stream_cut: int = _times()
    """Notifications in place of which the stream is ended."""
    stream_cut_in_character: int = _times()
    """Notifications that are cut between the two bytes of an `é`; the connection is reset."""
    stream_silent: int = _times()
    """Notifications in place of which the stream falls silent, keepalives included, and stays open
    until the listener leaves."""
    stream_garbage: int = _times()
    """Notifications before which bytes are sent that are neither UTF-8 nor an event."""
    stream_bad_json: int = _times()
    """Notifications before which an event is sent whose data is not JSON."""
    stream_unknown_event: int = _times()
    """Notifications before which an event of an unknown type is sent."""
    stream_enormous_event: int = _times()
    """Notifications before which one of `enormous_bytes` is sent, in one line."""
    stream_duplicate: int = _times()
    """Notifications that a stream carries twice."""
    stream_reorder: int = _times()
    """Live notifications that are sent after the next one, if that one waits already."""
    enormous_bytes: int = attrs.field(default=8 << 20, validator=rules.check_size)
    """Bytes of an enormous event, at most a gigabyte."""

    # What the server keeps of the notifications.
    drop_events: int = _times()
    """Notifications that are neither stored nor sent."""
    events_deleted: int = _times()
    """Notifications that somebody else deletes as soon as they have been handed to the listeners:
    they are never replayed, and their acknowledgement answers 404."""
    backlog_expired: int = _times()
    """Openings of a stream before which everything outstanding becomes older than the retention."""
    acks_fail: int = _times()
    """`DELETE /notifications/{id}` calls that answer 500 and delete nothing."""

    # Signed URLs and the storage behind them.
    upload_url_expired: int = _times()
    """Upload tickets whose signed URL has expired before it is handed out."""
    upload_url_skewed: int = _times()
    """Upload tickets that are signed by a clock which is `clock_skew` seconds ahead of the
    storage's: it refuses them with 403 `RequestTimeTooSkewed`."""
    download_url_expired: int = _times()
    """Links to results and pictures that have expired before they are handed out."""
    download_url_skewed: int = _times()
    """Links to results and pictures that are signed by the clock which is ahead."""
    clock_skew: float = _seconds(3600.0)
    """Seconds that the clock is ahead; the storage bears 900."""
    storage_errors: int = _times()
    """Uploads that the storage answers with 503 `SlowDown`."""
    download_errors: int = _times()
    """Downloads that the storage answers with 503 `SlowDown`."""
    upload_reset: int = _times()
    """Uploads whose connection is reset once half of the body has come."""
    upload_stall: int = _times()
    """Uploads that are read to the half and no further; the connection is reset after
    `stall_seconds`."""

    # Jobs.
    submit_delay: float = _seconds()
    """Seconds that the 202 is held back while the job already runs and its events go out."""
    submit_lost: int = _times()
    """Submissions that make a job and then reset the connection in place of the 202."""
    submit_status: list[int] = attrs.field(default=(), converter=rules.Statuses)
    """Statuses that answer the next submissions, in this order; no job is made."""
    status_404_for: float = _seconds()
    """Seconds after the 202 for which `GET /jobs/{id}/status` does not know the job."""
    status_404: int = _times()
    """Status reads of a job that exists which answer 404."""
    retry_after: float | None = attrs.field(default=None, validator=rules.check_optional_seconds)
    """Seconds to name in a `Retry-After` header of every 429; the documentation knows none."""
    images_fail: int = _times()
    """Outputs that cannot be made."""
    images_stuck: int = _times()
    """Outputs that stay at `processing` until they are marked as failed."""
    stuck_seconds: float | None = attrs.field(default=None, validator=rules.check_optional_seconds)
    """Seconds after which stuck outputs go on by themselves; `None` for never."""
    content_refused: int = _times()
    """Outputs that the engine refuses: `auto` falls back to another one, a named engine fails."""
    post_processing_fails: int = _times()
    """Jobs whose post-processing fails after they have completed."""
    identities_fail: int = _times()
    """Identities whose preparation fails."""

    # The webhook.
    webhook_duplicate: int = _times()
    """Notifications that are posted to the webhook twice."""
    webhook_reorder: int = _times()
    """Notifications that are posted after the next one, if that one waits already."""

    # Vtryon.
    vtryon_create_lost: int = _times()
    """Vtryon tasks that are made while the connection is reset in place of the answer."""
    vtryon_delete_lost: int = _times()
    """Vtryon tasks that are deleted while the connection is reset in place of the answer."""
    vtryon_poll_errors: int = _times()
    """Status reads of Vtryon tasks that answer 503."""

    counts: Counter[str] = attrs.field(factory=Counter, init=False)
    """How often each fault happened, by the name of its option."""
    _dice: dict[str, Random] = attrs.field(factory=dict, init=False, repr=False)
    _burst: Counter[str] = attrs.field(factory=Counter, init=False, repr=False)
    _errors: int = attrs.field(default=0, init=False, repr=False)

    def happened(self, name: str) -> None:
        """Count a fault that has just been done."""
        self.counts[name] += 1

    def take(self, name: str) -> bool:
        """Tell whether the fault `name` happens now; if so, use one of its number and count it."""
        return self.first_of([name]) is not None

    def first_of(self, names: Iterable[str], endpoint: str | None = None) -> str | None:
        """Return the first of `names` that happens now, if any, and count it.

        The dice of all are thrown, so that the outcome of one does not move those of the others.
        """
        thrown = {name: self._thrown(name) for name in names if self._befalls(name, endpoint)}
        for name, due in thrown.items():
            left: int = getattr(self, name)
            if not left and not due:
                continue
            if left:
                setattr(self, name, left - 1)
            self.happened(name)
            return name
        return None

    def next_error(self) -> int:
        """Return the status of the next error."""
        self._errors += 1
        return self.error_statuses[(self._errors - 1) % len(self.error_statuses)]

    def take_submit_status(self) -> int | None:
        """Return the status that the next submission has to be answered with, if any."""
        if not self.submit_status:
            return None
        self.happened("submit_status")
        return self.submit_status.pop(0)

    def options(self) -> dict[str, Any]:
        """Return every option as it is now; `Faults(**options)` has the same."""
        chosen = {name: getattr(self, name) for name in OPTIONS}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in chosen.items()
        }

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set several options by name: all of them, or none and an error that names the wrong one.

        Raises `ValueError` for a name that is none, else what a single assignment raises.
        """
        for name in changes:
            rules.known(name, OPTIONS, "of that name")
        attrs.evolve(self, **changes)
        for name, value in changes.items():
            setattr(self, name, value)

    def clear(self) -> None:
        """Let nothing go wrong any more, and keep the seed and the counts."""
        self.change({**_USUAL.options(), "seed": self.seed, "submit_status": []})
        self._burst.clear()

    def forget_dice(self) -> None:
        """Begin anew with every sequence that `seed` stands for."""
        self._dice.clear()
        self._burst.clear()
        self._errors = 0

    def _befalls(self, name: str, endpoint: str | None) -> bool:
        if endpoint is None:
            return True
        pattern = self.on if isinstance(self.on, str) else self.on.get(name, "*")
        return fnmatchcase(endpoint, pattern)

    def _thrown(self, name: str) -> bool:
        if self._burst[name]:
            self._burst[name] -= 1
            return True
        rate = self.rates.get(name, 0.0)
        if not rate:
            return False
        if (dice := self._dice.get(name)) is None:
            dice = self._dice[name] = Random(f"{self.seed}:{name}")
        due = dice.random() < rate
        if due and name in _IN_BURSTS:
            self._burst[name] = self.error_burst - 1
        return due


OPTIONS: tuple[str, ...] = tuple(each.name for each in attrs.fields(Faults) if each.init)
"""Everything that `Faults` can be told."""
TIMES: tuple[str, ...] = tuple(
    each.name for each in attrs.fields(Faults) if each.metadata.get("times")
)
"""What happens a number of times, or with a probability."""
BEFORE: tuple[str, ...] = (
    "restarts",
    "connections_refused",
    "reset_before",
    "stall_before",
    "errors",
    "errors_html",
    "rate_limited",
    "rate_limited_told",
)
"""What befalls any request before the server has acted."""
AFTER: tuple[str, ...] = (
    "reset_after",
    "stall_after",
    "errors_after",
    "garbled_body",
    "truncated_body",
    "slow_body",
)
"""What befalls any request after the server has acted."""
ANYWHERE: tuple[str, ...] = BEFORE + AFTER
"""What can befall any request, and heeds `Faults.on`."""

_IN_BURSTS = frozenset({"errors", "errors_html", "errors_after"})
_USUAL = Faults()
