"""The phases of a service's writes: shielded, replayed, drained, released."""

from __future__ import annotations

from collections.abc import Hashable

from nova_cachemig.replay import connections, sending
from nova_cachemig.replay.actions import (
    Abandon,
    CaughtUp,
    Close,
    NotReleased,
    Released,
    ResetReads,
    Tell,
    Told,
)
from nova_cachemig.replay.entry import GIVEN_UP, Entry
from nova_cachemig.replay.state import Phase, State, Timer

ABANDONED = "it was not applied before the deadline of the migration"


def shield(s: State, now: float) -> None:
    """The guest is silent: writes wait in the journal. Those in flight keep waiting too."""
    s.phase = Phase.SHIELDED
    hold(s, now)


def hold(s: State, now: float) -> None:
    """Send no further write."""
    s.resuming = None
    connections.stop_connecting(s)
    if s.gate_open:
        s.gate_open = False
        s.gate += 1
        s.held_at = now
        connections.note_pause(s)


def replay(s: State, target: Hashable, now: float) -> None:
    """The guest is reachable at ``target``."""
    s.phase = Phase.REPLAYING
    s.failed_drains = 0
    _next_lap(s, now)
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
        s.closed_early = 0
        s.gate_open = True
        s.gate += 1
    if target != s.target:
        connections.stop_connecting(s)
        if s.target is not None:
            connections.forget_guest(s)
    s.target, s.opened_at = target, now
    sending.advance(s, now)


# --- drain and release


def idle(s: State) -> bool:
    """Whether direct writes could overtake nothing that was accepted.

    A write in flight for long may go on if its client still waits for it and it is never sent
    twice: it is concurrent with all others. The client of a write from before a restart waits no
    longer, and may have got a 202.
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
    return all(_may_go_on(s, entry) for entry in s.blocking.values())


def quiet(s: State, now: float) -> bool:
    """Whether nothing is left, in the queue or arriving.

    Uploads that still arrive are waited for only a while: they become late writes, which are never
    told 202.
    """
    return idle(s) and (not s.arriving or now >= s.arrivals_until)


def check(s: State, now: float) -> None:
    """Take the next step to the release, if it is due.

    If writes arrive as fast as the guest takes them, the queue is never empty. So the edge holds
    new writes as soon as the rest can be sent within the drain's time. That is measured in laps: a
    lap is over when all writes are done that were left at its begin.
    """
    if s.phase is Phase.REPLAYING and s.gate_open and now >= s.lap_at:
        if s.lap_began is None:
            _begin_lap(s, now)
        if _passed(s, s.lap_through):
            if _expected(s, now) <= s.limits.drain_time:
                s.phase = Phase.CAUGHT_UP
                s.out.append(CaughtUp())
            else:
                _begin_lap(s, now)
    elif s.phase is Phase.DRAINING and quiet(s, now):
        s.phase = Phase.ARMED
        s.out.append(Released())


def _next_lap(s: State, at: float) -> None:
    s.lap_at, s.lap_began = at, None


def _begin_lap(s: State, now: float) -> None:
    s.lap_began, s.lap_through, s.lap_writes = now, s.next - 1, _left(s)


def _left(s: State) -> int:
    return s.waiting + len(s.blocking) + len(s.recording) + len(s.quarantining)


def _expected(s: State, now: float) -> float:
    """Return the seconds that the rest takes at the lap's pace."""
    began = now if s.lap_began is None else s.lap_began
    return _left(s) * (now - began) / max(s.lap_writes, 1)


def _passed(s: State, through: int) -> bool:
    """Whether :func:`idle` is true of the positions up to this one."""
    if s.abandoning or (s.ready and s.ready[0].position <= through):
        return False
    if s.on_disk and s.loaded < through:
        return False
    pools = (s.pending, s.unknown, s.confirmed, s.recording, s.quarantining, s.owed)
    if any(position <= through for pool in pools for position in pool):
        return False
    return all(p > through or _may_go_on(s, entry) for p, entry in s.blocking.items())


def _may_go_on(s: State, entry: Entry) -> bool:
    return entry.slow and not entry.resendable and entry.position > s.serialized_through


def release(s: State, now: float, patience: float) -> None:
    """The edge holds new writes: let the next ones go to the guest directly when nothing is left.

    ``patience``: seconds for uploads.
    """
    if s.phase is Phase.SHIELDED:
        s.out.append(NotReleased())
        return
    if s.phase is not Phase.DRAINING:
        s.phase = Phase.DRAINING
        s.drain_until, s.arrivals_until = now + s.limits.drain_time, now + patience
        s.at(s.drain_until, Timer.DRAIN)
        s.at(s.arrivals_until, Timer.ARRIVALS)
    check(s, now)


def drain_over(s: State, now: float) -> None:
    """The edge must not hold writes any longer."""
    if s.phase is Phase.DRAINING and now >= s.drain_until:
        reclaim(s, now)
        s.out.append(NotReleased())


def reclaim(s: State, now: float) -> None:
    """The release failed: all writes go on coming to the journal. Pause before the next try."""
    if s.phase in {Phase.ARMED, Phase.CAUGHT_UP, Phase.DRAINING}:
        s.phase = Phase.REPLAYING if s.gate_open else Phase.SHIELDED
        longest = s.limits.drain_pause_max
        pause = min(s.limits.drain_pause * 2.0 ** min(s.failed_drains, 16), longest)
        s.failed_drains += 1
        _next_lap(s, now + pause)
        s.at(s.lap_at, Timer.LAP)


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
