"""Workers that die and freeze, what they do with a product, and who takes it up after them."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import attrs
from simulation_desk import Desk
from simulation_ledger import Ledger
from simulation_service import HOUR, PRICE, Answer, Service, Weather, name_of
from simulation_timeline import BEGAN, Timeline

from piktid_async.batch.ledger import LedgerError, Row, State
from piktid_async.batch.settle import CLOCK_SKEW, assign
from piktid_async.protocol.governor import Governor, Place

UPLOADING, DOWNLOADING = 1.0, 0.5
COMMITTING = 0.005
"""Seconds between a turn and its intent, and between the intent and the first byte."""
ON_THE_WAY = 0.1
"""Seconds that a request takes to arrive, and its answer to come back, in the mean."""
SOONEST = 0.01
PATIENCE = 30.0
"""Seconds that an answer is waited for."""
BEFORE_A_LOOK = 2.0
BEFORE_A_RETRY = 30.0
HEARTBEAT = 60.0
"""Seconds without a sign of life after which a worker is taken for dead."""
RESTART = 10.0
ON_A_MACHINE = 10
"""Workers that die and freeze together."""


@attrs.define(eq=False)
class Task:
    """One product in a worker's hands."""

    product: int
    worker: Worker
    path: str
    place: Place | None = None
    row: Row | None = None
    """As it was when the request left."""
    sent: bool = False
    doubted: bool = False

    @property
    def key(self) -> str:
        """Name it in the ledger."""
        return f"product-{self.product}"

    @property
    def content(self) -> int:
        """Return its image: every tenth product is the twin of the fourth before it."""
        return self.product - 4 if self.product % 10 == 9 else self.product


class Worker:
    """One process, and the processes that follow it."""

    def __init__(self, timeline: Timeline, fast: float, fill: Callable[[Worker], None]) -> None:
        self._timeline = timeline
        self._fill = fill
        self._life = 0
        self._frozen_until = 0.0
        self.fast = fast
        """Seconds by which its clock is."""
        self.tasks: set[Task] = set()

    def soon(self, seconds: float, what: Callable[..., None], *about: Any) -> None:
        """Do something later, unless it is dead by then; a frozen one does it when it wakes."""
        self._timeline.after(seconds, self._act, self._life, what, about)

    def fill(self) -> None:
        """Take up as many products as it may."""
        self._fill(self)

    def freeze(self, seconds: float) -> None:
        """Do nothing for a while."""
        self._frozen_until = max(self._frozen_until, self._timeline.now + seconds)
        self.soon(seconds, self.fill)

    def die(self) -> set[Task]:
        """End at once; another process follows in a while."""
        self._life += 1
        self._frozen_until = 0.0
        tasks, self.tasks = self.tasks, set()
        self.soon(RESTART, self.fill)
        return tasks

    def _act(self, life: int, what: Callable[..., None], about: tuple[Any, ...]) -> None:
        if life != self._life:
            return
        if self._timeline.now < self._frozen_until:
            self._timeline.at(self._frozen_until, self._act, life, what, about)
            return
        what(*about)


class Fleet:
    """All workers, over one ledger and one desk."""

    def __init__(
        self,
        timeline: Timeline,
        service: Service,
        ledger: Ledger,
        desk: Desk,
        weather: Weather,
        dice: random.Random,
        *,
        paths: Sequence[str],
        products: int,
        workers: int,
        in_hand: int,
    ) -> None:
        self._timeline, self._service, self._ledger, self._desk = timeline, service, ledger, desk
        self._weather, self._dice, self._paths = weather, dice, paths
        self._products = products
        self._in_hand = in_hand
        self._new = 0
        self._returned: deque[int] = deque()
        self._workers = [
            Worker(timeline, dice.uniform(-weather.skew, weather.skew), self._fill)
            for _ in range(workers)
        ]
        self._idle: dict[Worker, None] = {}
        self._followers: dict[int, Task] = {}
        """By job."""
        self._doubts: dict[str, Task] = {}
        self._under_way = 0
        self.done = 0
        self.done_at = 0.0
        self.happened: Counter[str] = Counter()
        service.tell = self._told

    def start(self) -> None:
        """Begin, and let things go wrong."""
        for worker in self._workers:
            worker.fill()
        self._befall("kills", self._weather.kills, self._kill)
        self._befall("freezes", self._weather.freezes, self._freeze)

    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self._new == self._products and not self._under_way and not self._returned

    def look(self, keys: Iterable[str] | None = None) -> int:
        """Look for the jobs of submissions in doubt: of all, or since those of these keys."""
        if self._service.away_until() > self._timeline.now:
            return 0
        rows = self._ledger.rows((State.IN_DOUBT, State.INTENT))
        wanted = None if keys is None else set(keys)
        doubts = [
            row.t_intent or row.updated
            for row in rows
            if row.state is State.IN_DOUBT and (wanted is None or row.key in wanted)
        ]
        if not doubts:
            return 0
        since = datetime.fromisoformat(min(doubts)) - CLOCK_SKEW
        jobs = list(self._service.listed((since - BEGAN).total_seconds()))
        found = assign(rows, jobs)
        for key, job_id in found.items():
            self._found(key, job_id)
        return len(found)

    # One product, from the list to the disk

    def _fill(self, worker: Worker) -> None:
        while len(worker.tasks) < self._in_hand:
            product = self._drawn()
            if product is None:
                self._idle[worker] = None
                return
            task = Task(product, worker, self._paths[product % len(self._paths)])
            worker.tasks.add(task)
            self._under_way += 1
            self._begin(task)

    def _drawn(self) -> int | None:
        if self._returned:
            return self._returned.popleft()
        if self._new == self._products:
            return None
        self._new += 1
        return self._new - 1

    def _begin(self, task: Task) -> None:
        row = self._ledger.draw(task.key)
        if row.state is State.PENDING:
            self._do(task, UPLOADING, self._uploaded)
        elif row.job_id is not None and row.state is not State.DONE:
            self._follow(task, row)
        else:
            self._drop(task)  # done, or in the hands of a worker that was taken for dead

    def _uploaded(self, task: Task) -> None:
        self._ledger.upload(str(task.content))
        self._queue(task)

    def _queue(self, task: Task) -> None:
        task.place = self._desk.join(task.path, partial(self._do, task, COMMITTING, self._intend))

    def _intend(self, task: Task) -> None:
        written = self._timeline.date(task.worker.fast).isoformat(timespec="milliseconds")
        task.row = self._ledger.intend(
            task.key,
            {
                "intent_id": f"{self._dice.getrandbits(32):08x}",
                "t_intent": written,
                "fingerprint": f"print-{task.content}",
                "images": (str(task.content),),
                "kind": task.path,
                "input_ids": (f"file-{task.content}",),
                "total_outputs": 1,
                "estimate": PRICE,
            },
        )
        self._do(task, COMMITTING, self._send)

    def _send(self, task: Task) -> None:
        # What has left arrives, whatever becomes of the worker.
        task.sent = True
        self._timeline.after(self._latency(), self._arrived, task)

    def _arrived(self, task: Task) -> None:
        assert task.row is not None
        answer = self._service.submit(task.product, task.row, task.path)
        if answer.arrives:
            self._do(task, self._latency(), self._answered, answer)
        else:
            self._do(task, PATIENCE, self._lost)

    def _answered(self, task: Task, answer: Answer) -> None:
        if answer.said == "made":
            self._made(task, answer.job)
        elif answer.said == "bad gateway":
            self._lost(task)
        else:
            self._not_taken(task, answer)

    def _made(self, task: Task, job: int) -> None:
        place, job_id = task.place, name_of(job)
        assert place is not None
        if not task.doubted and place.grant is not None:
            self._desk.change(lambda governor, now: governor.started(place, job_id, now))
        elif self._service.running(job):  # the others took this worker for dead
            self._desk.change(lambda governor, _: governor.occupied(job_id))
        row = self._ledger.move(task.key, State.SUBMITTED, job_id=job_id)
        self._service.unclaimed.pop(job, None)
        self._follow(task, row)

    def _not_taken(self, task: Task, answer: Answer) -> None:
        place = task.place
        assert place is not None
        task.sent = False
        self._ledger.withdraw(task.key)
        if task.doubted or place.grant is None:  # the others took this worker for dead
            if not task.doubted:
                self._return(task.product)
            self._drop(task)
        elif answer.said == "away":
            self._desk.leave(place)
            self._do(task, BEFORE_A_RETRY, self._queue)
        else:
            many = answer.said == "too many"
            self._desk.change(
                lambda governor, now: governor.refused(
                    place, now, retry_after=None, active_jobs=many
                )
            )
            self._desk.join_again(place, partial(self._do, task, COMMITTING, self._intend))

    def _lost(self, task: Task) -> None:
        reason = "no answer has come"
        self._ledger.move(task.key, State.IN_DOUBT, reason=reason)
        self._hold(task)
        self._do(task, BEFORE_A_LOOK, self._look_for)

    def _look_for(self, task: Task) -> None:
        if self._service.away_until() <= self._timeline.now:
            self.look([task.key])
            self._given_up(task)
        # Else nobody could look: the governor holds the slot for a while.
        self._drop(task)

    def _follow(self, task: Task, row: Row) -> None:
        assert row.job_id is not None
        job = int(row.job_id.removeprefix("job-"))
        if row.state is State.SUBMITTED and self._service.running(job):
            self._followers[job] = task
        elif row.state is State.SUBMITTED:
            self._do(task, self._latency(), self._ended)
        elif row.state is State.TERMINAL:
            self._do(task, DOWNLOADING, self._saved)
        else:
            self._do(task, COMMITTING, self._handed_out)

    def _ended(self, task: Task) -> None:
        told = {"status": "completed", "credits_used": PRICE, "made": 1}
        self._ledger.move(task.key, State.TERMINAL, **told)
        self._do(task, DOWNLOADING, self._saved)

    def _saved(self, task: Task) -> None:
        self._ledger.move(task.key, State.SAVED)
        self._do(task, COMMITTING, self._handed_out)

    def _handed_out(self, task: Task) -> None:
        self._ledger.move(task.key, State.DONE)
        self.done += 1
        self.done_at = self._timeline.now
        self._drop(task)

    # What goes wrong

    def _do(self, task: Task, seconds: float, what: Callable[..., None], *about: Any) -> None:
        task.worker.soon(seconds, self._tried, task, what, *about)

    def _tried(self, task: Task, what: Callable[..., None], *about: Any) -> None:
        try:
            what(task, *about)
        except LedgerError:  # others have gone on with it: it was taken for dead
            self.happened["late steps"] += 1
            if not (task.sent or task.doubted):
                self._leave(task)
            self._drop(task)

    def _drop(self, task: Task) -> None:
        if task in task.worker.tasks:
            task.worker.tasks.remove(task)
            self._under_way -= 1
        task.worker.fill()

    def _told(self, job: int) -> None:
        """Hear from the shared inbox that a job has ended."""
        job_id = name_of(job)
        if job in self._service.unclaimed or self._service.jobs[job].product is None:
            self._desk.change(lambda governor, _: governor.quota.stranger_ended())
        else:
            self._desk.change(lambda governor, now: governor.ended(job_id, now))
        task = self._followers.pop(job, None)
        if task is not None:
            self._do(task, 0.0, self._ended)

    def _kill(self, machine: Sequence[Worker]) -> None:
        for worker in machine:
            self._timeline.after(HEARTBEAT, self._take_over, worker.die())

    def _freeze(self, machine: Sequence[Worker]) -> None:
        seconds = self._dice.expovariate(1 / self._weather.frozen)
        self.happened["frozen longer than the heartbeat"] += seconds > HEARTBEAT
        for worker in machine:
            worker.freeze(seconds)
            if seconds > HEARTBEAT:
                self._timeline.after(HEARTBEAT, self._take_from, worker)

    def _take_from(self, worker: Worker) -> None:
        tasks, worker.tasks = worker.tasks, set()
        self._take_over(tasks)

    def _take_over(self, tasks: set[Task]) -> None:
        """Go on with what a dead worker, or one taken for dead, had in hand."""
        self._under_way -= len(tasks)
        for task in sorted(tasks, key=lambda task: task.product):
            row = self._ledger.draw(task.key)
            if row.state is State.INTENT:
                self.happened["caught in intent"] += 1
                reason = "the program ended before the answer came"
                self._ledger.move(task.key, State.IN_DOUBT, reason=reason)
                self._hold(task)
            elif row.state is State.PENDING:
                self._leave(task)
                self._return(task.product)
            elif row.state is State.IN_DOUBT:
                self._hold(task)
            elif row.state is not State.DONE:
                self._return(task.product)
        self.look(task.key for task in tasks)

    def _return(self, product: int) -> None:
        self._returned.append(product)
        if self._idle:
            worker = next(iter(self._idle))
            del self._idle[worker]
            worker.soon(0.0, worker.fill)

    # Doubts

    def _hold(self, task: Task) -> None:
        task.doubted = True
        self._doubts[task.key] = task
        place = task.place
        if place is not None and place.grant is not None:
            self._desk.change(lambda governor, now: governor.doubtful(place, now))

    def _given_up(self, task: Task) -> None:
        """Free the slot of a job that was looked for and not found."""
        self._doubts.pop(task.key, None)
        self._settle(task, None)

    def _found(self, key: str, job_id: str) -> None:
        job = int(job_id.removeprefix("job-"))
        self._ledger.move(key, State.SUBMITTED, job_id=job_id, reason="found in the gallery")
        self._service.unclaimed.pop(job, None)
        self.happened["settled"] += 1
        running = job_id if self._service.running(job) else None
        self._settle(self._doubts.pop(key, None), running)
        self._return(int(key.removeprefix("product-")))

    def _settle(self, held: Task | None, running: str | None) -> None:
        def settle(governor: Governor, _: float) -> None:
            if held is not None and held.place is not None and held.place.grant is not None:
                governor.settled(held.place, None)
            if running is not None:
                governor.occupied(running)

        self._desk.change(settle)

    def _leave(self, task: Task) -> None:
        if task.place is not None:
            self._desk.leave(task.place)

    def _befall(self, name: str, an_hour: float, what: Callable[[Sequence[Worker]], None]) -> None:
        if not an_hour:
            return

        def befall() -> None:
            self.happened[name] += 1
            first = self._dice.randrange(0, len(self._workers), ON_A_MACHINE)
            what(self._workers[first : first + ON_A_MACHINE])
            self._timeline.after(self._dice.expovariate(an_hour / HOUR), befall)

        self._timeline.after(self._dice.expovariate(an_hour / HOUR), befall)

    def _latency(self) -> float:
        return SOONEST + self._dice.expovariate(1 / ON_THE_WAY)


class Forgetful(Fleet):
    """A control without a ledger: it sends again what has no answer, and forgets what it had."""

    def _lost(self, task: Task) -> None:
        super()._lost(task)
        self._given_up(task)
        self._forget(task.key)
        task.sent = task.doubted = False

    def _look_for(self, task: Task) -> None:
        self._queue(task)

    def _take_over(self, tasks: set[Task]) -> None:
        for task in tasks:
            self._forget(task.key)
        super()._take_over(tasks)

    def look(self, keys: Iterable[str] | None = None) -> int:  # noqa: ARG002
        """Find nothing: nobody has written down what to look for."""
        return 0

    def _forget(self, key: str) -> None:
        state = self._ledger.draw(key).state
        steps: dict[State, tuple[State, ...]] = {
            State.INTENT: (State.IN_DOUBT, State.PENDING),
            State.IN_DOUBT: (State.PENDING,),
            State.SUBMITTED: (State.FAILED, State.PENDING),
            State.TERMINAL: (State.FAILED, State.PENDING),
        }
        for step in steps.get(state, ()):
            self._ledger.move(key, step)
