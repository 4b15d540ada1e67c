"""Spans and metrics, of records by hand and of a session on the sandbox."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import attrs
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from piktid_async import GarmentRecolor, JobEnded, JobSubmitted, Session, telemetry
from piktid_async.telemetry import OpenTelemetry
from tests.models.test_events import LINES, REQUEST


@attrs.define(eq=False)
class Collected:
    """What an exporter would be given."""

    spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    tracing: TracerProvider = attrs.field(factory=TracerProvider)
    hook: OpenTelemetry = attrs.field(init=False)

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans.get_finished_spans() if span.name == name]

    def metrics(self) -> dict[str, list]:
        data = self.reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collected() -> Iterator[Collected]:
    made = Collected()
    made.tracing.add_span_processor(SimpleSpanProcessor(made.spans))
    metering = MeterProvider([made.reader])
    made.hook = OpenTelemetry(tracer_provider=made.tracing, meter_provider=metering)
    yield made
    made.tracing.shutdown()
    metering.shutdown()


def test_a_request_is_a_client_span_named_by_the_conventions(collected):
    path = "/jobs/secret-job/status"
    event = attrs.evolve(REQUEST, path=path, route="/jobs/{id}/status", host="api.example:8443")
    collected.hook(attrs.evolve(event, status=503, attempt=3))
    (span,) = collected.named("POST /jobs/{id}/status")
    few = {
        "http.request.method": "POST",
        "server.address": "api.example",
        "server.port": 8443,
        "url.template": "/jobs/{id}/status",
        "http.response.status_code": 503,
        "error.type": "503",
    }
    assert dict(span.attributes) == few | {"url.path": path, "http.request.resend_count": 2}
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)
    assert span.end_time - span.start_time == 250_000_000
    (point,) = collected.metrics()["http.client.request.duration"]
    assert (dict(point.attributes), point.count, point.sum) == (few, 1, 0.25)


@pytest.mark.parametrize("host", ["[::1]:80", "plain"])
def test_a_file_at_a_storage_is_told_without_its_link(host, collected):
    broken = {"status": None, "error": "ConnectionFailedError"}
    event = attrs.evolve(REQUEST, method="PUT", path="<signed URL>", route="<signed URL>")
    collected.hook(attrs.evolve(event, host=host, **broken))
    (span,) = collected.named("PUT")
    port = {"server.port": 80} if host != "plain" else {}
    assert dict(span.attributes) == {
        "http.request.method": "PUT",
        "server.address": "::1" if port else "plain",
        "error.type": "ConnectionFailedError",
        **port,
    }


def test_every_record_is_counted(collected):
    for event, _ in LINES:
        collected.hook(event)
    assert {name: len(points) for name, points in collected.metrics().items()} == {
        "http.client.request.duration": 2,
        "piktid.acknowledgement.duration": 2,
        "piktid.credits.estimated": 1,
        "piktid.credits.used": 1,
        "piktid.download.duration": 1,
        "piktid.download.size": 1,
        "piktid.job.duration": 1,
        "piktid.job.submitted": 1,
        "piktid.stream.reconnects": 1,
        "piktid.stream.replayed": 1,
        "piktid.turn.wait": 1,
        "piktid.upload.duration": 1,
        "piktid.upload.size": 1,
    }


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [("completed", None, None), ("failed", None, "failed"), ("processing", "NotFound", "NotFound")],
)
def test_a_job_that_ended_badly_is_an_error(status, error, told, collected):
    collected.hook(JobEnded(kind="model_swap", job_id="j", status=status, seconds=1, error=error))
    (span,) = collected.named("piktid.job")
    assert span.attributes.get("error.type") == told
    assert (span.status.status_code is StatusCode.ERROR) == (told is not None)


def test_jobs_that_never_end_are_forgotten_at_last(collected, monkeypatch):
    monkeypatch.setattr(telemetry, "KEPT", 2)
    tracer = collected.tracing.get_tracer("test")
    with tracer.start_as_current_span("order"):
        for job_id in "abc":
            collected.hook(JobSubmitted(kind="model_swap", job_id=job_id, credits=None))
    for job_id in "abc":
        ended = JobEnded(
            kind="model_swap", job_id=job_id, status="completed", seconds=1, error=None
        )
        collected.hook(ended)
    assert [span.parent is None for span in collected.named("piktid.job")] == [True, False, False]


async def test_spans_belong_to_the_call_that_they_were_made_for(sandbox, collected):
    from piktid_async.sandbox.imaging import sample_photos

    photo = sample_photos(1, size=200)[0].data
    tracer = collected.tracing.get_tracer("test")

    async def order(name: str) -> None:
        with tracer.start_as_current_span(name):
            file = await session.upload(photo)
            request = GarmentRecolor(project=project, images=[file], reference_text="navy")
            await session.run(request)

    async with Session(sandbox.token, base_url=sandbox.url, on_event=collected.hook) as session:
        project = await session.projects.ensure("spans")
        await asyncio.gather(order("one"), order("two"))
    orders = {
        span.context.span_id: span.name
        for span in (*collected.named("one"), *collected.named("two"))
    }
    for name in ("POST /upload", "PUT", "piktid.upload", "POST /garment-recolor", "piktid.job"):
        parents = [orders[span.parent.span_id] for span in collected.named(name)]
        assert sorted(parents) == ["one", "two"], name
    alone = [
        *collected.named("GET /notifications/events"),
        *collected.named("DELETE /notifications/{id}"),
    ]
    assert len(alone) > 2
    assert not [span.name for span in alone if span.parent is not None]
    told = repr([dict(span.attributes) for span in collected.spans.get_finished_spans()])
    told += repr(collected.metrics())
    assert not [secret for secret in (sandbox.token, "?", "ignature") if secret in told]


def test_the_extra_that_is_missing_is_named():
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from piktid_async import ConfigurationError\n"
        "try: import piktid_async.telemetry\n"
        "except ConfigurationError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (
        "piktid_async.telemetry needs OpenTelemetry: pip install 'piktid-async[otel]'\n",
        "",
    )
