"""The newest snapshot in the memory of one scheduler process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from oslo_log import log

from nova_cachemig.model.snapshot import Snapshot, SnapshotError
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.scheduler.columns import Columns

LOG = log.getLogger(__name__)

STALE = "no fresh snapshot: Nova schedules without forecasts"
DAMAGED = "a snapshot was rejected"


class SnapshotHolder:
    """Stores snapshots from one thread; other threads read the newest without a lock.

    ``clock`` is monotonic, in seconds. A snapshot's age counts from its arrival, by this clock.
    """

    def __init__(self, faults: Faults, clock: Callable[[], float] = time.monotonic) -> None:
        self.faults = faults
        self._clock = clock
        self._held: tuple[Columns, float] | None = (
            None  # replaced as a whole, so that readers need no lock
        )
        self._changed = threading.Condition()

    def put(self, wire: Any) -> None:
        """Store a snapshot from the wire. Damaged and outdated ones are counted as faults."""
        try:
            taken = Columns.of(Snapshot.from_wire(wire))
        except SnapshotError as exc:
            self.faults.note(DAMAGED, exc)
            return
        with self._changed:
            held = self._held[0] if self._held is not None else None
            if held is not None and held.run == taken.run and held.sequence >= taken.sequence:
                self.faults.note("a snapshot was repeated or late", taken.sequence)
                return
            if held is None:
                LOG.info("cachemig: the first snapshot arrived: %d hosts", len(taken.hosts))
            self._held = (taken, self._clock())
            self._changed.notify_all()
        self.faults.recovered(DAMAGED, STALE)

    def fresh(self, max_age: float) -> Columns | None:
        """Return the newest snapshot; None if it arrived more than ``max_age`` seconds ago."""
        held = self._held
        if held is None or self._clock() - held[1] > max_age:
            return None
        return held[0]

    def wait_for(self, wanted: Callable[[Columns], bool], timeout: float) -> bool:
        """Wait until ``wanted`` accepts the newest snapshot. Not for Nova's own threads."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._held is not None and wanted(self._held[0]), timeout
            )
