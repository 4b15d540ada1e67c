"""Spans and metrics by OpenTelemetry: what a session did, where its time and credits went.

Here they stay in memory and are printed; a program of yours exports them, and changes nothing else.
Needs the extra and an SDK: pip install 'piktid-async[otel]' opentelemetry-sdk
"""

import asyncio

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from piktid_async import GarmentRecolor, Session
from piktid_async.telemetry import OpenTelemetry

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracing, metering = TracerProvider(), MeterProvider([reader])
tracing.add_span_processor(SimpleSpanProcessor(spans))


async def work() -> None:
    telemetry = OpenTelemetry(tracer_provider=tracing, meter_provider=metering)
    async with Session(on_event=telemetry) as session:
        with tracing.get_tracer("shop").start_as_current_span("recolor the shirt"):
            project = await session.projects.ensure("telemetry")
            photo = await session.upload("front.jpg")
            request = GarmentRecolor(project=project, images=[photo], reference_text="navy")
            await session.run(request)


def show() -> None:
    told = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in told}
    for span in sorted(told, key=lambda span: span.start_time):
        parent = names.get(span.parent.span_id) if span.parent else None
        seconds = (span.end_time - span.start_time) / 1e9
        print(f"{span.name}: {seconds:.3f} s, in: {parent}")
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                points = metric.data.data_points
                sums = (each.sum if hasattr(each, "sum") else each.value for each in points)
                print(f"{metric.name} [{metric.unit}]: {sum(sums):g}")


asyncio.run(work())
show()
tracing.shutdown()
metering.shutdown()
