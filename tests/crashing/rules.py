"""Rules of the judge about the journal's order and about reads, without a clock."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence

from tests.crashing.oplog import Read, Sent

Place = tuple[str, int]
"""The id of a write, and its position in the journal."""


def overtaken(log: Iterable[Place], may_pass: Callable[[Place, Place], bool]) -> list[str]:
    """Return the writes that were first applied behind one with a later position.

    ``log``: the journalled writes in the order of application. ``may_pass``: whether the first one,
    which is later in the journal, may be applied before the second one.
    """
    wrong: list[str] = []
    seen: set[str] = set()
    before: list[Place] = []
    newest = 0
    for place in log:
        name, position = place
        if name in seen:
            continue
        seen.add(name)
        if position < newest:
            passing = (one for one in before if one[1] > position and not may_pass(one, place))
            if (other := next(passing, None)) is not None:
                wrong.append(f"{name} at {position} by {other[0]} at {other[1]}")
        newest = max(newest, position)
        before.append(place)
    return wrong


def old_reads(
    reads: Iterable[Read], sent: Iterable[Sent], applied: Sequence[str], exempt: set[str]
) -> list[str]:
    """Return the reads that do not show a write that was acknowledged before they were sent.

    A read may show that write or one that was applied later. ``exempt``: ids of writes whose
    outcome is unknown.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for number, name in enumerate(applied):
        first.setdefault(name, number)
        last[name] = number
    known = [w for w in sent if w.acknowledged_at is not None and w.id in first]
    pages = {page: _Newest() for page in {write.url for write in known}}
    for write in sorted(known, key=lambda write: write.acknowledged_at or 0.0):
        if write.id not in exempt:
            pages[write.url].add(write.acknowledged_at or 0.0, first[write.id], write.id)
    wrong = []
    for read in reads:
        number, name = pages[read.page].before(read.at) if read.page in pages else (-1, "")
        shown = -1 if read.value is None else last[read.value]
        if number > shown:
            wrong.append(f"{read.page} showed {read.value} without {name}")
    return wrong


class _Newest:
    """The newest of the acknowledged writes to one page, by time."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._newest: list[tuple[int, str]] = []

    def add(self, at: float, number: int, name: str) -> None:
        """Add a write that was acknowledged at ``at``, not before those that were added already."""
        before = self._newest[-1] if self._newest else (-1, "")
        self._times.append(at)
        self._newest.append(max(before, (number, name)))

    def before(self, at: float) -> tuple[int, str]:
        """Return the place and the id of the newest write acknowledged before ``at``."""
        index = bisect.bisect_left(self._times, at)
        return self._newest[index - 1] if index else (-1, "")
