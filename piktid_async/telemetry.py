"""Spans and metrics by OpenTelemetry, of what `Session(on_event=...)` tells; extra `otel`.

Importing it without the extra raises `ConfigurationError`.
"""

from __future__ import annotations

import time
from typing import TypeAlias

from piktid_async.errors import ConfigurationError
from piktid_async.models.events import (
    Acknowledgement,
    Backfill,
    DownloadFinished,
    Event,
    JobCharged,
    JobEnded,
    JobSubmitted,
    RequestAttempt,
    StreamReconnect,
    TurnWait,
    UploadFinished,
)
from piktid_async.version import __version__

try:
    from opentelemetry import metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import Counter, Histogram, Meter, MeterProvider
    from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
except ImportError as _missing:
    raise ConfigurationError(
        "piktid_async.telemetry needs OpenTelemetry: pip install 'piktid-async[otel]'"
    ) from _missing

__all__ = ["OpenTelemetry"]

Attributes: TypeAlias = dict[str, str | int | float]

SCOPE = "piktid_async"
QUICK = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Bounds of buckets in seconds, as the semantic conventions have them for requests."""
SLOW = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
KEPT = 10_000
"""Jobs under way whose submission is remembered; of older ones, the span has no parent."""


class OpenTelemetry:
    """A callback for `Session(on_event=OpenTelemetry())` that makes spans and metrics.

    Each request, wait for a turn, upload and download becomes a span when it has ended, a child
    of the span that was current where the session was called; each job becomes one from its
    submission to its end. What the session does by itself (the stream, acknowledgements, status
    calls) has no parent. Requests are named by OpenTelemetry's conventions for HTTP clients; the
    rest is below `piktid.`. No attribute holds a token, a query or a signed link. One object may
    serve several sessions.

    - `tracer_provider`, `meter_provider`: absent: the global ones.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(SCOPE, __version__, tracer_provider)
        self._metrics = _Metrics(metrics.get_meter(SCOPE, __version__, meter_provider))
        self._jobs: dict[str, tuple[Context, int]] = {}

    def __call__(self, event: Event) -> None:
        """Take one event in."""
        self._metrics.take(event)
        match event:
            case RequestAttempt():
                self._request(event)
            case TurnWait():
                told: Attributes = {"piktid.endpoint": event.path, "piktid.reason": event.reason}
                self._span("piktid.turn", event.seconds, told)
            case UploadFinished():
                told = {"piktid.file.id": event.file_id, "piktid.file.size": event.size}
                self._span("piktid.upload", event.seconds, told)
            case DownloadFinished():
                told = {"piktid.file.label": event.label, "piktid.file.size": event.size}
                self._span("piktid.download", event.seconds, told)
            case JobSubmitted():
                self._submitted(event)
            case JobEnded():
                self._ended(event)

    def _request(self, event: RequestAttempt) -> None:
        told = _http(event)
        if event.path.startswith("/"):
            told["url.path"] = event.path
        if event.attempt > 1:
            told["http.request.resend_count"] = event.attempt - 1
        route = told.get("url.template")
        name = f"{event.method} {route}" if route else event.method
        self._span(name, event.seconds, told, kind=SpanKind.CLIENT)

    def _submitted(self, event: JobSubmitted) -> None:
        # The span's place alone: the span itself may end, and be forgotten.
        here = trace.NonRecordingSpan(trace.get_current_span().get_span_context())
        self._jobs[event.job_id] = trace.set_span_in_context(here, Context()), time.time_ns()
        if len(self._jobs) > KEPT:
            del self._jobs[next(iter(self._jobs))]

    def _ended(self, event: JobEnded) -> None:
        where, since = self._jobs.pop(event.job_id, (Context(), None))
        told: Attributes = {
            "piktid.job.id": event.job_id,
            "piktid.job.kind": event.kind,
            "piktid.job.status": event.status,
        }
        if failure := _failure(event):
            told["error.type"] = failure
        self._span("piktid.job", event.seconds, told, where=where, since=since)

    def _span(
        self,
        name: str,
        seconds: float,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        where: Context | None = None,
        since: int | None = None,
    ) -> None:
        end = time.time_ns()
        start = end - int(seconds * 1e9) if since is None else since
        span = self._tracer.start_span(
            name, context=where, kind=kind, attributes=attributes, start_time=start
        )
        if "error.type" in attributes:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)


class _Metrics:
    """The instruments, and what each event adds to them."""

    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, what: str, bounds: tuple[float, ...] = SLOW) -> Histogram:
            return meter.create_histogram(
                name, unit="s", description=what, explicit_bucket_boundaries_advisory=bounds
            )

        def count(name: str, unit: str, what: str) -> Counter:
            return meter.create_counter(name, unit=unit, description=what)

        self._requests = seconds("http.client.request.duration", "Requests.", QUICK)
        self._turns = seconds("piktid.turn.wait", "Waits of submissions for their turn.")
        self._acks = seconds("piktid.acknowledgement.duration", "From queued to deleted.", QUICK)
        self._uploads = seconds("piktid.upload.duration", "Uploads of whole files.")
        self._downloads = seconds("piktid.download.duration", "Downloads of whole files.")
        self._jobs = seconds("piktid.job.duration", "Jobs, from submission to their end.")
        self._uploaded = count("piktid.upload.size", "By", "Bytes of files that arrived.")
        self._downloaded = count("piktid.download.size", "By", "Bytes of files on the disk.")
        self._reconnects = count("piktid.stream.reconnects", "{reconnect}", "Streams lost.")
        self._replayed = count("piktid.stream.replayed", "{notification}", "Replays.")
        self._submitted = count("piktid.job.submitted", "{job}", "Jobs that were taken.")
        self._estimated = count("piktid.credits.estimated", "{credit}", "Of submitted jobs.")
        self._used = count("piktid.credits.used", "{credit}", "As results tell them.")

    def take(self, event: Event) -> None:  # noqa: C901 - a table
        match event:
            case RequestAttempt():
                self._requests.record(event.seconds, _http(event))
            case TurnWait():
                told: Attributes = {"piktid.endpoint": event.path, "piktid.reason": event.reason}
                self._turns.record(event.seconds, told)
            case StreamReconnect():
                self._reconnects.add(1)
            case Backfill():
                self._replayed.add(event.notifications)
            case Acknowledgement():
                self._acks.record(event.seconds, {"error.type": event.error} if event.error else {})
            case UploadFinished():
                self._uploads.record(event.seconds)
                self._uploaded.add(event.size)
            case DownloadFinished():
                self._downloads.record(event.seconds)
                self._downloaded.add(event.size)
            case JobSubmitted():
                told = {"piktid.job.kind": event.kind}
                self._submitted.add(1, told)
                self._estimated.add(event.credits or 0.0, told)
            case JobEnded():
                told = {"piktid.job.kind": event.kind, "piktid.job.status": event.status}
                if failure := _failure(event):
                    told["error.type"] = failure
                self._jobs.record(event.seconds, told)
            case JobCharged():
                self._used.add(event.credits or 0.0, {"piktid.job.kind": event.kind})


def _http(event: RequestAttempt) -> Attributes:
    """Return the attributes of a request that have few values, as the conventions name them."""
    address, _, port = event.host.rpartition(":")
    if not port.isdigit():
        address, port = event.host, ""
    told: Attributes = {"http.request.method": event.method, "server.address": address.strip("[]")}
    if port:
        told["server.port"] = int(port)
    if event.route.startswith("/"):
        told["url.template"] = event.route
    if event.status is not None:
        told["http.response.status_code"] = event.status
    if event.error is not None:
        told["error.type"] = event.error
    elif event.status is not None and event.status >= 400:
        told["error.type"] = str(event.status)
    return told


def _failure(event: JobEnded) -> str | None:
    return event.error or (event.status if event.status in ("failed", "aborted") else None)
