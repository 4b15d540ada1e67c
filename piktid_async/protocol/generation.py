"""One generation of an Image Playground conversation.

A conversation is one job that the service holds at `completed` all the time; each call adds a
generation to it, told apart by `image_index`, with its variations as `group_index`. So neither a
status nor the job's id says whose turn it is: a generation is followed under its own key, takes
in only its own images, and has ended when each of its variations has one, or has failed.
https://docs.piktid.com/docs/v2/image-playground
"""

from __future__ import annotations

from piktid_async.models.jobs import SETTLED, JobStatus, Output
from piktid_async.models.notifications import WireNotification
from piktid_async.protocol.progress import Patience, Tracker, TrackerKey

KIND = "edit_chat"

PICKED_UP = Patience(3.0, 15.0)


class Generation(Tracker):
    """The picture of one generation.

    Picked up by its job's id alone, its index and number of variations are unknown until the
    results were read: it is then the newest generation of the conversation.
    """

    __slots__ = ("_key", "_settled", "index")

    asks_results = True

    def __init__(
        self, job_id: str, *, index: int | None, total: int | None, invisible_until: float
    ) -> None:
        super().__init__(
            job_id, KIND, total=total, status="processing", invisible_until=invisible_until
        )
        self.index: int | None = index
        self._key: TrackerKey = (job_id, index)
        self._settled: dict[int, str] = {}

    @property
    def key(self) -> TrackerKey:
        """The conversation's id with the generation's index, as it was when it was adopted."""
        return self._key

    def owns(self, output: Output) -> bool:
        """Whether an output of the conversation is of this generation."""
        return output.image_index == self.index

    def notified(self, wire: WireNotification) -> None:
        """Take in one of its images."""
        super().notified(wire)
        group, status = wire.data.get("group_index", 0), wire.data.get("status")
        if isinstance(group, int) and isinstance(status, str):
            self._settle(group, status)

    def status_read(self, status: JobStatus, now: float, patience: Patience) -> None:
        """Learn nothing: the status of a conversation is always `completed`."""
        del status
        self.checked(now, patience, news=False)

    def checked(self, now: float, patience: Patience, *, news: bool) -> None:
        """Set the time of the next check; without an index, no event finds this generation."""
        super().checked(now, PICKED_UP if self._key == (self.job_id, None) else patience, news=news)

    def results_read(self, status: str, rows: tuple[Output, ...]) -> None:
        """Take in its own rows of the conversation's results."""
        del status
        if self.index is None and rows:
            self.index = max(row.image_index for row in rows)
            self._merge(None, None, sum(row.image_index == self.index for row in rows), None)
        own = [row for row in rows if row.image_index == self.index and row.status in SETTLED]
        self._look().update({row.key: row for row in own})
        for row in own:
            self._settle(row.group_index, row.status)

    def _settle(self, group: int, status: str) -> None:
        if status in SETTLED:
            self._settled.setdefault(group, status)
        self._merge(None, len(self._settled), None, None)
        if self.total is not None and self.processed >= self.total:
            # A variation that failed is that image's matter, as in every other job.
            failed = all(each == "failed" for each in self._settled.values())
            self._merge("failed" if failed else "completed", None, None, None)
