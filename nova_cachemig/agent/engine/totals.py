"""Counters of all services together since the agent started: plain numbers, no I/O."""

from __future__ import annotations

import collections
from typing import Final

from nova_cachemig.model.waits import Waits

CAUSES: Final = ("guest", "hold", "cache")
"""Causes of the edge's own error responses."""


class EdgeTotals:
    """The edge's work for requests in handovers, and reloads of the edge."""

    def __init__(self) -> None:
        self.reads: collections.Counter[str] = collections.Counter(hit=0, miss=0)
        self.held = Waits()
        self.held_requests = 0
        self.refused = collections.Counter(dict.fromkeys((*CAUSES, "other"), 0))
        self.reloads: collections.Counter[str] = collections.Counter(done=0, failed=0)
        self.opened = 0  # services that the edge opened because the agent did not respond

    def read(self, *, hit: bool, miss: bool) -> None:
        """Count one request that may have asked the cache."""
        self.reads["hit"] += hit
        self.reads["miss"] += miss

    def hold(self, wait: float) -> None:
        """Count a held request, ``wait`` seconds before the head of its response."""
        self.held_requests += 1
        self.held.add(wait)

    def refuse(self, cause: str) -> None:
        """Count an error response of the edge itself."""
        self.refused[cause if cause in CAUSES else "other"] += 1
