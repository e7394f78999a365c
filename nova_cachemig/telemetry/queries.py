"""The options of a source that sends queries, and the times for which it sends them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nova_cachemig.telemetry.source import SourceError


def parse(lines: list[str], option: str) -> list[tuple[str, str]]:
    """Metric and query of each line. Several lines may give the same metric.

    Raises SourceError that names ``option``, for instance ``[telemetry] prometheus_host_query``.
    """
    queries = []
    for line in lines:
        name, equals, query = (part.strip() for part in line.partition("="))
        if not equals or not query or not re.fullmatch(r"[a-z][a-z0-9_.]*", name):
            raise SourceError(f"{option}: not 'METRIC = query': {line!r}")
        queries.append((name, query))
    return queries


def host_pattern(text: str | None, option: str) -> re.Pattern[str] | None:
    """Return the pattern with the group ``host``; None without a text. Raises SourceError."""
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as exc:
        raise SourceError(f"{option}: {exc}") from exc
    if "host" not in pattern.groupindex:
        raise SourceError(f"{option} has no group 'host'")
    return pattern


class Ranges:
    """The times that each query has still to fetch, on a grid of ``step`` seconds.

    A range has at most ``chunk`` times, which limits the size of a response. Times older than
    ``keep`` seconds are not fetched.
    """

    def __init__(self, step: float, keep: float, chunk: int) -> None:
        self.step = step
        self._keep = keep
        self._chunk = chunk
        self._reached: dict[str, float] = {}  # query → newest time fetched, UNIX s

    def missing(self, query: str, since: float, now: float) -> Iterator[tuple[float, float]]:
        """Yield the first and last time of each range up to ``now``.

        It begins after ``since`` before the first range of this query is fetched. UNIX s.
        """
        begin = max(self._reached.get(query, since), now - self._keep)
        begin = (begin // self.step + 1) * self.step  # on the grid: each time is fetched once
        while begin <= now:
            end = min(begin + (self._chunk - 1) * self.step, now // self.step * self.step)
            yield begin, end
            begin = end + self.step

    def shrink(self) -> bool:
        """Halve the ranges, since a response was too large; False if they have one time only."""
        self._chunk, before = max(self._chunk // 2, 1), self._chunk
        return before > 1

    def fetched(self, query: str, end: float) -> None:
        """The times up to ``end`` need not be fetched again."""
        self._reached[query] = end
