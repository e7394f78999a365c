"""From a request's head to its acceptance, and the response to its client."""

from __future__ import annotations

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay.actions import (
    Append,
    HoldReads,
    Keep,
    Move,
    Quarantine,
    ReleaseReads,
    Tell,
    Told,
)
from nova_cachemig.replay.entry import GIVEN_UP, Arrival, Client, Entry, Token
from nova_cachemig.replay.state import INFINITE, Phase, State, Timer


def arrive(s: State, token: Token) -> None:
    """A request's head was taken."""
    s.arriving[token] = Arrival()


def leave(s: State, token: Token) -> None:
    """The request has ended before its write was stored: it never will be."""
    arrival = s.arriving.get(token)
    if arrival is None:
        return
    if token in s.holding:
        arrival.gone = True
    else:
        _arrived(s, token)


def _arrived(s: State, token: Token) -> None:
    del s.arriving[token]


def submit(s: State, token: Token, entry: Entry) -> None:
    """The body is complete."""
    if token not in s.arriving:
        return
    entry.token = token
    s.holding[token] = entry
    s.out.append(HoldReads(token, entry))


def resend(s: State, token: Token, old: int, entry: Entry) -> None:
    """The operator wants a quarantined write sent again: it becomes the newest one."""
    s.moving[token] = old
    s.holding[token] = entry
    entry.token = token
    s.in_doubt = max(0, s.in_doubt - 1)
    s.out.append(HoldReads(token, entry))


def reads_held(s: State, token: Token) -> None:
    """Store the write. Its position is its place in the order."""
    entry = s.holding.pop(token)
    old = s.moving.get(token)
    if old is None:
        gone = s.arriving[token].gone
        _arrived(s, token)
        if gone:
            s.out.append(ReleaseReads(entry))
            return
    entry.position = s.next
    s.next += 1
    entry.late = _beside_direct(s)
    # A guest that is reachable may respond with 202 itself.
    entry.early = entry.early or (entry.prefers and (s.waiting > 0 or not s.gate_open))
    s.pending[entry.position] = entry
    s.count(entry, +1)
    if old is not None:
        s.out.append(Move(old, entry))
        return
    # While the guest is reachable, the send limit is raised by the same fsync.
    soon = s.gate_open and entry.position <= s.last_sent + s.limits.send_window
    limit = entry.position if soon and entry.position > s.send_limit else None
    s.out.append(Append(entry, limit))


def _beside_direct(s: State) -> bool:
    """Whether writes go to the guest directly, or are about to."""
    return s.phase is Phase.ARMED or s.abandoning


def move_failed(s: State, position: int, now: float) -> None:
    """A move is idempotent, and tried until it succeeds. Nothing overtakes it."""
    s.unknown[position] = s.pending[position]
    s.at(now + s.limits.error_pause, Timer.MOVE, position)


def move_again(s: State, position: int) -> None:
    """Try a move again."""
    entry = s.pending.get(position)
    if entry is not None:
        s.out.append(Move(s.moving[entry.token], entry))


def appended(s: State, position: int, limit: int | None, now: float) -> None:
    """The write is durable: it is accepted."""
    entry = s.pending.pop(position)
    failed = s.unknown.pop(position, None)  # a move that failed before
    s.accepted += 1
    if limit is not None:
        s.send_limit = max(s.send_limit, limit)
    moved = s.moving.pop(entry.token, None) is not None
    if position <= s.abandoned_through:
        s.count(entry, -1)
    elif failed is not None:
        s.confirm(entry)
    else:
        s.push(entry)
    if moved:
        return
    if entry.early and not _beside_direct(s):
        s.owed.add(position)
        s.out.append(Tell(entry.token, Told.ACCEPTED, position))
    else:
        deadline = -INFINITE if s.stopping else now + s.limits.hold_timeout
        s.clients[position] = Client(entry.token, deadline)
        if entry.prefers and not _beside_direct(s):
            s.at(now + min(s.limits.prompt_202, s.limits.hold_timeout), Timer.HURRY, position)


def refused(s: State, position: int, why: str) -> None:
    """The write is certainly not on disk, and never will be."""
    entry = s.pending.pop(position)
    s.count(entry, -1)
    s.out.append(Tell(entry.token, Told.REFUSED, position, why=why))
    s.out.append(ReleaseReads(entry))


def unknown(s: State, position: int) -> None:
    """The write may be on disk. Its client must not wait for the database, nor hear a "no"."""
    entry = s.pending.pop(position)
    s.unknown[position] = entry
    s.kept.add(position)
    s.out.append(Tell(entry.token, Told.UNKNOWN, position))


def known(s: State, position: int, present: bool) -> None:
    """The database has said whether it has the write."""
    entry = s.unknown.pop(position)
    if not present:
        s.count(entry, -1)
        s.kept.discard(position)
        s.out.append(ReleaseReads(entry))
    elif position <= s.abandoned_through:
        s.count(entry, -1)
        entry.why, entry.public = "it was not sent before the deadline", GIVEN_UP
        s.quarantining[position] = entry
        s.states[position] = WriteState.IN_DOUBT
        s.out.append(Quarantine(entry, WriteState.IN_DOUBT, entry.why))
    else:
        s.accepted += 1
        s.confirm(entry)


# --- clients that wait for the response


def gone(s: State, position: int) -> None:
    """A client that waits for the response has disconnected. Its write stays."""
    s.clients.pop(position, None)
    s.departing.pop(position, None)


def expire(s: State, now: float) -> None:
    """Tell clients that have waited for too long how to ask later."""
    while s.clients:
        position, client = next(iter(s.clients.items()))
        if client.deadline > now:
            return
        depart(s, position, now)


def depart(s: State, position: int, now: float) -> None:
    """Give a client a status URL, if the response is not coming just now."""
    client = s.clients.pop(position, None)
    if client is None:
        return
    s.departing[position] = client
    if position not in s.recording and position not in s.releasing:  # else: soon
        s.kept.add(position)
        s.out.append(Keep(position))
        s.at(now + s.limits.keep_patience, Timer.KEEP, position)


def kept(s: State, position: int) -> None:
    """The response will be kept, so its client may go on."""
    if position in s.recording or position in s.releasing or position in s.quarantining:
        return
    client = s.departing.pop(position, None)
    if client is None:
        return
    # Beside direct writes no order is promised, so the client gets no promise either.
    told = Told.UNKNOWN if _beside_direct(s) else Told.ACCEPTED
    if told is Told.ACCEPTED:
        s.owed.add(position)
    s.out.append(Tell(client.token, told, position, why="the server has not responded yet"))


def reads_released(s: State, position: int) -> None:
    """The reads follow the write from now on: its client may go on."""
    entry = s.releasing.pop(position, None)
    if entry is None:
        return
    client = s.clients.pop(position, None) or s.departing.pop(position, None)
    if client is None:
        return
    if entry.response is not None:
        s.out.append(Tell(client.token, Told.RESPONSE, position, entry.response))
    else:
        s.out.append(Tell(client.token, Told.IN_DOUBT, position, why=entry.public))
