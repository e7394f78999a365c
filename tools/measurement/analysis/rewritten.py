"""Pages that a write changed so shortly before a blackout that no cache could fetch them again.

A write invalidates the stored response to its page. Until the guest has sent a new response, the
page is not cacheable, because the stored one is wrong. If the guest is paused in that time, a read
of the page can only be held. The load itself observes all conditions for such a read:

* The write got its response before the read was sent, and later than one fetch time before the
  pause.
* The fetch time is the p99 of the guest's reads before the pause, and at most ``FETCH_MOST``.
* No client got a response to a read of the page between the response to the write and the
  blackout. If one did, the page could be fetched, and the cache should have it.
* The read waited during the blackout.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.outcome import Request
from tools.measurement.analysis.quantile import quantile

FETCH_MOST: Final = 0.1  # seconds; the upper limit of the fetch time
_USUAL: Final = 0.99  # share of the reads before the pause that took no longer


def fetch_time(requests: Iterable[Request], before: float) -> float:
    """The fetch time in seconds, from the reads up to ``before``; 0 if there are none."""
    took = (
        r.done - r.sent
        for r in requests
        if r.is_read and not r.hit and not r.failed and r.done <= before
    )
    return min(quantile(took, _USUAL) or 0.0, FETCH_MOST)


class Rewritten:
    """Decides which reads of a run are excused."""

    def __init__(
        self, requests: Sequence[Request], found: Iterable[Blackout], resolution: float
    ) -> None:
        """``found``: the run's blackouts; ``resolution``: the error of their start, in seconds.

        A blackout begins one probe interval after the last response, so the pause may have begun
        up to one interval earlier.
        """
        self._written: dict[str, list[float]] = {}  # path -> responses to writes, sorted
        self._responses: dict[str, list[float]] = {}  # path -> responses to reads, sorted
        for request in requests:
            if request.is_read:
                if not request.failed:
                    self._responses.setdefault(request.path, []).append(request.done)
            else:
                self._written.setdefault(request.path, []).append(request.responded)
        for instants in (*self._written.values(), *self._responses.values()):
            instants.sort()
        self._spans = []  # blackout, the instant after which a write is too late
        for gap in found:
            pause = gap.start - resolution
            self._spans.append((gap, pause - fetch_time(requests, pause)))

    def excuses(self, read: Request) -> bool:
        """Whether the read could only be held, because its page had just been rewritten."""
        return any(self._in(read, gap, since) for gap, since in self._spans)

    def _in(self, read: Request, gap: Blackout, since: float) -> bool:
        if not (read.sent < gap.end and read.done > gap.start):
            return False
        written = self._written.get(read.path, [])
        before = bisect.bisect_right(written, read.sent)
        if not before or written[before - 1] <= since:
            return False
        responses = self._responses.get(read.path, [])
        after = bisect.bisect_right(responses, written[before - 1])
        return after == len(responses) or responses[after] > gap.start
