"""Which connection a write goes on."""

from __future__ import annotations

from collections.abc import Hashable

from nova_cachemig.replay.actions import Close, Connect, StopConnecting
from nova_cachemig.replay.entry import Connection, Entry
from nova_cachemig.replay.ordering import holding_up, may_pipeline
from nova_cachemig.replay.state import State, Timer


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
    while s.idle:
        connection = s.idle[-1]
        if _usable(s, connection, now):
            return connection
        s.idle.pop()
        del s.connections[connection.id]
        s.out.append(Close(connection.id, "it was idle for too long"))
    return None


def _usable(s: State, connection: Connection, now: float) -> bool:
    most = s.limits.reuse_idle
    if connection.idle_timeout is not None:  # half of it: the guest's timer started earlier
        most = min(most, connection.idle_timeout / 2)
    return connection.open and connection.target == s.target and now - connection.last_byte <= most


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
            and connection.target == s.target
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
    connection.in_flight.append(entry)
    entry.connection = connection


def took_response(
    s: State, connection: Connection, now: float, keep_alive: bool, idle_timeout: float | None
) -> Entry:
    """Return the write whose response has arrived: the oldest on the connection."""
    entry = connection.in_flight.pop(0)
    entry.connection = None
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
        if connection.open:
            s.idle.append(connection)
        else:
            del s.connections[connection.id]
            s.out.append(Close(connection.id, "the guest ended it"))
    return entry


def forget(s: State, name: Hashable) -> Connection | None:
    """The connection is gone. Return it if it was in use."""
    connection = s.connections.pop(name, None)
    if connection is not None and connection in s.idle:
        s.idle.remove(connection)
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
