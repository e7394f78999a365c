"""How often a key was seen, about, in memory that does not grow with the number of keys."""

from __future__ import annotations

from collections.abc import Hashable

_ROWS = 4
_TOP = 255


class FrequencySketch:
    """A count-min sketch of 8-bit counters that forgets: all are halved now and then.

    Cormode and Muthukrishnan's sketch with conservative update, aged as in TinyLFU (Einziger,
    Friedman, Manes, 2017). It never answers too little (but for ageing and the top, 255), seldom
    too much. Python's string hash is keyed anew in each process, so that nobody outside can choose
    URLs that collide.
    """

    def __init__(self, keys: int) -> None:
        """For about ``keys`` keys that matter: 4 x 16 x ``keys`` bytes, rounded up.

        As wide as that because a flood of 10 x ``keys`` others must not fill it before it ages.
        """
        self._width = 1 << max(4, (16 * keys - 1).bit_length())
        self._cells = bytearray(_ROWS * self._width)
        self._added = 0
        self._age_after = 10 * keys

    def _places(self, key: Hashable) -> list[int]:
        mask = self._width - 1
        return [row * self._width + (hash((row, key)) & mask) for row in range(_ROWS)]

    def add(self, key: Hashable) -> None:
        """Count one occurrence."""
        places = self._places(key)
        least = min(self._cells[place] for place in places)
        if least < _TOP:
            for place in places:
                if self._cells[place] == least:
                    self._cells[place] = least + 1
        self._added += 1
        if self._added >= self._age_after:
            self._age()

    def estimate(self, key: Hashable) -> int:
        """Occurrences since about the last ageing, and half of those before it."""
        return min(self._cells[place] for place in self._places(key))

    def _age(self) -> None:
        halves = bytes(value >> 1 for value in range(_TOP + 1))
        self._cells = self._cells.translate(halves)
        self._added //= 2
