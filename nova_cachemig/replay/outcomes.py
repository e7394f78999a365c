"""The meaning of an outcome of a write in flight: recorded, sent again, or quarantined."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay import connections, ordering
from nova_cachemig.replay.actions import (
    Close,
    LogResponse,
    Quarantine,
    Record,
    ReleaseReads,
)
from nova_cachemig.replay.entry import CONNECTION_LOST, GIVEN_UP, Entry
from nova_cachemig.replay.state import State, Timer


def response(
    s: State,
    name: Hashable,
    answer: Any,
    now: float,
    keep_alive: bool = True,
    idle_timeout: float | None = None,
) -> Entry | None:
    """Take the response to the oldest write of a connection.

    Returns the write if the response is final: the caller sends the next one, and then records it.
    """
    connection = s.connections.get(name)
    if connection is None or not connection.in_flight:
        return None
    entry = connections.took_response(s, connection, answer, now, keep_alive, idle_timeout)
    pause = _retry_after(s, entry, answer)
    if pause is not None:
        entry.busy_until = entry.busy_until or now + s.limits.busy_time
        if now < entry.busy_until:
            # The guest still processes the first try. Other writes go on waiting for it.
            retry_at(s, entry, now + pause)
        else:
            why = "the guest has processed an earlier try for too long"
            quarantine(s, entry, WriteState.IN_DOUBT, why, GIVEN_UP)
        return None
    if _fails_because_applied(s, entry, answer):
        why = "its condition failed (412) after an earlier try, which may have been applied"
        quarantine(s, entry, WriteState.IN_DOUBT, why, CONNECTION_LOST)
        return None
    entry.response = answer
    del s.blocking[entry.position]
    s.recording[entry.position] = entry
    s.out.append(LogResponse(entry, answer))
    return entry


def record(s: State, entry: Entry) -> None:
    """Store a response. Only then its client gets it."""
    keep = entry.keep or entry.early or entry.prefers or entry.position in s.kept
    more = s.on_disk or bool(s.ready)
    s.out.append(Record(entry, entry.response, keep, more))


def _retry_after(s: State, entry: Entry, answer: Any) -> float | None:
    """Return the seconds after which to send the write again; None if the response is final.

    A write may be sent again while a guest that honours keys still processes the first try. Such a
    guest responds 409 with Retry-After. Its response to the first try is the final one. If the
    client chose the key, the first try may have been the client's.
    """
    if answer.status != 409 or not entry.keyed:
        return None
    if not (entry.keep or ordering.may_be_in_progress(s, entry)):
        return None
    after = answer.header("retry-after") or ""
    return min(max(float(after), 0.1), 5.0) if after.isdecimal() else None


def _fails_because_applied(s: State, entry: Entry, answer: Any) -> bool:
    """Whether the earlier try of a write may be why the guest refuses it now.

    The client must not hear a "no" for a write that was applied. If the guest honours keys, its
    response is that to the first try.
    """
    if answer.status != 412 or not entry.conditional or entry.keyed:
        return False
    return ordering.may_be_in_progress(s, entry)


def lost(
    s: State, name: Hashable, now: float, why: str, *, unsent: int = 0, processed: bool = True,
    blame: bool = True,
) -> None:  # fmt: skip
    """A connection is gone.

    ``unsent``: this many of its writes, the last ones, were not sent. Without ``processed``, the
    guest has handled none of those in flight: it announced the end of the connection before.
    Without ``blame``, the oldest write is not why it broke.
    """
    connection = connections.lost(s, name, now)
    if connection is None:
        return
    entries = connection.in_flight
    sent = len(entries) - unsent if processed else 0
    if sent > 1:
        s.pipelining = False  # the guest, or a proxy before it, may not support it
    for index, entry in enumerate(entries):
        entry.connection = None
        if index >= sent:
            requeue(s, entry)
            continue
        entry.again = True
        if not entry.resendable:
            text = f"{why}; it must not be sent twice"
            quarantine(s, entry, WriteState.IN_DOUBT, text, CONNECTION_LOST)
        elif index == 0 and blame:
            _blame(s, entry, now, why)
        else:  # the guest had not come to it
            requeue(s, entry)


def _blame(s: State, entry: Entry, now: float, why: str) -> None:
    """Send a write again, on which the connection broke. A try during a pause does not count."""
    if not s.gate_open or entry.gate != s.gate:
        entry.tries = 0
        requeue(s, entry)
        return
    if not entry.tries:
        entry.failing_since = now
    entry.tries += 1
    too_long = now - entry.failing_since >= s.limits.resend_time
    if entry.tries >= s.limits.resend_tries or too_long:
        text = f"the connection broke {entry.tries} times on it; the last time: {why}"
        quarantine(s, entry, WriteState.IN_DOUBT, text, CONNECTION_LOST)
        return
    pause = s.limits.resend_pause * 2 ** (entry.tries - 1)
    retry_at(s, entry, now + min(pause, s.limits.resend_pause_max))


def retry_at(s: State, entry: Entry, time: float) -> None:
    """Send the write again at ``time``. Until then nothing may overtake it."""
    s.count(entry, +1)
    entry.slow = False
    s.at(time, Timer.RETRY, entry)


def retry(s: State, entry: Entry) -> None:
    """Its pause is over."""
    if s.blocking.get(entry.position) is entry and entry.connection is None:
        del s.blocking[entry.position]
        s.put(entry)


def requeue(s: State, entry: Entry) -> None:
    """Send the write again as soon as the order and the gate allow."""
    s.count(entry, +1)
    entry.slow = False
    s.blocking.pop(entry.position, None)
    s.put(entry)


def not_logged(s: State, name: Hashable, position: int, now: float) -> None:
    """Take a write back that was not sent, and those behind it on its connection."""
    connection = s.connections.get(name)
    if connection is None:
        return
    places = [entry.position for entry in connection.in_flight]
    if position in places:
        behind = connection.in_flight[places.index(position) :]
        del connection.in_flight[-len(behind) :]
        for entry in behind:
            entry.connection = None
            requeue(s, entry)
        if not connection.in_flight and connection.open:
            s.idle.append(connection)
    s.pause_until = now + s.limits.error_pause
    s.at(s.pause_until, Timer.SEND)


def watch(s: State, now: float) -> None:
    """Find connections on which a reachable guest is silent, or takes long."""
    limits = s.limits
    busy = [connection for connection in s.connections.values() if connection.in_flight]
    s.watching = bool(busy)
    if not busy:
        return
    s.at(now + limits.watch, Timer.WATCH)
    if not s.gate_open:
        return
    for connection in busy:
        since = max(connection.waiting_since, s.opened_at)
        silent = now - max(connection.last_byte, since)
        began = connection.began_at
        too_slow = began > 0 and now - max(began, s.opened_at) >= limits.response_time
        if silent >= limits.response_timeout or too_slow:
            if connection.open:
                connection.open = False
                why = f"no whole response in {now - since:.0f} s"
                s.out.append(Close(connection.id, why, report=True))
        elif now - since >= limits.slow and len(connection.in_flight) == 1:
            connection.in_flight[0].slow = True


# --- quarantine


def quarantine(s: State, entry: Entry, state: WriteState, why: str, public: str) -> None:
    """Leave the write to the operator. Other writes wait for it until this is durable."""
    entry.why, entry.public, entry.slow = why, public, False
    if entry.position not in s.blocking:
        s.count(entry, -1)
    s.quarantining[entry.position] = entry
    s.states[entry.position] = state
    s.out.append(Quarantine(entry, state, why))


def quarantined(s: State, position: int) -> None:
    """It is durable: its client may know it."""
    entry = s.quarantining.pop(position)
    del s.states[position]
    if s.blocking.pop(position, None) is not None:
        s.in_doubt += 1
    s.owed.discard(position)
    s.kept.discard(position)
    release_reads(s, entry)


def again(s: State, timer: Timer, position: int) -> None:
    """Repeat a step that failed."""
    if timer is Timer.QUARANTINE and (entry := s.quarantining.get(position)) is not None:
        s.out.append(Quarantine(entry, s.states[position], entry.why))
    elif timer is Timer.RECORD and (entry := s.recording.get(position)) is not None:
        record(s, entry)


def recorded(s: State, position: int) -> None:
    """The response is durable: first the reads, then the client."""
    entry = s.recording.pop(position)
    s.owed.discard(position)
    s.kept.discard(position)
    s.responded += 1
    release_reads(s, entry)


def release_reads(s: State, entry: Entry) -> None:
    """Tell the client when the reads are released."""
    s.releasing[entry.position] = entry
    s.out.append(ReleaseReads(entry, entry.response))
