"""What requests would cost, in credits and in time, before any of them is sent."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable

import attrs

from piktid_async.iterables import drawn
from piktid_async.models.limits import Estimate, LimitsReport
from piktid_async.models.requests import JobRequest, checked_request
from piktid_async.protocol import endpoints
from piktid_async.protocol.forecast import forecast
from piktid_async.protocol.quota import Quota


async def estimate(
    report: LimitsReport, requests: Iterable[JobRequest] | AsyncIterable[JobRequest]
) -> Estimate:
    """Add up the requests, under the limits and at the pace that a report tells."""
    chosen = [checked_request("requests", each) async for each in drawn("requests", requests)]
    prices = [request.credits for request in chosen]
    return Estimate(
        jobs=len(chosen),
        outputs=sum(request.total_outputs for request in chosen),
        credits=sum(price for price in prices if price is not None),
        unpriced=prices.count(None),
        seconds=_seconds(report, chosen),
    )


def _seconds(report: LimitsReport, requests: list[JobRequest]) -> float:
    limits = report.account
    if report.seconds_per_job is None:
        limits = attrs.evolve(limits, active_jobs=None)
    etas = forecast(
        Quota(limits),
        [(endpoints.submit(request).request.path, request.pooled) for request in requests],
        0.0,
        seconds_per_job=report.seconds_per_job,
    )
    return max((eta for eta in etas if eta is not None), default=0.0)
