"""What became of each notification that was seen.

Nearly all of them are done with, and within the service's retention there may be tens of thousands.
So the numbers of those stand in a sorted array, eight bytes each; a dictionary holds the others. A
service counts its notifications upwards: the lowest numbers are the oldest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection
from typing import TypeGuard

from piktid_async.types import NoteId

_LARGEST = 2**63 - 1


class States:
    """The state of each notification; one state, which most of them end in, costs little."""

    def __init__(self, usual: int) -> None:
        self._usual = usual
        self._numbers = array("q")
        self.highest: int = -_LARGEST
        """No number above it has been seen."""
        self._others: dict[NoteId, int] = {}

    def __len__(self) -> int:
        return len(self._numbers) + len(self._others)

    def __contains__(self, note_id: NoteId) -> bool:
        return self.get(note_id) is not None

    def __setitem__(self, note_id: NoteId, state: int) -> None:
        if isinstance(note_id, int) and note_id > self.highest:
            self.highest = note_id
        if state != self._usual or not _fits(note_id):
            self._drop(note_id)
            self._others[note_id] = state
        elif (place := self._place(note_id)) is not None:
            self._others.pop(note_id, None)
            # At the end, as a rule; elsewhere it moves less memory than a picture has.
            self._numbers.insert(place, note_id)

    def __delitem__(self, note_id: NoteId) -> None:
        if self._others.pop(note_id, None) is None:
            self._drop(note_id)

    def extend(self, numbers: list[int]) -> None:
        """Put numbers above `highest`, in rising order, into the usual state."""
        if numbers and numbers[-1] <= _LARGEST:
            self._numbers.extend(numbers)
            self.highest = numbers[-1]
        else:
            for number in numbers:
                self[number] = self._usual

    def get(self, note_id: NoteId) -> int | None:
        """Return the state; None for one that was never seen, or is forgotten."""
        state = self._others.get(note_id)
        if state is None and _fits(note_id) and self._place(note_id) is None:
            return self._usual
        return state

    def forget(self, *, held: Collection[NoteId], never: int) -> None:
        """Forget the oldest tenth, except those that are held, or in a state never to forget."""
        count = len(self._numbers) // 10 + 1
        oldest = self._numbers[:count]
        self._numbers[:count] = array("q", filter(held.__contains__, oldest) if held else ())
        free = [each for each, state in self._others.items() if state != never and each not in held]
        for note_id in free[: len(self._others) // 10 + 1]:
            del self._others[note_id]

    def _place(self, number: NoteId) -> int | None:
        """Return where a number belongs in the array; None if it is there."""
        place = bisect_left(self._numbers, number)
        there = place < len(self._numbers) and self._numbers[place] == number
        return None if there else place

    def _drop(self, note_id: NoteId) -> None:
        if _fits(note_id) and self._place(note_id) is None:
            del self._numbers[bisect_left(self._numbers, note_id)]


def _fits(note_id: NoteId) -> TypeGuard[int]:
    return isinstance(note_id, int) and -_LARGEST <= note_id <= _LARGEST
