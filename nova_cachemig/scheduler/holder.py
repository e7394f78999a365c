"""The newest snapshot in the memory of one scheduler process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from nova_cachemig.model.snapshot import Snapshot, SnapshotError
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.scheduler.columns import Columns

STALE = "no fresh snapshot: scheduling as plain Nova does"
DAMAGED = "a snapshot was refused"


class SnapshotHolder:
    """Takes snapshots from one thread, gives the newest to others without a lock.

    ``clock`` gives seconds that only rise: age is counted from arrival, by our own clock.
    """

    def __init__(self, faults: Faults, clock: Callable[[], float] = time.monotonic) -> None:
        self.faults = faults
        self._clock = clock
        self._held: tuple[Columns, float] | None = None  # replaced whole: reading needs no lock
        self._changed = threading.Condition()

    def put(self, wire: Any) -> None:
        """Take what came over the wire; anything but a snapshot newer than ours is counted."""
        try:
            taken = Columns.of(Snapshot.from_wire(wire))
        except SnapshotError as exc:
            self.faults.note(DAMAGED, exc)
            return
        with self._changed:
            held = self._held[0] if self._held is not None else None
            if held is not None and held.run == taken.run and held.sequence >= taken.sequence:
                self.faults.note("a snapshot came twice or too late", taken.sequence)
                return
            self._held = (taken, self._clock())
            self._changed.notify_all()
        self.faults.recovered(DAMAGED, STALE)

    def fresh(self, max_age: float) -> Columns | None:
        """The newest snapshot, unless it came more than ``max_age`` seconds ago."""
        held = self._held
        if held is None or self._clock() - held[1] > max_age:
            return None
        return held[0]

    def wait_for(self, wanted: Callable[[Columns], bool], timeout: float) -> bool:
        """Wait for a snapshot of that kind. Not for Nova's own threads."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._held is not None and wanted(self._held[0]), timeout
            )
