"""The whole pure core against a plain service: bytes in any pieces, cuts, losses, lost answers.

Decoder, feed, dispatcher, trackers, reconnect and governor are put together as the shell does it,
but every step is drawn: what the service does, how much of it arrives, and when anybody looks.
"""

from __future__ import annotations

import json
import math
from collections import Counter

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from piktid_async.models.jobs import JobStatus
from piktid_async.models.limits import AccountLimits
from piktid_async.protocol.backoff import Backoff
from piktid_async.protocol.dispatcher import Dispatcher
from piktid_async.protocol.governor import Governor, Place
from piktid_async.protocol.progress import Patience, Tracker
from piktid_async.protocol.reconnect import Connect, Reconnect, WaitUntil
from piktid_async.protocol.sse import Decoder

PATH, KIND = "/garment-recolor", "garment_recolor"
SLOTS, RATE, WINDOW, CAP = 2, 3, 10.0, 30.0
TOTAL = 3


@attrs.define(eq=False)
class ServiceJob:
    """What the service knows."""

    job_id: str
    done: int = 0
    notes: list[int] = attrs.Factory(list)

    @property
    def status(self) -> str:
        return "completed" if self.done == TOTAL else "processing"


@attrs.define(eq=False)
class Answer:
    """A submission that the service has taken, and whose answer is on its way."""

    place: Place
    job: ServiceJob


class CoreAgainstAService(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        # The service
        self.jobs: dict[str, ServiceJob] = {}
        self.kept: dict[int, bytes] = {}
        self.counted: list[float] = []
        self.numbers = 0
        # The line between
        self.line: bytes | None = None
        self.acks: list[int] = []
        # The client
        self.dispatcher = Dispatcher(patience=Patience(1.0, 4.0))
        self.governor = Governor(AccountLimits(SLOTS, {PATH: RATE}, WINDOW))
        self.reconnect = Reconnect(Backoff(base=0.5, cap=CAP), jitter=lambda: 1.0)
        self.decoder = Decoder()
        self.trackers: dict[str, Tracker] = {}
        self.answers: list[Answer] = []
        self.doubts: list[Answer] = []
        self.taken: Counter[int] = Counter()
        self.ended: list[str] = []

    # The service

    @precondition(lambda self: any(job.done < TOTAL for job in self.jobs.values()))
    @rule(data=st.data(), lost=st.booleans())
    def a_job_goes_on(self, data: st.DataObject, lost: bool) -> None:
        """`lost`: its notification is dropped, or deleted by somebody else."""
        running = [job for job in self.jobs.values() if job.done < TOTAL]
        job = data.draw(st.sampled_from(running))
        job.done += 1
        note = {"id_task": job.job_id, "status": job.status, "processed_images": job.done}
        self.tell(job, {**note, "total_images": TOTAL}, lost=lost)

    @rule()
    def somebody_else_has_news(self) -> None:
        self.tell(None, {"id_task": "foreign", "status": "completed"}, lost=False)

    def tell(self, job: ServiceJob | None, data: dict[str, object], *, lost: bool) -> None:
        self.numbers += 1
        note = {"id": self.numbers, "name": "batch_edit", "timestamp": 1.0, "data": data}
        sent = b"data: " + json.dumps(note).encode() + b"\n\n"
        if job is not None:
            job.notes.append(self.numbers)
        if not lost:
            self.kept[self.numbers] = sent
            if self.line is not None:
                self.line += sent

    # The line

    @precondition(lambda self: self.line is None)
    @rule(accepted=st.booleans())
    def connect(self, accepted: bool) -> None:
        action = self.reconnect.next(self.now)
        if isinstance(action, WaitUntil):
            assert self.now < action.at <= self.now + CAP
            return
        assert isinstance(action, Connect)
        self.reconnect.opening()
        if not accepted:
            self.reconnect.lost(self.now)
            return
        self.reconnect.opened(self.now)
        self.decoder = Decoder()
        backfill = [b"event: backfill\n" + sent for sent in self.kept.values()]
        self.line = b"".join(backfill) + b"event: backfill_complete\ndata: {}\n\n"

    @precondition(lambda self: self.line)
    @rule(share=st.sampled_from([0.1, 0.5, 0.9, 1.0, 1.0]))
    def some_bytes_arrive(self, share: float) -> None:
        assert self.line is not None
        size = math.ceil(len(self.line) * share)
        chunk, self.line = self.line[:size], self.line[size:]
        self.reconnect.heard(self.now)
        assert self.dispatcher.take(self.decoder.read(chunk), self.now) == []
        self.dispatcher.synced()
        self.pump()

    @precondition(lambda self: self.line is not None)
    @rule()
    def cut(self) -> None:
        self.line = None
        self.reconnect.lost(self.now)

    @precondition(lambda self: self.acks)
    @rule(data=st.data(), reaches=st.booleans())
    def an_acknowledgement_leaves(self, data: st.DataObject, reaches: bool) -> None:
        number = self.acks.pop(data.draw(st.integers(0, len(self.acks) - 1)))
        job = next((job for job in self.jobs.values() if number in job.notes), None)
        assert job is not None, "a notification of somebody else was deleted"
        assert number in self.log(job), "acknowledged before its job has taken it in"
        if reaches:
            self.kept.pop(number, None)

    # The client

    @rule(seconds=st.sampled_from([0.0, 0.3, 2.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.send_due()

    @rule()
    def submit(self) -> None:
        self.governor.join(self.governor.place(PATH, pooled=True, now=self.now))
        self.send_due()

    def send_due(self) -> None:
        for place in self.governor.due(self.now):
            self.counted.append(self.now)
            job = ServiceJob(f"job{len(self.jobs)}")
            self.jobs[job.job_id] = job
            self.answers.append(Answer(place, job))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def an_answer_comes_or_is_lost(self, data: st.DataObject, lost: bool) -> None:
        """Its job's events may have come long before."""
        answer = data.draw(st.sampled_from(self.answers))
        self.answers.remove(answer)
        if lost:
            self.governor.doubtful(answer.place, self.now)
            self.doubts.append(answer)
        else:
            self.governor.started(answer.place, answer.job.job_id, self.now)
            self.adopt(answer.job)

    @precondition(lambda self: self.doubts)
    @rule(data=st.data())
    def a_lost_job_is_found(self, data: st.DataObject) -> None:
        answer = data.draw(st.sampled_from(self.doubts))
        self.doubts.remove(answer)
        tracker = self.adopt(answer.job)
        self.dispatcher.suspect(tracker, self.now)
        self.governor.settled(answer.place, None if tracker.ended else tracker.job_id)
        self.send_due()

    @rule(answered=st.booleans())
    def statuses_are_read(self, answered: bool) -> None:
        for tracker in self.dispatcher.stale(self.now):
            if answered:
                self.read_status(tracker)
            else:
                tracker.check_at = self.now + 1.0

    def read_status(self, tracker: Tracker) -> None:
        job = self.jobs[tracker.job_id]
        told = JobStatus(
            job_id=job.job_id,
            job_type=KIND,
            status=job.status,
            processed_images=job.done,
            total_images=TOTAL,
        )
        tracker.status_read(told, self.now, self.dispatcher.patience)
        if not tracker.ended:
            self.governor.occupied(tracker.job_id)
        self.dispatcher.touched(tracker)
        self.pump()

    def adopt(self, job: ServiceJob) -> Tracker:
        made = Tracker(job.job_id, KIND, total=TOTAL, status="pending", invisible_until=0.0)
        tracker = self.trackers[job.job_id] = self.dispatcher.adopt(made, self.now)
        self.pump()
        return tracker

    def pump(self) -> None:
        self.dispatcher.changed()
        for tracker in self.dispatcher.ended():
            self.ended.append(tracker.job_id)
            self.governor.ended(tracker.job_id, self.now)
        self.dispatcher.strangers_ended()
        self.acks += [int(number) for number in self.dispatcher.acks()]
        self.send_due()

    def log(self, job: ServiceJob) -> list[int]:
        tracker = self.trackers.get(job.job_id)
        return [int(wire.id) for wire in tracker.log()] if tracker else []

    # What must hold

    @invariant()
    def each_notification_is_taken_in_once(self) -> None:
        for job in self.jobs.values():
            taken = self.log(job)
            assert len(taken) == len(set(taken))
            assert set(taken) <= set(job.notes)

    @invariant()
    def a_job_is_said_to_have_ended_only_when_it_has_and_once(self) -> None:
        assert len(self.ended) == len(set(self.ended))
        for job_id, tracker in self.trackers.items():
            assert tracker.processed <= self.jobs[job_id].done
            assert not tracker.ended or self.jobs[job_id].status == tracker.status

    @invariant()
    def the_limits_are_kept(self) -> None:
        times = sorted(self.counted)
        assert all(
            last - first >= WINDOW - 1e-9 for first, last in zip(times, times[RATE:], strict=False)
        )
        active = sum(job.done < TOTAL for job in self.jobs.values())
        held = {answer.job.job_id for answer in self.doubts}
        known = active - sum(self.jobs[job_id].done < TOTAL for job_id in held)
        assert known <= SLOTS

    @invariant()
    def slots_are_held_by_what_may_still_run(self) -> None:
        followed = {job_id for job_id, tracker in self.trackers.items() if not tracker.ended}
        assert set(self.governor.report(self.now).jobs) == followed
        assert self.governor.quota.slots_taken(self.now) >= len(followed) + len(self.answers)

    def teardown(self) -> None:
        """From any state, a line that holds and answers that come bring everything to its end."""
        for job in self.jobs.values():
            job.done = TOTAL
        while self.answers:
            answer = self.answers.pop()
            answer.job.done = TOTAL
            self.governor.started(answer.place, answer.job.job_id, self.now)
            self.adopt(answer.job)
        while self.doubts:
            answer = self.doubts.pop()
            tracker = self.adopt(answer.job)
            self.dispatcher.suspect(tracker, self.now)
            self.governor.settled(answer.place, None if tracker.ended else tracker.job_id)
        for _ in range(3):
            if self.line is None:
                self.now += CAP
                self.connect(accepted=True)
            while self.line:
                self.some_bytes_arrive(1.0)
            self.now += 10.0
            self.statuses_are_read(answered=True)
            while self.acks:
                number = self.acks.pop()
                self.kept.pop(number, None)
            self.cut()
        # What was due meanwhile was sent: those have answers to come, and nothing else is open.
        sent = {answer.job.job_id for answer in self.answers}
        assert {job_id for job_id in self.jobs if job_id not in sent} == set(self.ended)
        left = {number for number, sent_ in self.kept.items() if b'"foreign"' not in sent_}
        assert not left, "handled, replayed, and not deleted"


CoreAgainstAService.TestCase.settings = settings(
    derandomize=True, deadline=None, max_examples=60, stateful_step_count=50
)
TestCoreAgainstAService = CoreAgainstAService.TestCase
