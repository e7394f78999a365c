"""Pages that a write changed so shortly before a blackout that nobody could fetch them again.

A write invalidates the stored response of its page. Until the guest has sent a new one, the page
is not cacheable: a cache that answered from what it has would answer wrongly. If the guest is
paused within that time, a read of the page can only be held. What is excused is bounded on all
sides, and all of it can be seen from outside:

* the write was answered before the read was sent, and after the instant that lies the time of one
  fetch before the pause;
* the time of a fetch is what 99 of 100 reads took that the guest answered before the pause, at most
  ``FETCH_MOST``;
* no read of the page, by anyone, was answered between the write's response and the blackout: if one
  was, the page could be fetched and had to be stored;
* the read met the blackout.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.outcome import Request
from tools.measurement.analysis.quantile import quantile

FETCH_MOST: Final = 0.1  # seconds; no guest is given more time for one response
_USUAL: Final = 0.99  # of the reads before the pause took no longer


def fetch_time(requests: Iterable[Request], before: float) -> float:
    """Seconds that the guest takes for a read, as its reads up to ``before`` tell; 0 if none do."""
    took = (
        r.done - r.sent
        for r in requests
        if r.is_read and not r.hit and not r.failed and r.done <= before
    )
    return min(quantile(took, _USUAL) or 0.0, FETCH_MOST)


class Rewritten:
    """Tells which reads of a run are excused."""

    def __init__(
        self, requests: Sequence[Request], found: Iterable[Blackout], resolution: float
    ) -> None:
        """``found``: the run's blackouts; ``resolution``: their start is known to so many seconds.

        A blackout begins one probe interval after the last answer, so the guest may have been
        paused up to one interval earlier.
        """
        self._written: dict[str, list[float]] = {}  # path -> when writes were answered, in order
        self._answered: dict[str, list[float]] = {}  # path -> when reads were answered, in order
        for request in requests:
            if request.is_read:
                if not request.failed:
                    self._answered.setdefault(request.path, []).append(request.done)
            else:
                self._written.setdefault(request.path, []).append(request.settled)
        for instants in (*self._written.values(), *self._answered.values()):
            instants.sort()
        self._spans = []  # each blackout, and the instant from which writes leave no time
        for gap in found:
            pause = gap.start - resolution
            self._spans.append((gap, pause - fetch_time(requests, pause)))

    def excuses(self, read: Request) -> bool:
        """Whether the read could only be held, because its page had just been written to."""
        return any(self._in(read, gap, since) for gap, since in self._spans)

    def _in(self, read: Request, gap: Blackout, since: float) -> bool:
        if not (read.sent < gap.end and read.done > gap.start):
            return False
        written = self._written.get(read.path, [])
        before = bisect.bisect_right(written, read.sent)
        if not before or written[before - 1] <= since:
            return False
        answered = self._answered.get(read.path, [])
        after = bisect.bisect_right(answered, written[before - 1])
        return after == len(answered) or answered[after] > gap.start
