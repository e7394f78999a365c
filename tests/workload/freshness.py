"""The verdict about reads: each must find the writes that were acknowledged before it."""

from __future__ import annotations

import bisect
import collections
import dataclasses
from collections.abc import Iterable

from tests.workload.records import FINAL, Facts, Outcome, Read, Reception, Write, story

HELD_AT_MOST = 6.0  # seconds: [engine] hold_timeout

_TELLS_NO_LOCATION = frozenset({"error", "garbage", "die-after", "reset", "cut"})
"""Such a response does not tell which other pages the write has changed."""


class Freshness:
    """Judges the reads of one service. Its methods yield sentences that begin with a write."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._writes = {write.id: write for write in facts.writes}
        self._applied: dict[str, list[Reception]] = collections.defaultdict(list)
        for one in facts.guest.applied:
            self._applied[one.write].append(one)

    def _points(self, write: Write) -> Iterable[tuple[str, str, _Point]]:
        """Yield who must find which version of which page, and from when on; "": everyone."""
        if not self._applied[write.id]:
            return
        first = self._applied[write.id][0]
        told = first.way not in _TELLS_NO_LOCATION and len(write.tries) == 1
        yield from (("applied", url, _Point(first.applied_at, version, write.id))
                    for url, version in first.changes or () if url == write.url)  # fmt: skip
        for one in write.tries:
            if one.outcome not in FINAL or one.status in {409, 413}:
                continue
            for url, version in first.changes or ():
                point = _Point(one.done_at, version, write.id)
                if url == write.url:
                    yield "", url, point
                elif told:
                    yield write.client if one.outcome is Outcome.ACCEPTED else "", url, point

    def _held_long(self, read: Read) -> bool:
        """Whether it waited for an agent that was away for longer than a read may be held.

        Then the edge asks the guest: nothing else can end the wait.
        """
        held = read.done_at - read.sent_at >= HELD_AT_MOST
        return held and self._facts.agent_was_away(read.sent_at, read.done_at)

    def unacknowledged(self) -> Iterable[str]:
        """Yield reads older than a write that was applied before, and maybe without a response.

        No promise forbids them: the client of such a write may have left.
        """
        return self._older(["applied"])

    def old_reads(self) -> Iterable[str]:
        """Yield reads older than a write whose acknowledgement came before they were sent.

        A response of the guest counts for all pages that it names, a 202 for the page of the write,
        and for all others for the same client.
        """
        return self._older([""])

    def _older(self, readers: list[str]) -> Iterable[str]:
        points: dict[tuple[str, str], list[_Point]] = collections.defaultdict(list)
        for write in self._facts.writes:
            for reader, url, point in self._points(write):
                points[reader, url].append(point)
        newest = {key: _highest(sorted(found)) for key, found in points.items()}
        for one_read in self._facts.reads:
            for reader in (*readers, one_read.client):
                least = _before(newest.get((reader, one_read.url), []), one_read.sent_at)
                if least and one_read.version < least.version and not self._held_long(one_read):
                    write = self._writes[least.write]
                    yield (f"{least.write}: {one_read}, older than version {least.version}; "
                           f"{story(write)}; {self._applied[write.id]}")  # fmt: skip


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class _Point:
    at: float
    version: int
    write: str


def _highest(points: list[_Point]) -> list[_Point]:
    """Return, for each point in the order of time, the point with the highest version so far."""
    found: list[_Point] = []
    for point in points:
        best = found[-1] if found and found[-1].version >= point.version else point
        found.append(_Point(point.at, best.version, best.write))
    return found


def _before(points: list[_Point], at: float) -> _Point | None:
    index = bisect.bisect_left(points, at, key=lambda point: point.at)
    return points[index - 1] if index else None
