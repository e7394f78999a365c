"""The approximate frequency of keys, in memory that does not grow with the number of keys."""

from __future__ import annotations

from collections.abc import Hashable

_ROWS = 4
_MAX_COUNT = 255


class FrequencySketch:
    """A count-min sketch of 8-bit counters that are halved from time to time.

    The sketch of Cormode and Muthukrishnan with conservative update, aged as in TinyLFU (Einziger,
    Friedman, Manes, 2017). Except for ageing and the maximum of 255, an estimate is never too low,
    and seldom too high. Each process has another key for Python's string hash, so that a client
    cannot choose URLs that collide.
    """

    def __init__(self, keys: int) -> None:
        """Reserve 4 x 16 x ``keys`` bytes, rounded up, for about ``keys`` frequent keys.

        A flood of 10 x ``keys`` other keys must not fill the sketch before it ages.
        """
        self._width = 1 << max(4, (16 * keys - 1).bit_length())
        self._counters = bytearray(_ROWS * self._width)
        self._added = 0
        self._age_after = 10 * keys

    def _indices(self, key: Hashable) -> list[int]:
        mask = self._width - 1
        return [row * self._width + (hash((row, key)) & mask) for row in range(_ROWS)]

    def add(self, key: Hashable) -> None:
        """Count one occurrence."""
        indices = self._indices(key)
        lowest = min(self._counters[index] for index in indices)
        if lowest < _MAX_COUNT:
            for index in indices:
                if self._counters[index] == lowest:
                    self._counters[index] = lowest + 1
        self._added += 1
        if self._added >= self._age_after:
            self._age()

    def estimate(self, key: Hashable) -> int:
        """Return the occurrences since the last ageing plus half of those before it."""
        return min(self._counters[index] for index in self._indices(key))

    def _age(self) -> None:
        halves = bytes(value >> 1 for value in range(_MAX_COUNT + 1))
        self._counters = self._counters.translate(halves)
        self._added //= 2
