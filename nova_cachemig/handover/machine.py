"""One handover's state, and the step that an event takes. No I/O, no clock."""

from __future__ import annotations

import dataclasses

from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.handover.table import LATE, TABLE, Guard, Row
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import Decision, OutcomeKind
from nova_cachemig.model.phase import Phase

_OUTCOME_OF = {
    EventKind.COMPLETED: OutcomeKind.COMPLETED,
    EventKind.FAILED: OutcomeKind.ROLLED_BACK,
    EventKind.ROLLED_BACK: OutcomeKind.ROLLED_BACK,
    EventKind.DEADLINE: OutcomeKind.ABANDONED,
    EventKind.DELETED: OutcomeKind.ABANDONED,
    EventKind.REMOVED: OutcomeKind.ABANDONED,
    EventKind.WRITES_FOUND: OutcomeKind.ABANDONED,  # it is no migration: the services are released
}
_MOVED = frozenset({EventKind.PAUSED, EventKind.RESUMED, EventKind.SWITCHOVER_FAILED})


class UnknownEventError(Exception):
    """The table has no row for this event in this phase: an error of the program, not of a user."""


@dataclasses.dataclass(frozen=True, slots=True)
class Handover:
    """Where one handover stands.

    ``moved``: the hypervisor has reported a switchover, done or failed. ``post_copy``: memory
    follows after it. ``resumed``: the guest has run at the destination. ``outcome``: Nova's
    report; the first one counts. ``given_up``: the services are released whatever the guest does.
    """

    phase: Phase = Phase.IDLE
    moved: bool = False
    post_copy: bool = False
    resumed: bool = False
    outcome: OutcomeKind | None = None
    given_up: bool = False

    def holds(self, guard: Guard) -> bool:
        """Whether a row's guard is true."""
        if guard is Guard.OUTCOME:
            return self.outcome is not None
        if guard is Guard.GIVEN_UP:
            return self.given_up
        # After a post-copy switchover the guest may stall for pages that are still at the source.
        # So the cache stays in front of it until Nova says that the migration is complete.
        return self.outcome is not None or (self.moved and not self.post_copy)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """The result of one event."""

    state: Handover
    actions: tuple[Action, ...]
    decision: Decision | None


def step(state: Handover, event: Event) -> Step:
    """Apply one event; raises :class:`UnknownEventError` if the table does not know it."""
    try:
        row = TABLE[state.phase][event.kind]
    except KeyError as exc:
        raise UnknownEventError(f"{event.kind} in phase {state.phase}") from exc
    if event.kind is EventKind.PAUSED and event.post_copy and state.resumed:
        # libvirt reports the source's post-copy pause when it has seen QEMU's state change. The
        # guest can run at the destination by then. If it does not, the prober finds out.
        row = LATE
    state = _remember(state, event)
    chosen = _choose(state, row)
    phase = chosen.then or state.phase
    given_up = state.given_up or Action.RELEASE_ANYWAY in chosen.actions
    state = dataclasses.replace(state, phase=phase, given_up=given_up)
    sentence = chosen.why + (f" ({event.detail})" if event.detail and chosen.why else "")
    decision = Decision(event.at, phase, sentence) if sentence else None
    return Step(state, chosen.actions, decision)


def _choose(state: Handover, row: Row) -> Row:
    if row.guard is None or state.holds(row.guard):
        return row
    assert row.other is not None, "a guarded row names what follows otherwise"
    return row.other


def _remember(state: Handover, event: Event) -> Handover:
    if state.outcome is None and event.kind in _OUTCOME_OF:
        state = dataclasses.replace(state, outcome=_OUTCOME_OF[event.kind])
    # An event of the hypervisor after the end belongs to no switchover of this handover.
    if event.kind in _MOVED and state.phase is not Phase.RELEASED:
        failed = event.kind is EventKind.SWITCHOVER_FAILED
        post_copy = False if failed else state.post_copy or event.post_copy
        resumed = state.resumed or event.kind is EventKind.RESUMED
        state = dataclasses.replace(state, moved=True, post_copy=post_copy, resumed=resumed)
    return state
