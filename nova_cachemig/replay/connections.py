"""Which connection a write goes on.

A guest may close an idle connection unannounced, some guests after each response. A write that
is sent at the same time may be lost, and must perhaps not be sent twice. So a connection is used
again only if the guest has announced for how long it keeps it, or was seen to keep one open for
twice as long. Until then each write gets a new connection, and one idle connection is observed.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

from nova_cachemig.replay.actions import Close, Connect, StopConnecting
from nova_cachemig.replay.entry import Connection, Entry
from nova_cachemig.replay.ordering import holding_up, may_pipeline
from nova_cachemig.replay.state import INFINITE, State, Timer

_ROUNDS: Final = 3  # turns of the event loop in which the end of a connection would be reported
_ROUND: Final = 0.001  # seconds
_MAX_EARLY: Final = 2  # connections closed early; then none is used twice
# Servers often close the connection after such a response, announced or not.
_FAILED: Final = frozenset({400, 408, 413, 414, 417, 431})


def connected(s: State, name: Hashable, target: Hashable, now: float) -> None:
    """Take a new connection into use."""
    if target == s.target:
        s.connecting = False
    connection = Connection(name, target, now)
    s.connections[name] = connection
    s.idle.append(connection)


def choose(s: State, entry: Entry, now: float) -> Connection | None:
    """Return the connection on which the write may be sent now; begin to make one if needed."""
    others = holding_up(s)
    if s.limits.parallel == 1 and others:
        return _pipelined(s, entry, others)
    connection = _idle(s, now)
    if connection is None and s.blocking:
        connection = _pipelined(s, entry, None)
        if connection is None and now < s.last_sent_at + s.limits.prompt:
            # With a quick guest, a new connection costs more than it gains.
            s.at(s.last_sent_at + s.limits.prompt, Timer.SEND)
            return None
    if connection is None:
        ensure(s, now)
    return connection


def ensure(s: State, now: float) -> None:
    """Begin to connect, unless there is a usable connection."""
    if not s.connecting and s.gate_open and _idle(s, now) is None:
        s.connecting = True
        s.out.append(Connect(s.target))


def _idle(s: State, now: float) -> Connection | None:
    for connection in reversed(tuple(s.idle)):
        if _usable(s, connection, now):
            return connection
        if connection is not s.observed or s.kept_idle:
            _close(s, connection, "it was idle for too long")
    return None


def _at_target(s: State, connection: Connection) -> bool:
    # Comparing two targets costs more than all else here, and mostly they are the same object.
    return connection.target is s.target or connection.target == s.target


def _close(s: State, connection: Connection, why: str) -> None:
    forget(s, connection.id)
    s.out.append(Close(connection.id, why))


def _usable(s: State, connection: Connection, now: float) -> bool:
    if not (connection.open and _at_target(s, connection)):
        return False
    most = s.limits.reuse_idle
    if connection.served:
        # Half of it: the guest's timer started earlier.
        kept = s.kept_idle if connection.idle_timeout is None else connection.idle_timeout
        if not kept or s.closed_early >= _MAX_EARLY:
            return False
        most = min(most, kept / 2)
    return now - connection.last_byte <= most


# --- whether the guest keeps idle connections open


def _observe(s: State, connection: Connection, now: float) -> None:
    """Look later whether the guest has closed an idle connection."""
    wanted = s.kept_idle < 2 * s.limits.reuse_idle and s.closed_early < _MAX_EARLY
    if s.observed is None and connection.idle_timeout is None and wanted:
        s.observed = connection
        _look_at(s, now + s.limits.proof, _ROUNDS)


def _look_at(s: State, time: float, rounds: int) -> None:
    """Look at a time. ``rounds``: the looks that decide nothing.

    Under load, this changes with each response. So a timer that is set stays, and sets the next.
    """
    s.look_at, s.look_rounds = time, rounds
    if time < s.look_timer:
        s.look_timer = time
        s.at(time, Timer.PROOF)


def look(s: State, now: float) -> None:
    """The connection has been idle for a while: does the guest still keep it open?

    After a busy time of the event loop, the end of a connection is reported behind a timer. So the
    first look decides nothing.
    """
    if now < s.look_timer:
        return  # an earlier timer has done it
    s.look_timer = INFINITE
    connection = s.observed
    if connection is None:
        return
    if now < s.look_at:
        _look_at(s, s.look_at, s.look_rounds)
        return
    if s.look_rounds:
        _look_at(s, now + _ROUND, s.look_rounds - 1)
        return
    idle = now - connection.last_byte
    s.kept_idle = max(s.kept_idle, idle)
    if s.blocking:  # a guest that serves one connection at a time waits for its end
        _close(s, connection, "the guest keeps it open")
    elif s.kept_idle < 2 * s.limits.reuse_idle:
        _look_at(s, connection.last_byte + 2 * idle, _ROUNDS)
    else:
        s.observed = None


def _closed_early(s: State, connection: Connection, now: float) -> None:
    """The guest has closed a connection on which it had responded, and announced nothing."""
    if connection.in_flight:
        if s.gate_open and not connection.began_at:  # perhaps closed before the write came
            s.closed_early, s.kept_idle = s.closed_early + 1, 0.0
    elif now - connection.last_byte < s.limits.proof:
        s.closed_early, s.kept_idle = _MAX_EARLY, 0.0
    else:
        s.kept_idle = min(s.kept_idle, now - connection.last_byte)


def forget_guest(s: State) -> None:
    """The service has another guest."""
    s.observed, s.kept_idle, s.closed_early = None, 0.0, 0


def _pipelined(s: State, entry: Entry, exactly: int | None) -> Connection | None:
    """Return a connection on which the write can be sent behind others, if there is one.

    ``exactly``: it must have so many in flight, which keeps the total order. A response since the
    pause shows that the guest still has the connection.
    """
    if not s.pipelining:
        return None
    for connection in s.connections.values():
        ahead = connection.in_flight
        if (
            ahead
            and connection.open
            and connection.prompt
            and _at_target(s, connection)
            and max(connection.last_byte, connection.waiting_since) > s.held_at
            and (exactly is None or exactly == len(ahead))
            and len(ahead) < s.limits.pipeline
            and may_pipeline(s, entry, ahead)
        ):
            return connection
    return None


def assign(s: State, connection: Connection, entry: Entry, now: float) -> None:
    """The write is in flight on this connection."""
    if not connection.in_flight:
        s.idle.remove(connection)
        connection.waiting_since = now
        if s.observed is connection:
            s.observed = None
    connection.in_flight.append(entry)
    entry.connection = connection


def took_response(
    s: State,
    connection: Connection,
    answer: Any,
    now: float,
    keep_alive: bool,
    idle_timeout: float | None,
) -> Entry:
    """Return the write whose response has arrived: the oldest on the connection."""
    entry = connection.in_flight.pop(0)
    entry.connection, connection.served = None, True
    connection.open = connection.open and keep_alive
    if connection.paused:
        connection.paused -= 1
        connection.prompt = connection.prompt and connection.open
    else:
        quick = now - connection.waiting_since <= s.limits.prompt
        connection.prompt = connection.open and quick
    connection.last_byte = connection.waiting_since = now
    connection.began_at = 0.0
    if idle_timeout is not None:
        connection.idle_timeout = idle_timeout
    if not connection.in_flight:
        if connection.open and answer.status < 500 and answer.status not in _FAILED:
            s.idle.append(connection)
            _observe(s, connection, now)
        else:
            why = "the guest ended it" if not connection.open else f"after a {answer.status}"
            del s.connections[connection.id]
            s.out.append(Close(connection.id, why))
    return entry


def forget(s: State, name: Hashable) -> Connection | None:
    """The connection is gone. Return it if it was in use."""
    connection = s.connections.pop(name, None)
    if connection is not None and connection in s.idle:
        s.idle.remove(connection)
    if connection is not None and s.observed is connection:
        s.observed = None
    return connection


def lost(s: State, name: Hashable, now: float) -> Connection | None:
    """The guest, or the network, has ended the connection. Return it if it was in use."""
    connection = forget(s, name)
    announced = connection is None or not connection.open or connection.idle_timeout is not None
    if connection is not None and connection.served and not announced:
        _closed_early(s, connection, now)
    return connection


def stop_connecting(s: State) -> None:
    """The guest is silent, or elsewhere."""
    if s.connecting:
        s.connecting = False
        s.out.append(StopConnecting())


def note_pause(s: State) -> None:
    """The guest is silent: the time of the writes in flight says nothing about its speed."""
    for connection in s.connections.values():
        connection.paused = len(connection.in_flight)
