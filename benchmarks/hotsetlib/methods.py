"""The compared methods: each learns from the log and ranks pages."""

from __future__ import annotations

import collections
import heapq
from typing import Protocol

from benchmarks.hotsetlib.logs import SERVICE
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.popularity.hotset import HotSet, HotSetLimits


class Method(Protocol):
    """Learns from each counted request in order, and ranks URLs."""

    name: str

    def record(self, record: AccessRecord) -> None:
        """Learn from one request."""

    def rank(self, now: float, limit: int) -> list[str]:
        """Return the first ``limit`` URLs."""


class MostUsed:
    """Ranks by plain counts."""

    name = "most used"

    def __init__(self) -> None:
        self._counts: collections.Counter[str] = collections.Counter()

    def record(self, record: AccessRecord) -> None:
        self._counts[record.url] += 1

    def rank(self, now: float, limit: int) -> list[str]:
        return [url for url, _ in self._counts.most_common(limit)]


class Decayed:
    """Ranks by counts of one half-life (s)."""

    def __init__(self, half_life: float) -> None:
        self.name = f"decayed {half_life / 60:g} min"
        self._half_life = half_life
        self._counts: dict[str, tuple[float, float]] = {}

    def _at(self, url: str, now: float) -> float:
        count, at = self._counts.get(url, (0.0, now))
        return count * 2.0 ** ((at - now) / self._half_life)

    def record(self, record: AccessRecord) -> None:
        self._counts[record.url] = (self._at(record.url, record.at) + 1.0, record.at)

    def rank(self, now: float, limit: int) -> list[str]:
        return heapq.nlargest(limit, self._counts, key=lambda url: self._at(url, now))


class LeastRecent:
    """LRU, bounded by ``capacity`` if given."""

    name = "LRU"

    def __init__(self, capacity: int | None = None) -> None:
        self._urls: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._capacity = capacity

    def record(self, record: AccessRecord) -> None:
        self._urls[record.url] = None
        self._urls.move_to_end(record.url)
        if self._capacity is not None and len(self._urls) > self._capacity:
            self._urls.popitem(last=False)

    def rank(self, now: float, limit: int) -> list[str]:
        newest = reversed(self._urls)
        return [url for url, _ in zip(newest, range(limit), strict=False)]


class SpaceSaving:
    """Metwally's Space-Saving: bounded counts; a new URL inherits the lowest."""

    name = "Space-Saving"

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []  # some entries are outdated

    def record(self, record: AccessRecord) -> None:
        url, count = record.url, self._counts.get(record.url)
        if count is None and len(self._counts) >= self._capacity:
            count = self._drop_least()
        self._counts[url] = (count or 0) + 1
        heapq.heappush(self._heap, (self._counts[url], url))

    def _drop_least(self) -> int:
        while True:
            count, url = heapq.heappop(self._heap)
            if self._counts.get(url) == count:
                del self._counts[url]
                return count

    def rank(self, now: float, limit: int) -> list[str]:
        return heapq.nlargest(limit, self._counts, key=self._counts.__getitem__)


class Default:
    """The method of the agent: mixed half-lives and predictions of sessions."""

    name = "default"

    def __init__(self, limits: HotSetLimits | None = None) -> None:
        self._hotset = HotSet(limits, seed=1)

    def record(self, record: AccessRecord) -> None:
        self._hotset.record(record)

    def rank(self, now: float, limit: int) -> list[str]:
        return [page.url for page in self._hotset.rank(SERVICE, now, limit)]
