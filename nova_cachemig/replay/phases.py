"""The phases of a service's writes: shielded, replayed, drained, released."""

from __future__ import annotations

from collections.abc import Hashable

from nova_cachemig.replay import connections, sending
from nova_cachemig.replay.actions import (
    Abandon,
    Close,
    Drained,
    NotReleased,
    Released,
    ResetReads,
    Tell,
    Told,
)
from nova_cachemig.replay.entry import GIVEN_UP
from nova_cachemig.replay.state import INFINITE, Phase, State, Timer

ABANDONED = "it was not applied before the deadline of the migration"


def shield(s: State, now: float) -> None:
    """The guest is silent: writes wait in the journal. Those in flight keep waiting too."""
    s.phase = Phase.SHIELDED
    hold(s, now)


def hold(s: State, now: float) -> None:
    """Send no further write."""
    s.resuming = None
    connections.stop_connecting(s)
    s.quiet_since = INFINITE
    if s.gate_open:
        s.gate_open = False
        s.gate += 1
        s.held_at = now
        connections.note_pause(s)


def replay(s: State, target: Hashable, now: float) -> None:
    """The guest is reachable at ``target``."""
    s.phase = Phase.REPLAYING
    reach(s, target, now)


def reach(s: State, target: Hashable, now: float) -> None:
    """The guest is reachable: send what is there. Other writes go to it as they did before."""
    if s.resume_delay:
        if target != s.resuming:
            s.resuming, s.resume_at = target, now + s.resume_delay
            s.at(s.resume_at, Timer.RESUME, target)
    else:
        _open(s, target, now)


def resume(s: State, target: Hashable, now: float) -> None:
    """The delay after a crash is over, unless the guest became silent or moved meanwhile.

    Then this timer is an old one: in a pause, the guest does not finish earlier requests.
    """
    if target is not None and s.resuming == target and now >= s.resume_at:
        s.resume_delay, s.resuming = 0.0, None
        _open(s, target, now)


def _open(s: State, target: Hashable, now: float) -> None:
    if not s.gate_open:
        s.pipelining = True  # a new chance after the guest has moved
        s.gate_open = True
        s.gate += 1
    if target != s.target:
        connections.stop_connecting(s)
    s.target, s.opened_at = target, now
    sending.advance(s, now)


# --- drain and release


def idle(s: State) -> bool:
    """Whether direct writes could overtake nothing that was accepted.

    A write in flight for long may go on if its client still waits for it and it is never sent
    twice: it is concurrent with all others.
    """
    if (
        s.waiting
        or s.unknown
        or s.owed
        or s.holding
        or s.recording
        or s.quarantining
        or s.abandoning
    ):
        return False
    return all(entry.slow and not entry.resendable for entry in s.blocking.values())


def quiet(s: State, now: float) -> bool:
    """Whether nothing is left, in the queue or arriving.

    Uploads that still arrive are waited for only a while: they become late writes, which are never
    told 202.
    """
    if not idle(s):
        s.quiet_since = INFINITE
        return False
    if not s.arriving:
        return True
    if s.quiet_since == INFINITE:
        s.quiet_since = now
        s.at(now + s.limits.arrivals_patience, Timer.ARRIVALS)
    return now >= s.quiet_since + s.limits.arrivals_patience


def check_drained(s: State, now: float) -> None:
    """Say so once when nothing is left."""
    if s.phase is Phase.REPLAYING and s.gate_open and quiet(s, now):
        s.phase = Phase.DRAINED
        s.out.append(Drained())


def release(s: State, now: float, *, arrivals: bool = True) -> None:
    """The edge holds all writes: let the next ones go to the guest directly, if nothing came.

    Without ``arrivals``, the caller has waited for uploads, and knows that the guest is reachable.
    """
    ready = s.phase is not Phase.SHIELDED and quiet(s, now) if arrivals else idle(s)
    if ready:
        s.phase = Phase.ARMED
        s.out.append(Released())
    elif s.phase is not Phase.SHIELDED:
        s.phase = Phase.REPLAYING
        s.out.append(NotReleased())
        check_drained(s, now)


def reclaim(s: State, now: float) -> None:
    """The release failed: all writes go on coming to the journal."""
    if s.phase in {Phase.ARMED, Phase.DRAINED}:
        s.phase = Phase.REPLAYING if s.gate_open else Phase.SHIELDED
        check_drained(s, now)


def abandon(s: State) -> None:
    """The deadline: leave what is not applied to the operator, then release.

    It is not sent later on its own: a direct write may be newer.
    """
    s.abandoning, s.phase = True, Phase.ARMED
    s.abandoned_through = s.next - 1
    in_flight = [entry for entry in s.blocking.values() if entry.connection is not None]
    for entry in in_flight:
        if entry.connection is not None and entry.connection.id in s.connections:
            del s.connections[entry.connection.id]
            s.out.append(Close(entry.connection.id, "the deadline of the migration"))
        entry.connection = None
    s.blocking = {p: e for p, e in s.blocking.items() if p in s.quarantining}
    s.ready.clear()
    s.confirmed.clear()
    s.loaded, s.on_disk, s.loading = s.newest, False, False
    s.abandoned = s.waiting + len(in_flight)
    s.waiting = s.waiting_bytes = 0
    for entry in (*s.pending.values(), *s.unknown.values()):
        s.count(entry, +1)
    s.abandoned_sent = tuple(entry.position for entry in in_flight)
    s.out.append(Abandon(s.abandoned_through, ABANDONED, s.abandoned_sent))


def abandoned(s: State, now: float) -> None:
    """It is durable: tell their clients, and release."""
    s.abandoning = False
    s.in_doubt += s.abandoned
    through = s.abandoned_through
    for waiting in (s.clients, s.departing):
        told = [p for p in waiting if p <= through and not _has_outcome(s, p)]
        for position in told:
            client = waiting.pop(position)
            s.out.append(Tell(client.token, Told.IN_DOUBT, position, why=GIVEN_UP))
    s.owed = {p for p in s.owed if p > through or _has_outcome(s, p)}
    s.kept = {p for p in s.kept if p > through or _has_outcome(s, p)}
    s.out.append(ResetReads())
    if s.phase is Phase.ARMED:  # else the guest was shielded again meanwhile
        s.out.append(Released())
    sending.advance(s, now)


def _has_outcome(s: State, position: int) -> bool:
    return position in s.recording or position in s.quarantining or position in s.releasing
