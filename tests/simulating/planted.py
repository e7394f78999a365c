"""Faults that the simulation must notice. Each one is a patch of the machine or of the journal."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay import (
    acceptance,
    actions,
    connections,
    ordering,
    outcomes,
    phases,
    sending,
)
from nova_cachemig.replay.entry import Client, Entry
from nova_cachemig.replay.recovery import Fate
from nova_cachemig.replay.state import Phase, State
from tests.simulating import agent, disk

Planted = Callable[[], contextlib.AbstractContextManager[Any]]


def _instead(where: Any, name: str, make: Callable[[Any], Any]) -> Planted:
    """Return what replaces ``where.name`` by ``make(the original)``."""
    return lambda: mock.patch.object(where, name, make(getattr(where, name)))


def _swapped(original: Any) -> Any:
    def next_entry(s: State) -> Entry | None:
        entry = original(s)
        swap = entry is not None and entry is s.ready[0] and len(s.ready) > 1
        return s.ready[1] if swap and s.timer_count % 5 == 0 else entry

    return next_entry


def _crossed(original: Any) -> Any:
    def reads_released(s: State, position: int) -> None:
        if position in s.clients and len(s.clients) > 1:
            other = next(p for p in s.clients if p != position)
            one, two = s.clients[position], s.clients[other]
            one.token, two.token = two.token, one.token
        original(s, position)

    return reads_released


def _not_listed(_original: Any) -> Any:
    def quarantine(s: State, entry: Entry, state: WriteState, why: str, _public: str) -> None:
        s.quarantining[entry.position], s.states[entry.position] = entry, state
        if entry.position not in s.blocking:
            s.count(entry, -1)
        entry.why = why
        outcomes.quarantined(s, entry.position)

    return quarantine


def _unsafe() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(Entry, "resendable", True)


def _believed(_original: Any) -> Any:
    def on_unknown(self: disk.Committer, batch: list[disk.Step]) -> None:
        self._report([(step, "done") for step in batch])

    return on_unknown


def _as_refused(_original: Any) -> Any:
    def unknown(s: State, position: int) -> None:
        s.unknown[position] = s.pending.pop(position)
        s.out.append(actions.Tell(s.unknown[position].token, actions.Told.REFUSED, position))

    return unknown


def _before_limit(original: Any) -> Any:
    def may_be_sent(s: State, entry: Entry, now: float) -> bool:
        original(s, entry, now)
        return True

    return may_be_sent


def _told_early(original: Any) -> Any:
    def response(s: State, *args: Any, **options: Any) -> Entry | None:
        entry = original(s, *args, **options)
        if entry is not None:
            client = s.clients.pop(entry.position, None)
            if client is not None:
                told = actions.Told.RESPONSE
                s.out.insert(0, actions.Tell(client.token, told, entry.position, entry.response))
        return entry

    return response


def _late_202(original: Any) -> Any:
    def appended(s: State, position: int, limit: int | None, now: float) -> None:
        phase, s.phase = s.phase, Phase.REPLAYING
        original(s, position, limit, now)
        s.phase = phase

    return appended


def _endless(_original: Any) -> Any:
    def blame(s: State, entry: Entry, now: float, _why: str) -> None:
        outcomes.retry_at(s, entry, now + s.limits.resend_pause)

    return blame


def _reads_early(original: Any) -> Any:
    def appended(s: State, position: int, limit: int | None, now: float) -> None:
        entry = s.pending[position]
        original(s, position, limit, now)
        s.out.append(actions.ReleaseReads(entry))

    return appended


def _released_early(_original: Any) -> Any:
    def quiet(s: State, _now: float) -> bool:
        return not s.recording and not s.quarantining

    return quiet


def _forgotten(original: Any) -> Any:
    def recover(*args: Any) -> dict[str, State]:
        states = original(*args)
        for state in states.values():
            state.on_disk, state.newest, state.waiting = False, 0, 0
        return states

    return recover


def _no_delay(original: Any) -> Any:
    def recover(*args: Any) -> dict[str, State]:
        states = original(*args)
        for state in states.values():
            state.resume_delay = 0.0
        return states

    return recover


def _limit_failure(_original: Any) -> Any:
    def limit_failed(s: State, now: float) -> None:
        sending.limit_raised(s, s.raising_to, now)

    return limit_failed


def _record_failure(original: Any) -> Any:
    def failed(self: disk.Committer, batch: list[disk.Step]) -> None:
        records = [step for step in batch if step.kind == "record"]
        original(self, [step for step in batch if step.kind != "record"])
        for step in records:
            step.done("done")

    return failed


def _not_blocking(original: Any) -> Any:
    def retry_at(s: State, entry: Entry, time: float) -> None:
        original(s, entry, time)
        s.blocking.pop(entry.position)
        s.put(entry)
        s.ready.sort(key=lambda other: (other is entry, other.position))

    return retry_at


def _unknown_passed(original: Any) -> Any:
    def next_entry(s: State) -> Entry | None:
        unknown, s.unknown = s.unknown, {}
        try:
            return original(s)
        finally:
            s.unknown = unknown

    return next_entry


def _behind_put(original: Any) -> Any:
    def may_pipeline(s: State, entry: Entry, ahead: Sequence[Entry]) -> bool:
        other = dataclasses.replace(entry, idempotent=True, late=False)
        return bool(original(s, other, ahead))

    return may_pipeline


def _same_page(_original: Any) -> Any:
    def may_pipeline(_s: State, _entry: Entry, _ahead: Any) -> bool:
        return True

    return may_pipeline


def _never_sent(original: Any) -> Any:
    def fate(**facts: Any) -> Fate:
        return original(**(facts | {"complete": True}))

    return fate


def _late_again() -> contextlib.AbstractContextManager[Any]:
    return mock.patch.object(
        Entry, "resendable", property(lambda entry: entry.keyed or entry.idempotent)
    )


def _twice_forgotten(original: Any) -> Any:
    def recover(plan: Any, disk: Any) -> dict[str, State]:
        states: dict[str, State] = original(plan, disk)
        disk.log = {}
        return states

    return recover


def _doubt_forgotten(original: Any) -> Any:
    def recover(plan: Any, disk: Any) -> dict[str, State]:
        states: dict[str, State] = original(plan, disk)
        for name in disk.ended.items():
            del disk.log[name]
        disk.ended = {}
        return states

    return recover


def _stale_timer(original: Any) -> Any:
    def resume(s: State, target: Any, now: float) -> None:
        s.resume_at = now
        original(s, target, now)

    return resume


def _kept_late(_original: Any) -> Any:
    def kept(s: State, position: int) -> None:
        client: Client | None = s.departing.pop(position, None)
        if client is not None:
            s.out.append(actions.Tell(client.token, actions.Told.ACCEPTED, position))

    return kept


PLANTED: dict[str, Planted] = {
    "adjacent writes swapped": _instead(ordering, "next_entry", _swapped),
    "responses crossed": _instead(acceptance, "reads_released", _crossed),
    "quarantined, not listed": _instead(outcomes, "quarantine", _not_listed),
    "sent again, although it must not be": _unsafe,
    "lost fsync believed": _instead(disk.Committer, "on_unknown", _believed),
    "unknown commit told as refused": _instead(acceptance, "unknown", _as_refused),
    "sent before the send limit is durable": _instead(sending, "_may_be_sent", _before_limit),
    "failed send limit believed": _instead(sending, "limit_failed", _limit_failure),
    "told before it is recorded": _instead(outcomes, "response", _told_early),
    "failed record believed": _instead(disk.Committer, "_failed", _record_failure),
    "202 for a late write": _instead(acceptance, "appended", _late_202),
    "202 for a client that waited beside direct writes": _instead(acceptance, "kept", _kept_late),
    "resends without end": _instead(outcomes, "_blame", _endless),
    "reads released too early": _instead(acceptance, "appended", _reads_early),
    "direct writes overtake": _instead(phases, "quiet", _released_early),
    "forgotten at a restart": _instead(agent, "recover", _forgotten),
    "sent at once after a crash": _instead(agent, "recover", _no_delay),
    "overtaken during a pause between tries": _instead(outcomes, "retry_at", _not_blocking),
    "overtaken while its acceptance is unknown": _instead(ordering, "next_entry", _unknown_passed),
    "pipelined behind anything": _instead(connections, "may_pipeline", _same_page),
    "a POST pipelined behind a PUT": _instead(connections, "may_pipeline", _behind_put),
    "late write sent again": _late_again,
    "sent writes forgotten by a second crash": _instead(agent, "recover", _twice_forgotten),
    "second crash forgets writes in doubt": _instead(agent, "recover", _doubt_forgotten),
    "stale resume timer": _instead(phases, "resume", _stale_timer),
    "incomplete progress log believed": _instead(agent, "fate", _never_sent),
}
"""Name → a context in which the fault is there."""
