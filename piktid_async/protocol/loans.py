"""Notifications that feeds work on, and how each came back.

A feed that crashes gives its notification back. Whatever the other feeds do with theirs, it then
counts as unhandled, until another feed has taken and handled it. A feed that is closed in good
order passes on what it has not read: that stands in nobody's way.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from piktid_async.types import NoteId

How: TypeAlias = Literal["handled", "passed", "given back"]
Outcome: TypeAlias = Literal["handled", "handled as ours", "passed", "unhandled"]


@attrs.define(eq=False)
class _Loan:
    left: int
    """Feeds that have not come back."""
    handled: bool = False
    """A feed has handled it."""
    ours: bool = False
    """A feed that may acknowledge foreign ones has handled it."""
    unhandled: bool = False
    """A feed has given it back, and no other has taken it since."""


class Loans:
    """Count the feeds that work on each notification."""

    def __init__(self) -> None:
        self._loans: dict[NoteId, _Loan] = {}

    def __contains__(self, note_id: NoteId) -> bool:
        return note_id in self._loans

    def lend(self, note_id: NoteId, feeds: int) -> None:
        """Note that so many feeds have got it."""
        self._loans[note_id] = _Loan(feeds)

    def lend_again(self, note_id: NoteId) -> bool:
        """Give what was given back to one feed more; False if there is nothing to give."""
        loan = self._loans.get(note_id)
        if loan is None or not loan.unhandled:
            return False
        loan.left, loan.unhandled = loan.left + 1, False
        return True

    def back(self, note_id: NoteId, how: How, *, ours: bool = False) -> Outcome | None:
        """Note that one feed is done; the last to come back gets the outcome."""
        loan = self._loans.get(note_id)
        if loan is None:
            return None
        loan.left -= 1
        loan.handled |= how == "handled"
        loan.ours |= how == "handled" and ours
        loan.unhandled |= how == "given back"
        if loan.left > 0:
            return None
        del self._loans[note_id]
        if loan.unhandled:
            return "unhandled"
        if not loan.handled:
            return "passed"
        return "handled as ours" if loan.ours else "handled"

    def forget(self, note_id: NoteId) -> None:
        """Note that it was acknowledged meanwhile: what the feeds do no longer matters."""
        self._loans.pop(note_id, None)
