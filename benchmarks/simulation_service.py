"""The service as it is known: windows, slots, paid jobs, a gallery; and bad weather."""

from __future__ import annotations

import bisect
import math
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Literal, TypeAlias

import attrs
from simulation_timeline import Timeline

from piktid_async.batch.ledger import Row
from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.endpoints import GalleryJob

PRICE = 3.0
DRIFT = 50e-6
"""By how much the service's clock is slow: its minute is the longer one."""
IN_GALLERY_AFTER = 1.0
"""Seconds until a new job is listed."""
JOBS_ON_A_PAGE = 100
THROUGH_PROXY = 0.25
"""Share of the requests that a proxy answers during an outage; the rest is not let in at all."""
NEWS = 0.2
"""Seconds that the news of an end is on its way, in the mean."""
HOUR = 3600.0
MONTH = 30 * 24 * HOUR

Said: TypeAlias = Literal["made", "too fast", "too many", "away", "bad gateway"]


@attrs.frozen(kw_only=True)
class Weather:
    """What goes wrong, and how often."""

    lost: float = 0.0
    """Share of the answers that are lost on their way back: the job is made, and paid."""
    bad_gateway: float = 0.0
    """Share of the requests that a proxy answers, before the service has seen them."""
    kills: float = 0.0
    """Machines an hour, with all workers on them."""
    freezes: float = 0.0
    """Machines an hour."""
    frozen: float = 30.0
    """Seconds that a freeze lasts in the mean."""
    outages: int = 0
    """A month."""
    outage: float = 30 * 60.0
    """Seconds that each lasts."""
    others: float = 0.0
    """Jobs an hour that somebody else makes on the account."""
    skew: float = 0.0
    """Seconds by which a worker's clock is wrong at most."""


@attrs.frozen
class Answer:
    """What the service has said, and whether it arrives."""

    said: Said
    job: int = -1
    arrives: bool = True


@attrs.frozen
class Job:
    """One job; of nobody's product if somebody else made it."""

    product: int | None
    ends: float
    seen: GalleryJob | None = None


def name_of(job: int) -> str:
    """Return the id of the job with this number."""
    return f"job-{job}"


class Service:
    """One account. Counts what it is asked for, and what it has to refuse."""

    def __init__(
        self,
        timeline: Timeline,
        limits: AccountLimits,
        weather: Weather,
        dice: random.Random,
        *,
        products: int,
        seconds_per_job: float,
    ) -> None:
        self._timeline = timeline
        self._limits = limits
        self._weather = weather
        self._dice = dice
        self._seconds_per_job = seconds_per_job
        self._taken: dict[str, deque[float]] = {path: deque() for path in limits.per_minute}
        self._active = 0
        self._outages = deque(sorted(dice.uniform(0, MONTH) for _ in range(weather.outages)))
        self.tell: Callable[[int], None] = lambda _: None
        """Hears of each job that has ended, whoever made it."""
        self.jobs: list[Job] = []
        self.unclaimed: dict[int, None] = {}
        """Jobs of ours that no ledger knows: what a look leaves of the gallery's list."""
        self._made_at: list[float] = []
        self.paid = bytearray(products)
        """By product: jobs that were made for it."""
        self.said: Counter[Said] = Counter()
        self.lost = 0
        self.of_others = 0
        self.credits = 0.0
        self.seconds_of_ours = 0.0
        """That our jobs have run, together."""
        self.per_path: Counter[str] = Counter()
        self.most_active = 0
        self.fullest = 0
        """The most that an endpoint has taken within one window."""
        self.pages = 0
        """Of the gallery that were read."""
        if weather.others:
            timeline.after(self._until_others(), self._others)

    def submit(self, product: int, row: Row, path: str) -> Answer:
        """Take a request that has arrived."""
        answer = self._answer(product, row, path)
        self.said[answer.said] += 1
        self.lost += not answer.arrives
        return answer

    def listed(self, since: float) -> Iterator[GalleryJob]:
        """Yield the jobs since then that no ledger has; a request for a hundred of all."""
        older = bisect.bisect_left(self._made_at, since)
        self.pages += 1 + (len(self.jobs) - older) // JOBS_ON_A_PAGE
        visible = self._timeline.now - IN_GALLERY_AFTER
        for number in self.unclaimed:
            seen = self.jobs[number].seen
            if number >= older and self._made_at[number] <= visible and seen is not None:
                yield seen

    def away_until(self) -> float:
        """Return when the outage ends that there is; a time that has passed if there is none."""
        now = self._timeline.now
        while self._outages and now >= self._outages[0] + self._weather.outage:
            self._outages.popleft()
        begun = bool(self._outages) and now >= self._outages[0]
        return self._outages[0] + self._weather.outage if begun else -math.inf

    def running(self, job: int) -> bool:
        """Whether a job goes on."""
        return self.jobs[job].ends > self._timeline.now

    def _answer(self, product: int, row: Row, path: str) -> Answer:
        weather = self._weather
        if self.away_until() > self._timeline.now:
            return Answer("bad gateway" if self._dice.random() < THROUGH_PROXY else "away")
        if self._dice.random() < weather.bad_gateway:
            return Answer("bad gateway")
        refused = self._refusal(path)
        if refused is not None:
            return Answer(refused)
        self.paid[product] += 1
        self.credits += PRICE
        number = self._begin(path, product, row)
        return Answer("made", number, arrives=self._dice.random() >= weather.lost)

    def _refusal(self, path: str) -> Said | None:
        now = self._timeline.now * (1 - DRIFT)
        taken = self._taken[path]
        while taken and taken[0] <= now - self._limits.window:
            taken.popleft()
        if len(taken) >= self._limits.per_minute[path]:
            return "too fast"
        if self._limits.active_jobs is not None and self._active >= self._limits.active_jobs:
            return "too many"
        return None

    def _begin(self, path: str, product: int | None, row: Row | None) -> int:
        now = self._timeline.now
        self._taken[path].append(now * (1 - DRIFT))
        self.fullest = max(self.fullest, len(self._taken[path]))
        seconds = self._dice.uniform(0.5, 1.5) * self._seconds_per_job
        number, seen = len(self.jobs), None
        if row is None:
            self.of_others += 1
        else:
            seen = GalleryJob(
                job_id=name_of(number),
                job_type=row.kind,
                input_ids=frozenset(row.input_ids),
                created_at=self._timeline.date(-DRIFT * now),
            )
            self.unclaimed[number] = None
            self.per_path[path] += 1
            self.seconds_of_ours += seconds
        self.jobs.append(Job(product, now + seconds, seen))
        self._made_at.append(now)
        self._active += 1
        self.most_active = max(self.most_active, self._active)
        self._timeline.after(seconds, self._end, number)
        return number

    def _end(self, number: int) -> None:
        self._active -= 1
        # An event that cannot be delivered comes when the service is back.
        told = max(self._timeline.now, self.away_until())
        self._timeline.at(told + self._dice.expovariate(1 / NEWS), self.tell, number)

    def _others(self) -> None:
        path = self._dice.choice(list(self._taken))
        if self.away_until() < self._timeline.now and self._refusal(path) is None:
            self._begin(path, None, None)
        self._timeline.after(self._until_others(), self._others)

    def _until_others(self) -> float:
        return self._dice.expovariate(self._weather.others / HOUR)
