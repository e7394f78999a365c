"""The manager's actions. Each is idempotent."""

from __future__ import annotations

import enum


class Action(enum.StrEnum):
    """Actions in the order in which a handover usually meets them."""

    OPEN_WRITES = "open_writes"  # the journal accepts writes of the services
    SEND_WRITES = "send_writes"  # and sends them to the guest, in order
    HOLD_WRITES = "hold_writes"  # accepts, but sends none
    SET_EDGE = "set_edge"  # the engine's state is that of the phase (EDGE_OF)
    START_WARM = "start_warm"  # fetch the hot set; may go on until the deadline of pre.end
    KEEP_WARM = "keep_warm"  # slowly: pages that are newly popular or invalidated
    STOP_WARM = "stop_warm"
    WATCH_SILENCE = "watch_silence"  # → SILENT
    WAIT_REACHABLE = "wait_reachable"  # → REACHABLE
    STOP_PROBE = "stop_probe"
    RESEND_LOST = "resend_lost"  # requests that were lost at the pause
    WAIT_CAUGHT_UP = "wait_caught_up"  # → CAUGHT_UP
    RELEASE_ANYWAY = "release_anyway"  # quarantine what is not applied, then pass → RELEASE_DONE
    RELEASE = "release"  # drain at the edge, then pass → RELEASE_DONE or RELEASE_FAILED
    REARM = "rearm"  # drain at the edge, then armed → REARMED or RELEASE_FAILED
    ASK_NOVA = "ask_nova"  # → COMPLETED, ROLLED_BACK, STILL_RUNNING or nothing
    FINISH = "finish"  # the outcome is recorded; the handover is forgotten
