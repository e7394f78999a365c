"""The table of phases: every event that a phase knows, and its consequence.

An event that a phase does not name is an error of the program. An event that may come late or
twice (RPC, two hosts, a prober) is named and does nothing: ``LATE``.
"""

from __future__ import annotations

import dataclasses
import enum

from nova_cachemig.handover.actions import Action as A
from nova_cachemig.model.event import EventKind as E
from nova_cachemig.model.phase import EdgeState, Phase

P = Phase


class Guard(enum.StrEnum):
    """A row that depends on more than the phase and the event (``machine.py`` decides)."""

    MIGRATION_OVER = "migration_over"  # the guest moved or stayed; no memory is to follow
    OUTCOME = "outcome"  # Nova, or the deadline, has said how the migration ended
    GIVEN_UP = "given_up"  # the services are released whatever the guest does


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """``then`` is the next phase, None: stay. With a ``guard`` that is false, ``other`` follows."""

    then: Phase | None = None
    actions: tuple[A, ...] = ()
    why: str = ""
    guard: Guard | None = None
    other: Row | None = None


LATE = Row()

_SHIELD = (A.HOLD_WRITES, A.SET_EDGE, A.STOP_WARM, A.WAIT_REACHABLE)
# The journal first: all held reads together keep a guest busy that has just come back.
_BACK = (A.SEND_WRITES, A.SET_EDGE, A.RESEND_LOST, A.WATCH_SILENCE, A.WAIT_CAUGHT_UP)

_paused = Row(P.SHIELDED, _SHIELD, "the guest is paused: shielding")
_silent = Row(P.SHIELDED, _SHIELD, "the guest is silent and no event says why: shielding")
_resumed = Row(P.SHIELDED, _SHIELD, "the guest runs again: waiting until it is reachable")
_failed = Row(P.ROLLING_BACK, _SHIELD, "the switchover failed: waiting for the source")
_reachable = Row(
    P.REPLAYING,
    _BACK,
    "the guest is reachable: held requests continue, the journal is replayed",
)
_completed = Row(P.REPLAYING, (A.STOP_WARM, *_BACK), "Nova says completed: draining")
_rolled_back = Row(P.ROLLING_BACK, _SHIELD, "Nova rolled back: waiting for the source")
_gave_up = Row(P.SHIELDED, _SHIELD, "deadline: releasing as soon as the guest is reachable")
# Writes that are just arriving at the intake are sent to the guest.
_released_unreachable = Row(
    P.REPLAYING,
    (A.STOP_PROBE, A.STOP_WARM, A.SEND_WRITES, A.RELEASE_ANYWAY),
    "deadline: releasing although the guest is not reachable; its writes are quarantined",
)
# Nothing more is sent: another instance may get the address.
_GONE = (A.STOP_PROBE, A.STOP_WARM, A.HOLD_WRITES, A.RELEASE_ANYWAY)
_deleted = Row(P.REPLAYING, _GONE, "the instance is deleted: releasing; its writes are quarantined")
_removed = Row(P.REPLAYING, (A.STOP_WARM, *_BACK), "none of its services is left: draining")
_removed_unreachable = Row(
    P.REPLAYING, _GONE, "none of its services is left: releasing; its writes are quarantined"
)

# An address that Nova has not confirmed may be another instance's.
_IN_DOUBT = "the guest's address is not known: nothing is sent until Nova confirms it"
_lost_shielded = Row(None, (A.STOP_PROBE, A.ASK_NOVA), _IN_DOUBT)
_found_shielded = Row(None, (A.WAIT_REACHABLE,), "Nova has confirmed the guest's address")
_lost_replaying = Row(
    None,
    (A.HOLD_WRITES, A.RELEASE_ANYWAY),
    _IN_DOUBT,
    Guard.GIVEN_UP,
    Row(P.SHIELDED, (*_SHIELD, A.ASK_NOVA), _IN_DOUBT),
)


def _unless_given_up(row: Row) -> Row:
    return Row(guard=Guard.GIVEN_UP, other=row)


_caught_up = Row(
    None,
    (A.RELEASE,),
    "the journal has caught up: releasing",
    Guard.MIGRATION_OVER,
    Row(None, (A.REARM,)),
)
_rearmed = Row(
    None,
    (A.SEND_WRITES, A.SET_EDGE, A.WAIT_CAUGHT_UP),
    "the migration was over before the edge was armed: replaying again",
    Guard.MIGRATION_OVER,
    Row(
        P.ARMED,
        (A.SET_EDGE, A.KEEP_WARM, A.WATCH_SILENCE, A.ASK_NOVA),
        "the journal is empty, the migration is not over: armed",
    ),
)
_released = Row(
    P.RELEASED,
    (A.STOP_PROBE, A.STOP_WARM, A.FINISH),
    "released: the edge passes everything through",
    Guard.OUTCOME,
    Row(P.RELEASED, (A.STOP_PROBE, A.STOP_WARM), "released: Nova has not said yet how it ended"),
)
_outcome_known = Row(None, (), "Nova says how it ended")

TABLE: dict[Phase, dict[E, Row]] = {
    P.IDLE: {
        E.BEGIN: Row(
            P.WARMING,
            (A.OPEN_WRITES, A.SEND_WRITES, A.SET_EDGE, A.START_WARM),
            "a migration is being prepared: warming",
        ),
        E.RECOVER: Row(
            P.SHIELDED,
            (A.OPEN_WRITES, *_SHIELD, A.ASK_NOVA),
            "found on disk after a restart: shielding until the guest is reachable",
        ),
        E.WRITES_FOUND: Row(
            P.SHIELDED,
            (A.OPEN_WRITES, *_SHIELD),
            "writes found on disk: shielding until the guest is reachable",
        ),
        E.UNANNOUNCED: Row(
            P.SHIELDED,
            (A.OPEN_WRITES, *_SHIELD, A.ASK_NOVA),
            "the guest is paused, but Nova announced no migration: shielding",
        ),
    },
    P.WARMING: {
        E.BEGIN: LATE,
        E.ARM: Row(
            P.ARMED, (A.SET_EDGE, A.KEEP_WARM, A.WATCH_SILENCE), "memory copy is next: armed"
        ),
        E.PAUSED: _paused,
        E.RESUMED: _resumed,
        E.SWITCHOVER_FAILED: _failed,
        E.STILL_RUNNING: LATE,
        E.COMPLETED: _completed,
        E.FAILED: _rolled_back,
        E.ROLLED_BACK: _rolled_back,
        E.DELETED: _deleted,
        E.TARGET_LOST: Row(None, (A.HOLD_WRITES, A.ASK_NOVA), _IN_DOUBT),
        E.TARGET_FOUND: Row(None, (A.SEND_WRITES,), "Nova has confirmed the guest's address"),
        E.REMOVED: _removed,
        E.DEADLINE: _gave_up,
    },
    P.ARMED: {
        E.BEGIN: LATE,
        E.ARM: LATE,
        E.PAUSED: _paused,
        E.RESUMED: _resumed,
        E.SWITCHOVER_FAILED: _failed,
        E.SILENT: _silent,
        E.REACHABLE: LATE,
        E.CAUGHT_UP: LATE,
        E.RELEASE_FAILED: LATE,
        E.REARMED: LATE,
        E.STILL_RUNNING: LATE,
        E.COMPLETED: _completed,
        E.FAILED: _rolled_back,
        E.ROLLED_BACK: _rolled_back,
        E.DELETED: _deleted,
        E.TARGET_LOST: Row(None, (A.HOLD_WRITES, A.STOP_PROBE, A.ASK_NOVA), _IN_DOUBT),
        E.TARGET_FOUND: Row(
            None, (A.SEND_WRITES, A.WATCH_SILENCE), "Nova has confirmed the guest's address"
        ),
        E.REMOVED: _removed,
        E.DEADLINE: _gave_up,
    },
    P.SHIELDED: {
        E.BEGIN: LATE,
        E.ARM: LATE,
        E.PAUSED: LATE,
        E.RESUMED: Row(None, (), "the guest runs at the destination"),
        E.SWITCHOVER_FAILED: Row(P.ROLLING_BACK, (), "the switchover failed"),
        E.SILENT: LATE,
        E.REACHABLE: _reachable,
        E.CAUGHT_UP: LATE,
        E.RELEASE_DONE: LATE,
        E.RELEASE_FAILED: LATE,
        E.REARMED: LATE,
        E.STILL_RUNNING: LATE,
        E.COMPLETED: _outcome_known,
        E.FAILED: Row(P.ROLLING_BACK, (), "Nova rolled back"),
        E.ROLLED_BACK: Row(P.ROLLING_BACK, (), "Nova rolled back"),
        E.DELETED: _deleted,
        E.TARGET_LOST: _lost_shielded,
        E.TARGET_FOUND: _found_shielded,
        E.REMOVED: _removed_unreachable,
        E.DEADLINE: _released_unreachable,
    },
    P.ROLLING_BACK: {
        E.BEGIN: LATE,
        E.ARM: LATE,
        E.PAUSED: LATE,
        E.RESUMED: LATE,
        E.SWITCHOVER_FAILED: LATE,
        E.SILENT: LATE,
        E.REACHABLE: _reachable,
        E.CAUGHT_UP: LATE,
        E.RELEASE_DONE: LATE,
        E.RELEASE_FAILED: LATE,
        E.REARMED: LATE,
        E.STILL_RUNNING: LATE,
        E.COMPLETED: _outcome_known,
        E.FAILED: _outcome_known,
        E.ROLLED_BACK: _outcome_known,
        E.DELETED: _deleted,
        E.TARGET_LOST: _lost_shielded,
        E.TARGET_FOUND: _found_shielded,
        E.REMOVED: _removed_unreachable,
        E.DEADLINE: _released_unreachable,
    },
    P.REPLAYING: {
        E.BEGIN: LATE,
        E.ARM: LATE,
        E.PAUSED: _unless_given_up(_paused),
        E.RESUMED: LATE,
        E.SWITCHOVER_FAILED: LATE,
        E.SILENT: _unless_given_up(_silent),
        E.REACHABLE: LATE,
        E.CAUGHT_UP: _caught_up,
        E.RELEASE_DONE: _released,
        E.REARMED: _rearmed,
        E.RELEASE_FAILED: Row(
            None, (A.SET_EDGE, A.WAIT_CAUGHT_UP), "not drained in time: replaying again"
        ),
        E.STILL_RUNNING: LATE,
        E.COMPLETED: Row(None, (A.WAIT_CAUGHT_UP,), "Nova says completed"),
        E.FAILED: Row(None, (A.WAIT_CAUGHT_UP,), "Nova rolled back"),
        E.ROLLED_BACK: Row(None, (A.WAIT_CAUGHT_UP,), "Nova rolled back"),
        E.DELETED: dataclasses.replace(_deleted, then=None),
        E.TARGET_LOST: _lost_replaying,
        E.TARGET_FOUND: _unless_given_up(
            Row(P.SHIELDED, _SHIELD, "Nova has confirmed the guest's address")
        ),
        E.REMOVED: Row(None, (A.WAIT_CAUGHT_UP,), "none of its services is left"),
        E.DEADLINE: Row(
            None,
            (A.RELEASE_ANYWAY,),
            "deadline: releasing; writes that are not applied are quarantined",
        ),
    },
    P.RELEASED: {
        E.BEGIN: LATE,
        E.ARM: LATE,
        E.PAUSED: LATE,
        E.RESUMED: LATE,
        E.SWITCHOVER_FAILED: LATE,
        E.SILENT: LATE,
        E.REACHABLE: LATE,
        E.CAUGHT_UP: LATE,
        E.RELEASE_DONE: LATE,
        E.RELEASE_FAILED: LATE,
        E.REARMED: LATE,
        E.STILL_RUNNING: LATE,
        E.COMPLETED: Row(None, (A.FINISH,), "Nova says completed"),
        E.FAILED: Row(None, (A.FINISH,), "Nova rolled back"),
        E.ROLLED_BACK: Row(None, (A.FINISH,), "Nova rolled back"),
        E.DELETED: Row(None, (A.FINISH,), "the instance is deleted"),
        E.TARGET_LOST: LATE,
        E.TARGET_FOUND: LATE,
        E.REMOVED: Row(None, (A.FINISH,), "none of its services is left"),
        E.DEADLINE: Row(None, (A.FINISH,), "deadline: nobody says how it ended"),
    },
}

EDGE_OF: dict[Phase, EdgeState] = {
    P.IDLE: EdgeState.PASS,
    # Writes go through the journal as soon as the cache is filled: a write that passed beside
    # it would leave its old page there.
    P.WARMING: EdgeState.ARMED,
    P.ARMED: EdgeState.ARMED,
    P.SHIELDED: EdgeState.SHIELDED,
    P.ROLLING_BACK: EdgeState.SHIELDED,
    P.REPLAYING: EdgeState.REPLAY,
    P.RELEASED: EdgeState.PASS,
}
