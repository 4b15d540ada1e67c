"""A month of a million products over a hundred workers, in virtual time: what is paid, and when.

    python benchmarks/simulation.py                        # all scenarios, about half an hour
    python benchmarks/simulation.py --only normal --products 50000
    python benchmarks/simulation.py --short                # seconds, on a real journal file

No server and no sockets. The queue before the limits (`Governor`), the steps of the ledger and
the rule by which doubts are settled are the package's own code; the service, the network, the
workers' deaths and the passing of time are modelled. No schedule can be shorter than the bound.

Exit codes: 0 all is well, 1 an invariant is broken, or the control pays nothing twice.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import attrs
from simulation_desk import Desk
from simulation_ledger import InMemory, Ledger, OnDisk
from simulation_service import HOUR, MONTH, PRICE, Service, Weather
from simulation_timeline import Timeline
from simulation_workers import Fleet, Forgetful
from tables import table

from piktid_async.batch.ledger import WITH_JOB, State
from piktid_async.models.limits import AccountLimits

PATHS = ("/garment-recolor", "/create-packshot", "/model-swap", "/flat-2-model")
NORMAL = AccountLimits(active_jobs=5, per_minute=dict.fromkeys(PATHS, 5))
ENTERPRISE = AccountLimits(active_jobs=50, per_minute=dict.fromkeys(PATHS, 30))
CALM = Weather(skew=2.0)
STORM = Weather(
    lost=0.003,
    bad_gateway=0.001,
    kills=20.0,
    freezes=10.0,
    outages=20,
    others=30.0,
    skew=200.0,
)
ALONE = attrs.evolve(STORM, others=0.0, freezes=0.0)
"""No jobs of others, and nobody who wakes up with a request in hand: nothing may be refused."""
HARSHER = ("lost", "bad_gateway", "kills", "freezes")
SECONDS_PER_JOB = 20.0
FEWEST = 500
DAY = 24 * HOUR


@attrs.frozen(kw_only=True)
class Scenario:
    """Whose limits, and what goes wrong."""

    name: str
    limits: AccountLimits
    weather: Weather
    share: float = 1.0
    """Of the products that were asked for."""
    paths: tuple[str, ...] = PATHS
    ledger: bool = True
    short: bool = False
    """Whether the short form has it, too."""

    def harsher(self, times: float) -> Scenario:
        """Have more go wrong, so that all of it does in a short time."""
        weather = self.weather
        rates = {name: times * getattr(weather, name) for name in HARSHER}
        return attrs.evolve(self, weather=attrs.evolve(weather, **rates))


SCENARIOS = (
    Scenario(name="enterprise, calm", limits=ENTERPRISE, weather=CALM),
    Scenario(name="enterprise", limits=ENTERPRISE, weather=STORM, short=True),
    Scenario(name="normal, calm", limits=NORMAL, weather=CALM, short=True),
    Scenario(name="normal, alone", limits=NORMAL, weather=ALONE, short=True),
    Scenario(name="normal", limits=NORMAL, weather=STORM, short=True),
    Scenario(name="normal, one endpoint", limits=NORMAL, weather=STORM, paths=PATHS[:1]),
    Scenario(
        name="no ledger",
        limits=ENTERPRISE,
        weather=STORM,
        share=0.05,
        ledger=False,
        short=True,
    ),
)


@attrs.frozen(kw_only=True)
class Found:
    """What a run has come to."""

    scenario: Scenario
    products: int
    done: int
    days: float
    bound: float
    """Days that no schedule of the same jobs can fall below."""
    twice: int
    """Jobs that were paid beside the one that each product needs."""
    lost: int
    """Jobs that were paid, and are nobody's although all is over."""
    in_doubt: int
    too_fast: int
    too_many: int
    writes: float
    """Transactions a product."""
    pages: int
    """Of the gallery that were read."""
    happened: dict[str, int]
    events: int
    seconds: float
    broken: tuple[str, ...]
    """Invariants that do not hold."""

    HEAD = (
        *("scenario", "products", "done", "days", "best", "ratio", "twice", "lost", "in doubt"),
        *("429 rate", "429 jobs", "writes", "pages", "events/s"),
    )

    def row(self) -> tuple[object, ...]:
        """Return the line of the table."""
        return (
            *(self.scenario.name, self.products, self.done),
            *(f"{self.days:.2f}", f"{self.bound:.2f}", f"{self.days / self.bound:.3f}"),
            *(self.twice, self.lost, self.in_doubt, self.too_fast, self.too_many),
            *(f"{self.writes:.3f}", self.pages, f"{self.events / self.seconds:.0f}"),
        )


def play(scenario: Scenario, chosen: argparse.Namespace, journal: Path | None) -> Found:
    """Run one scenario to its end, or the month's."""
    began, dice, timeline = time.monotonic(), random.Random(chosen.seed), Timeline()
    products = max(math.ceil(chosen.products * scenario.share), min(chosen.products, FEWEST))
    service = Service(
        timeline,
        scenario.limits,
        scenario.weather,
        dice,
        products=products,
        seconds_per_job=SECONDS_PER_JOB,
    )
    shelf = InMemory() if journal is None else OnDisk(journal, timeline)
    ledger = Ledger(shelf, timeline)
    fleet = (Fleet if scenario.ledger else Forgetful)(
        timeline,
        service,
        ledger,
        Desk(timeline, scenario.limits),
        scenario.weather,
        dice,
        paths=scenario.paths,
        products=products,
        workers=chosen.workers,
        in_hand=2,
    )
    fleet.start()
    timeline.run(MONTH, fleet.over)
    while fleet.over():
        # The run's last look at its doubts, when the gallery has had time to list all.
        timeline.run(timeline.now + HOUR, lambda: False)
        if not fleet.look():
            break
        timeline.run(MONTH, fleet.over)
    fleet.look()
    found = summed_up(scenario, service, ledger, fleet, timeline, products)
    if isinstance(shelf, OnDisk):
        shelf.close()
    return attrs.evolve(found, seconds=time.monotonic() - began)


def summed_up(
    scenario: Scenario,
    service: Service,
    ledger: Ledger,
    fleet: Fleet,
    timeline: Timeline,
    products: int,
) -> Found:
    """Count, and compare the books of both sides."""
    states = ledger.totals.states
    wanted: Counter[int] = Counter()
    paid: Counter[int] = Counter()
    for product in range(products):
        content = product - 4 if product % 10 == 9 else product
        wanted[content] += 1
        paid[content] += service.paid[product]
    twice = sum(max(0, paid[each] - wanted[each]) for each in wanted)
    lost = len(service.unclaimed) if fleet.over() else 0
    found = Found(
        scenario=scenario,
        products=products,
        done=fleet.done,
        days=fleet.done_at / DAY,
        bound=best(scenario.limits, service) / DAY,
        twice=twice,
        lost=lost,
        in_doubt=states[State.IN_DOUBT],
        too_fast=service.said["too fast"],
        too_many=service.said["too many"],
        writes=ledger.writes / sum(states.values()),
        pages=service.pages,
        happened={**fleet.happened, "lost answers": service.lost, "others": service.of_others},
        events=timeline.events,
        seconds=math.nan,
        broken=(),
    )
    return attrs.evolve(found, broken=broken(found, service, ledger, fleet))


def best(limits: AccountLimits, service: Service) -> float:
    """Return the seconds below which no schedule of the jobs that were made can fall."""
    by_windows = max(
        (math.ceil(made / limits.per_minute[path]) - 1) * limits.window
        for path, made in service.per_path.items()
    )
    assert limits.active_jobs is not None
    return max(by_windows, service.seconds_of_ours / limits.active_jobs)


def broken(found: Found, service: Service, ledger: Ledger, fleet: Fleet) -> tuple[str, ...]:
    """Return the invariants that do not hold."""
    scenario, states = found.scenario, ledger.totals.states
    limits, weather = scenario.limits, scenario.weather
    alone = not (weather.others or weather.freezes)
    with_job = sum(states[state] for state in WITH_JOB)
    ended = sum(states[state] for state in (State.TERMINAL, State.SAVED, State.DONE))
    open_rows = states[State.IN_DOUBT] + states[State.INTENT]
    checks = {
        "a window held more than its limit": service.fullest > max(limits.per_minute.values()),
        "more jobs than slots were active": service.most_active > (limits.active_jobs or 0),
        "a submission was refused although nobody else was there": alone
        and found.too_fast + found.too_many > 0,
        "a product was paid twice": found.twice > 0,
        "a job was lost": found.lost > 0,
        "a job is in the books of neither side": sum(service.paid)
        != with_job + len(service.unclaimed),
        "more jobs are open than submissions": len(service.unclaimed) > open_rows,
        "the credits differ": not math.isclose(ledger.totals.used, ended * PRICE),
        "a product is neither done nor in doubt": fleet.over()
        and found.done + found.in_doubt != found.products,
    }
    return tuple(words for words, wrong in checks.items() if wrong)


def main() -> int:
    """Play what was chosen, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--products", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--journal", action="store_true", help="keep rows in a real journal file")
    parser.add_argument("--short", action="store_true", help="500 products, with --journal")
    chosen = parser.parse_args()
    scenarios = [each for each in SCENARIOS if chosen.only in (None, each.name)]
    if chosen.short:
        chosen.products, chosen.journal = 500, True
        scenarios = [each.harsher(10) for each in scenarios if each.short]
    print(f"Python {platform.python_version()} on {platform.machine()}, seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="piktid-simulation-") as folder:
        runs = []
        for number, scenario in enumerate(scenarios):
            journal = Path(folder, f"{number}.sqlite") if chosen.journal else None
            runs.append(play(scenario, chosen, journal))
            print(f"{scenario.name}: {runs[-1].seconds:.0f} s", file=sys.stderr, flush=True)
    print(table(Found.HEAD, [run.row() for run in runs]))
    well = True
    for run in runs:
        told = ", ".join(f"{times} {what}" for what, times in sorted(run.happened.items()))
        print(f"\n{run.scenario.name}: {told}")
        if run.scenario.ledger:
            well &= not run.broken
            for words in run.broken:
                print(f"FAILED: {words}")
        elif not run.twice:
            well = False
            print("FAILED: without a ledger nothing was paid twice, so this proves nothing")
    print("\nall is well" if well else "\nFAILED")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
