"""Hit rates in the windows after random instants."""

from __future__ import annotations

import bisect
import dataclasses
import random
from collections.abc import Callable, Sequence

from benchmarks.hotsetlib.methods import Method
from nova_cachemig.model.access import AccessRecord

ALL = 1 << 30
"""The size of a hot set of all pages that the method knows."""


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One method at one size and window; hits by instant, so that a bootstrap can resample them."""

    method: str
    size: int
    window: float
    hits: tuple[int, ...]
    requests: tuple[int, ...]

    @property
    def rate(self) -> float:
        """The share of hits among all requests in all windows."""
        total = sum(self.requests)
        return sum(self.hits) / total if total else float("nan")


def counts(record: AccessRecord) -> bool:
    """Return whether a cache could serve the request: GET or HEAD, without an error."""
    return record.method in {"GET", "HEAD"} and 200 <= record.status < 400


def run(
    records: Sequence[AccessRecord],
    methods: Sequence[Method],
    *,
    instants: int,
    sizes: Sequence[int],
    windows: Sequence[float],
    seed: int,
    noise: Callable[[AccessRecord], Sequence[AccessRecord]] | None = None,
) -> list[Cell]:
    """Read the log once; at each instant rank by each method and count the hits that follow.

    Instants are uniform in time after the first tenth of the log, in which methods only learn.
    Methods learn from the records that count, each after its ``noise``. Those records are also
    the requests that must hit.
    """
    draw, start, end = random.Random(seed), records[0].at, records[-1].at
    longest = max(windows)
    chosen = sorted(
        draw.uniform(start + 0.1 * (end - start), end - longest) for _ in range(instants)
    )
    ahead = [record for record in records if counts(record)]
    times = [record.at for record in ahead]
    found: dict[tuple[str, int, float], list[int]] = {
        (m.name, s, w): [] for m in methods for s in sizes for w in windows
    }
    asked: dict[float, list[int]] = {w: [] for w in windows}
    seen = 0
    for instant in chosen:
        while seen < len(ahead) and times[seen] <= instant:
            for record in (*(noise(ahead[seen]) if noise else ()), ahead[seen]):
                for method in methods:
                    method.record(record)
            seen += 1
        _count_hits(methods, instant, ahead, times, sizes, found, asked)
    return [
        Cell(name, size, window, tuple(hits), tuple(asked[window]))
        for (name, size, window), hits in found.items()
    ]


def _count_hits(
    methods: Sequence[Method],
    instant: float,
    ahead: Sequence[AccessRecord],
    times: Sequence[float],
    sizes: Sequence[int],
    found: dict[tuple[str, int, float], list[int]],
    asked: dict[float, list[int]],
) -> None:
    first = bisect.bisect_right(times, instant)
    ends = {window: bisect.bisect_right(times, instant + window) for window in asked}
    for window, end in ends.items():
        asked[window].append(end - first)
    for method in methods:
        place = {url: i for i, url in enumerate(method.rank(instant, max(sizes)))}
        places = [place.get(ahead[i].url, ALL) for i in range(first, max(ends.values()))]
        for size in sizes:
            for window, end in ends.items():
                hits = sum(p < size for p in places[: end - first])
                found[method.name, size, window].append(hits)


def difference(a: Cell, b: Cell, *, draws: int = 1000, seed: int = 1) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two hit rates, by a bootstrap of instants."""
    draw, n = random.Random(seed), len(a.hits)
    deltas = [x - y for x, y in zip(a.hits, b.hits, strict=True)]
    figures = []
    for _ in range(draws):
        picked = draw.choices(range(n), k=n)
        total = sum(a.requests[i] for i in picked)
        figures.append(sum(deltas[i] for i in picked) / total if total else 0.0)
    figures.sort()
    return figures[int(0.025 * draws)], figures[int(0.975 * draws) - 1]
