"""The timers of the machine."""

from __future__ import annotations

from heapq import heappop
from typing import Any

from nova_cachemig.replay import acceptance, connections, outcomes, phases
from nova_cachemig.replay.actions import Abandon
from nova_cachemig.replay.state import State, Timer


def ring(s: State, now: float) -> None:
    """Do what is due. A timer is not cancelled: there may be nothing left to do for it."""
    while s.timers and s.timers[0][0] <= now:
        _, _, timer, what = heappop(s.timers)
        _ring(s, timer, what, now)


def _ring(s: State, timer: Timer, what: Any, now: float) -> None:
    if timer is Timer.RETRY:
        outcomes.retry(s, what)
    elif timer is Timer.WATCH:
        outcomes.watch(s, now)
    elif timer is Timer.DRAIN:
        phases.drain_over(s, now)
    elif timer is Timer.PROOF:
        connections.look(s, now)
    elif timer is Timer.RESUME:
        phases.resume(s, what, now)
    elif timer is Timer.KEEP:
        acceptance.kept(s, what)
    elif timer is Timer.HURRY:
        acceptance.depart(s, what, now)
    elif timer is Timer.MOVE:
        acceptance.move_again(s, what)
    elif timer is Timer.LOAD:
        s.loading = False
    elif timer is Timer.ABANDON and s.abandoning:
        s.out.append(Abandon(s.abandoned_through, phases.ABANDONED, s.abandoned_sent))
    elif timer in {Timer.RECORD, Timer.QUARANTINE}:
        outcomes.again(s, timer, what)
