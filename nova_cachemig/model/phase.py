"""The phases of a handover and what the data plane does in them."""

from __future__ import annotations

import enum


class Phase(enum.StrEnum):
    """Where one handover stands (the table is in ``handover/table.py``)."""

    IDLE = "idle"
    WARMING = "warming"
    ARMED = "armed"
    SHIELDED = "shielded"
    ROLLING_BACK = "rolling_back"
    REPLAYING = "replaying"
    RELEASED = "released"


class EdgeState(enum.StrEnum):
    """What the engine does with one service's requests.

    ========  ==========================================  ==============================
    state     reads                                       writes
    ========  ==========================================  ==============================
    pass      straight to the guest                       straight to the guest
    armed     cache, stale while it refreshes behind      journal intake
    shielded  cache hits; a miss is held                  journal intake
    replay    as armed, but what is recent is not         journal intake
              refreshed; held reads go
    drain     as armed                                    held at the edge (milliseconds)
    ========  ==========================================  ==============================
    """

    PASS = "pass"
    ARMED = "armed"
    SHIELDED = "shielded"
    REPLAY = "replay"
    DRAIN = "drain"
