"""One generation of an Image Playground conversation.

A conversation is one job that the service holds at `completed` all the time; each call adds a
generation to it, told apart by `image_index`, with its variations as `group_index`. So neither a
status nor the job's id says whose turn it is: a generation is followed under its own key, takes
in only its own images, and has ended when each of its variations has one, or has failed.
https://docs.piktid.com/docs/v2/image-playground
"""

from __future__ import annotations

from collections.abc import Iterable

from piktid_async.errors import GenerationUnknownError
from piktid_async.models.jobs import SETTLED, JobStatus, Output
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.progress import CONVERSATION, Patience, Tracker, TrackerKey

KIND = CONVERSATION

PICKED_UP = Patience(3.0, 15.0)


def candidates(rows: Iterable[Output], *, first: int, total: int) -> tuple[int, ...]:
    """Return the generations that may be the one just begun, of which no answer tells the index.

    `first` is the lowest that it can have: all before it were there when it was asked for. More
    than one can be there if another program goes on with the conversation, too; one with exactly
    `total` variations is then preferred to others. Without any it is the next.
    """
    groups: dict[int, set[int]] = {}
    for row in rows:
        if row.image_index >= first:
            groups.setdefault(row.image_index, set()).add(row.group_index)
    exact = [index for index, found in groups.items() if len(found) == total]
    fitting = exact or [index for index, found in groups.items() if len(found) < total]
    return tuple(sorted(fitting)) or (max(groups, default=first - 1) + 1,)


class Generation(Tracker):
    """The picture of one generation.

    Picked up by its job's id alone, its index and number of variations are unknown until the
    results were read: it is then the newest generation of the conversation.
    """

    __slots__ = ("_assumed", "_key", "_settled", "index")

    asks_results = True

    def __init__(
        self, job_id: str, *, index: int | None, total: int | None, invisible_until: float
    ) -> None:
        super().__init__(
            job_id, KIND, total=total, status="processing", invisible_until=invisible_until
        )
        self.index: int | None = index
        self._assumed = index is not None
        # Until its index is known it must not be taken for another that was picked up.
        self._key: TrackerKey = (job_id, -id(self) if index is None else index)
        self._settled: dict[int, str] = {}

    @property
    def key(self) -> TrackerKey:
        """The conversation's id with the generation's index; a negative one until it is known."""
        return self._key

    @property
    def place(self) -> TrackerKey:
        """The key that it would have by what is known now."""
        return self._key if self.index is None else (self.job_id, self.index)

    def moved(self) -> None:
        """Take the key of its place: its events find it from now on."""
        self._key = self.place

    def owns(self, output: Output) -> bool:
        """Whether an output of the conversation is of this generation."""
        return output.image_index == self.index

    def notified(self, wire: WireNotification) -> None:
        """Take in one of its images."""
        super().notified(wire)
        group, status = wire.data.get("group_index", 0), wire.data.get("status")
        if type(group) is int and group >= 0 and isinstance(status, str):
            self._settle(group, status)

    def status_read(self, status: JobStatus, now: float, patience: Patience) -> None:
        """Learn next to nothing: the status of a conversation is always `completed`."""
        self.kind_read(status.job_type)
        self.checked(now, patience, news=False)

    def checked(self, now: float, patience: Patience, *, news: bool) -> None:
        """Set the time of the next check; in no place of its own, no event finds it."""
        super().checked(now, patience if self._key == self.place else PICKED_UP, news=news)

    def results_read(self, status: str, rows: tuple[Output, ...], kind: str | None = None) -> None:
        """Take in its own rows of the conversation's results."""
        del status
        self.kind_read(kind)
        if self.index is None and rows:
            self.index = max(row.image_index for row in rows)
            self._merge(None, None, sum(row.image_index == self.index for row in rows), None)
        elif self._assumed:
            self._check_count({row.group_index for row in rows if self.owns(row)})
        own = [row for row in rows if row.image_index == self.index and row.status in SETTLED]
        self._look().update({row.key: row for row in own})
        for row in own:
            self._settle(row.group_index, row.status)

    def _check_count(self, groups: set[int]) -> None:
        if self.total is not None and len(groups) > self.total:
            counts = f"{len(groups)} outputs, and {self.total} were asked for"
            words = f"generation {self.index} has {counts}: it is another program's"
            self.fail(GenerationUnknownError(self.job_id, words))

    def _settle(self, group: int, status: str) -> None:
        if status in SETTLED:
            self._settled.setdefault(group, status)
        self._merge(None, len(self._settled), None, None)
        if self.total is not None and self.processed >= self.total:
            # A variation that failed is that image's matter, as in every other job.
            failed = all(each == "failed" for each in self._settled.values())
            self._merge("failed" if failed else "completed", None, None, None)
