"""The phases of a handover, and the states of the edge."""

from __future__ import annotations

import enum


class Phase(enum.StrEnum):
    """The phase of one handover. The transitions are in ``handover/table.py``."""

    IDLE = "idle"
    WARMING = "warming"
    ARMED = "armed"
    SHIELDED = "shielded"
    ROLLING_BACK = "rolling_back"
    REPLAYING = "replaying"
    RELEASED = "released"


class EdgeState(enum.StrEnum):
    """The treatment of one service's requests by the engine.

    * ``pass``: reads and writes go directly to the guest.
    * ``armed``: the cache serves reads, stale pages during a background refresh. Writes go directly
      to the guest.
    * ``shielded``: the cache serves hits and holds misses. Writes go to the journal's intake.
    * ``replay``: like ``shielded`` for writes. The cache serves reads, but recent pages are not
      refreshed. Held reads continue.
    * ``drain``: like ``replay``, but the edge holds writes, for milliseconds.
    """

    PASS = "pass"
    ARMED = "armed"
    SHIELDED = "shielded"
    REPLAY = "replay"
    DRAIN = "drain"
