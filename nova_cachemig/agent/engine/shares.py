"""The shares of the cache's memory: one for each service in a handover, while there are enough.

Varnish evicts pages within one storage only. So a service whose pages fill its share displaces no
page of a service with another share. The shares have different sizes: a single handover gets a
large one, and many at a time still have one each.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable
from typing import Final

_FACTORS: Final = {"k": 1, "m": 1 << 10, "g": 1 << 20}
_LEAST: Final = 6 << 10
"""KiB of the smallest share, if there is more than one."""

_MAX_LEVELS: Final = 6
_PAGES: Final = 4
"""Pages of the largest size for which a share has room."""

TRANSIENT: Final = "Transient"
"""Varnish's name for the memory of responses that it only passes on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """One of Varnish's storages."""

    name: str
    kib: int


def transient_kib(cache_size: str) -> int:
    """Return the KiB of ``Transient``: a quarter of ``[engine] cache_size``."""
    return _kib(cache_size) // 4


def shares(cache_size: str) -> list[Share]:
    """Return the shares of the rest, the largest first.

    Level 0 is one share, level 1 two of half its size, and so on. All levels have the same size.
    """
    total = _kib(cache_size) - transient_kib(cache_size)
    levels = max(n for n in range(1, _MAX_LEVELS + 1) if n == 1 or total >> (n - 1) >= n * _LEAST)
    sizes = [(total // levels) >> level for level in range(levels) for _ in range(1 << level)]
    return [Share(f"share{number}", max(size, 1)) for number, size in enumerate(sizes)]


def largest_page(share: Share, max_object: int) -> int:
    """Return the bytes of the largest page that the share stores."""
    return min(max_object, (share.kib << 10) // _PAGES)


def choose(taken: Iterable[int], number: int) -> int:
    """Return the share for another service: one of those with the fewest, the largest of them.

    ``taken``: the shares of the services in a handover; ``number``: of all shares.
    """
    services = collections.Counter(taken)
    return min(range(number), key=lambda share: (services[share], share))


def _kib(cache_size: str) -> int:
    return int(cache_size[:-1]) * _FACTORS[cache_size[-1]]
