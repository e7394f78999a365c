"""The instance for which a write was accepted. No I/O.

A write has the name of its service only, and an operator may give the name to another instance
later. The edge sends writes to the journal during handovers only, and their records name the
instance. So a write belongs to the last handover of its service that began before it.
"""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Iterable

from nova_cachemig.model.handover import HandoverRecord


class Origins:
    """The handovers, by service and start."""

    def __init__(self, records: Iterable[HandoverRecord]) -> None:
        self._by_service: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for record in records:
            for service in record.services:
                self._by_service[service].append((record.started, record.id.instance))
        for found in self._by_service.values():
            found.sort()

    def instance(self, service: str, accepted_at: float) -> str | None:
        """Return the UUID of the instance; None: no known handover was before the write."""
        found = self._by_service.get(service, [])
        place = bisect.bisect_right(found, accepted_at, key=lambda one: one[0])
        return found[place - 1][1] if place else None
