"""The order of the pages to read: by a popularity law, or from an access log."""

from __future__ import annotations

import bisect
import itertools
import random
import re
from collections.abc import Iterator, Sequence
from typing import Final

_COMBINED: Final = re.compile(r'"(?:GET|HEAD) (?P<path>/\S*) HTTP/[\d.]+" \d{3}')


class ReadsError(ValueError):
    """The user's options give no pages; the text says why."""


class Zipf:
    """Ranks 0 … ``count`` - 1, rank r with a weight of 1 / (r + 1) ** ``exponent``."""

    def __init__(self, count: int, exponent: float, rng: random.Random) -> None:
        if count < 1:
            raise ReadsError("a popularity law needs at least one page")
        weights = (1 / (rank + 1) ** exponent for rank in range(count))
        self._sums = list(itertools.accumulate(weights))
        self._rng = rng

    def draw(self) -> int:
        """One rank."""
        return bisect.bisect_right(self._sums, self._rng.random() * self._sums[-1])


def template(pattern: str, pages: int) -> list[str]:
    """``/page/{n}`` for n = 0 … ``pages`` - 1; raises ReadsError."""
    if "{n}" not in pattern or pages < 1:
        raise ReadsError(f"{pattern!r} with {pages} pages: wanted a {{n}} and at least one page")
    return [pattern.replace("{n}", str(n)) for n in range(pages)]


def popular(
    paths: Sequence[str], exponent: float, rng: random.Random, *, cover: bool
) -> Iterator[str]:
    """Endless paths by a Zipf law; the first path is the most popular.

    With ``cover`` each path comes once at the start, as from a crawler. A run of seconds then knows
    the pages that years of traffic would have made known.
    """
    law = Zipf(len(paths), exponent, rng)
    if cover:
        yield from paths
    while True:
        yield paths[law.draw()]


def from_log(text: str) -> tuple[str, list[str]]:
    """``("order", paths)`` of a combined log, ``("weights", …)`` of ``path[<TAB>count]`` lines.

    A weight is expressed by repeating the path. Raises ReadsError if neither fits.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    combined = [match["path"] for line in lines if (match := _COMBINED.search(line))]
    if combined:
        return "order", combined
    weighted: list[str] = []
    for number, line in enumerate(lines, 1):
        path, _, count = line.partition("\t")
        if not path.startswith("/") or (count and not count.strip().isdigit()):
            raise ReadsError(f"line {number} is neither of a combined log nor path<TAB>count")
        weighted += [path] * int(count or 1)
    if not weighted:
        raise ReadsError("the access log contains no reads")
    return "weights", weighted


def replayed(text: str, rng: random.Random) -> Iterator[str]:
    """Endless paths from the access log: in its order, or by its counts."""
    how, paths = from_log(text)
    if how == "order":
        yield from itertools.cycle(paths)
    while True:
        yield rng.choice(paths)
