"""Counters of all services' writes since the agent started."""

from __future__ import annotations

import dataclasses

from nova_cachemig.model.waits import Waits


@dataclasses.dataclass(slots=True)
class WriteTotals:
    """Writes by their outcome; each accepted one gets a second outcome later."""

    accepted: int = 0
    responded: int = 0
    in_doubt: int = 0
    refused: int = 0
    unknown: int = 0  # the database did not say whether it has the write
    waits: Waits = dataclasses.field(default_factory=Waits)

    def add_response(self, wait: float) -> None:
        """Count a response, ``wait`` seconds after the write was accepted."""
        self.responded += 1
        self.waits.add(wait)
