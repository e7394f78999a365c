"""Sends what may be sent now."""

from __future__ import annotations

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay import connections, ordering
from nova_cachemig.replay.actions import CheckBody, Load, RaiseLimit, Send
from nova_cachemig.replay.entry import DAMAGED, Connection, Entry
from nova_cachemig.replay.outcomes import quarantine
from nova_cachemig.replay.state import State, Timer


def advance(s: State, now: float) -> None:
    """Send until something is missing. Each event that may provide it calls this again."""
    if not s.gate_open or s.abandoning or now < s.pause_until:
        return
    while s.ready or s.on_disk:
        if s.on_disk and len(s.ready) <= s.limits.low:
            load(s)
        if not s.ready or len(s.recording) >= s.limits.max_unrecorded:
            return
        entry = ordering.next_entry(s)
        if entry is None or not _may_be_sent(s, entry, now):
            return
        connection = connections.choose(s, entry, now)
        if connection is None:
            return
        _send(s, entry, connection, now)
        if s.limits.parallel == 1 and not entry.resendable and not (s.ready and s.ready[0].large):
            return  # nothing may follow it, and there is no file to check meanwhile


def _may_be_sent(s: State, entry: Entry, now: float) -> bool:
    if entry.position > s.send_limit:
        raise_limit(s, entry.position)
        if not s.blocking:
            connections.ensure(s, now)
        return False
    window = s.limits.send_window
    if s.send_limit - entry.position < window // 4 and (s.on_disk or len(s.ready) > 1):
        raise_limit(s, entry.position)  # ahead of need, without waiting
    if entry.large and not entry.checked:
        if not entry.checking:
            entry.checking = True
            s.out.append(CheckBody(entry))
        return False
    return True


def raise_limit(s: State, position: int) -> None:
    """Allow a window of writes from this position on, once this is durable."""
    limit = position + s.limits.send_window - 1
    is_being_raised = s.raising_to > s.send_limit
    if position > s.raising_to or (limit > s.send_limit and not is_being_raised):
        s.raising_to = limit
        s.out.append(RaiseLimit(limit))


def limit_raised(s: State, limit: int, now: float) -> None:
    """The send limit is durable."""
    s.send_limit = max(s.send_limit, limit)
    advance(s, now)


def limit_failed(s: State, now: float) -> None:
    """It is not durable, or not certainly: nothing behind the old one is sent."""
    s.raising_to = s.send_limit
    s.at(now + s.limits.error_pause, Timer.LIMIT)


def _send(s: State, entry: Entry, connection: Connection, now: float) -> None:
    if s.ready[0] is entry:
        s.ready.pop(0)
    else:
        s.ready.remove(entry)
    s.count(entry, -1)
    s.blocking[entry.position] = entry
    connections.assign(s, connection, entry, now)
    entry.sent_at, entry.gate, entry.slow = now, s.gate, False
    s.last_sent, s.last_sent_at = max(s.last_sent, entry.position), now
    if not s.watching:
        s.watching = True
        s.at(now + s.limits.watch, Timer.WATCH)
    s.out.append(Send(connection.id, entry))


def checked(s: State, position: int, intact: bool, now: float) -> None:
    """The spool file of the next write was checked."""
    for entry in s.ready:
        if entry.position == position:
            entry.checking = False
            if intact:
                entry.checked = True
            else:
                s.ready.remove(entry)
                quarantine(s, entry, WriteState.DAMAGED, "its spool file is damaged", DAMAGED)
            break
    advance(s, now)


# --- what waits on disk


def load(s: State) -> None:
    """Read the next page, if none is being read."""
    if not s.loading:
        s.loading, s.load_newest = True, s.newest
        s.out.append(Load(s.loaded, s.limits.page))


def loaded(s: State, entries: list[Entry], now: float) -> None:
    """Take the accepted writes behind ``s.loaded``, in order. Damaged ones are never sent."""
    s.loading = False
    if s.abandoning:
        return
    for entry in entries:
        if entry.position <= s.loaded:
            continue  # from before the queue was abandoned
        s.loaded = entry.position
        if entry.damaged is not None:
            quarantine(s, entry, WriteState.DAMAGED, entry.damaged, DAMAGED)
        elif entry.position not in s.unknown and entry.position not in s.pending:
            s.confirmed.pop(entry.position, None)
            s.put(entry)
    if len(entries) < s.limits.page:
        s.loaded = max(s.loaded, s.load_newest)
    for position in [p for p in s.confirmed if p <= s.loaded or s.loaded >= s.newest]:
        s.put(s.confirmed.pop(position))
    s.on_disk = s.loaded < s.newest
    advance(s, now)


def load_failed(s: State, now: float) -> None:
    """The database cannot be read now."""
    s.at(now + s.limits.error_pause, Timer.LOAD)
