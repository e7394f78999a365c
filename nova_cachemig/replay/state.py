"""The state of one service's write path, and the operations that its events share."""

from __future__ import annotations

import dataclasses
import enum
import heapq
from bisect import insort
from collections.abc import Hashable
from typing import Any, Final

from nova_cachemig.replay.actions import Action
from nova_cachemig.replay.entry import Arrival, Client, Connection, Entry, Token

INFINITE: Final = float("inf")


class Phase(enum.Enum):
    """Which way writes take."""

    ARMED = enum.auto()  # to the guest directly; the journal sees only those that come late
    SHIELDED = enum.auto()  # into the journal; the guest is silent
    REPLAYING = enum.auto()  # into the journal and from there to the guest
    CAUGHT_UP = enum.auto()  # as REPLAYING; few are left: the edge is about to hold new ones
    DRAINING = enum.auto()  # as REPLAYING, while the edge holds new ones


class Timer(enum.Enum):
    """The kinds of timers."""

    RESUME = enum.auto()
    RETRY = enum.auto()  # send a write again
    KEEP = enum.auto()
    HURRY = enum.auto()  # a client that prefers a 202
    LIMIT = enum.auto()
    LOAD = enum.auto()
    MOVE = enum.auto()
    RECORD = enum.auto()
    QUARANTINE = enum.auto()
    ABANDON = enum.auto()
    SEND = enum.auto()  # something may be sent now that had to wait
    WATCH = enum.auto()  # silent and slow responses
    LAP = enum.auto()  # the replay may be measured again
    PROOF = enum.auto()  # whether the guest keeps an idle connection open
    DRAIN = enum.auto()  # the edge must not hold writes any longer
    ARRIVALS = enum.auto()  # uploads no longer hold up the drain


@dataclasses.dataclass(slots=True)
class Limits:
    """The options. Times are in seconds."""

    hold_timeout: float = 120.0
    prompt_202: float = 1.0  # for the guest, before a client that prefers a 202 gets it
    keep_patience: float = 5.0  # for the database, before a client gets a status URL
    drain_time: float = 30.0  # for which the edge may hold writes
    drain_pause: float = 1.0  # after a drain that took longer; doubles
    drain_pause_max: float = 30.0
    send_window: int = 64  # writes for each step of the send limit
    pipeline: int = 16  # writes in flight on one connection
    parallel: int = 1  # writes in flight at all; 1: in the total order
    prompt: float = 0.02  # a response within this time is quick
    slow: float = 1.0  # a response that takes longer holds up only what order ties to it
    max_slow: int = 8
    reuse_idle: float = 1.0
    proof: float = 0.05  # a guest that keeps an idle connection for so long did not close it
    response_timeout: float = 600.0  # without a byte from a reachable guest
    response_time: float = 300.0  # for a whole response, from a reachable guest
    resend_tries: int = 5
    resend_time: float = 30.0  # since the first failure
    resend_pause: float = 0.2  # before the second try; doubles
    resend_pause_max: float = 3.0
    busy_time: float = 30.0  # in which a guest may respond "still processing"
    max_unrecorded: int = 256  # responses that wait for the disk
    in_memory: int = 256  # writes that wait to be sent
    page: int = 32  # writes per read from disk
    low: int = 16  # the next page is read when so few are in memory
    search: int = 64  # writes looked through for one that may be sent in parallel
    error_pause: float = 0.2  # after a failure of the disk
    watch: float = 0.5


@dataclasses.dataclass(slots=True)
class State:
    """See :class:`nova_cachemig.replay.machine.Machine`. Positions number the accepted writes."""

    limits: Limits
    next: int = 1  # the next free position
    send_limit: int = 0  # durable: writes up to this position may be sent
    serialized_through: int = 0  # writes up to here were found on disk: one at a time
    resent_through: int = 0  # an earlier agent may have sent writes up to here
    resume_delay: float = 0.0  # an earlier agent's writes may still be in progress

    phase: Phase = Phase.ARMED
    target: Hashable = None
    gate_open: bool = False  # the guest is reachable
    gate: int = 0  # number of changes of the gate
    opened_at: float = 0.0
    held_at: float = -1.0
    resuming: Hashable = None  # the target of a delayed opening
    resume_at: float = 0.0  # its time
    stopping: bool = False
    lap_at: float = 0.0  # when the next lap may begin
    lap_began: float | None = None
    lap_through: int = 0  # the last position of this lap
    lap_writes: int = 0  # that were left when it began
    failed_drains: int = 0  # since the guest's return
    drain_until: float = INFINITE
    arrivals_until: float = 0.0  # uploads hold up the drain until then
    abandoned_through: int = 0
    abandoning: bool = False
    abandoned_sent: tuple[int, ...] = ()
    abandoned: int = 0  # writes that are being quarantined by it

    arriving: dict[Token, Arrival] = dataclasses.field(default_factory=dict)
    holding: dict[Token, Entry] = dataclasses.field(default_factory=dict)
    moving: dict[Token, int] = dataclasses.field(default_factory=dict)  # → old position
    pending: dict[int, Entry] = dataclasses.field(default_factory=dict)
    unknown: dict[int, Entry] = dataclasses.field(default_factory=dict)

    ready: list[Entry] = dataclasses.field(default_factory=list)  # by position
    loaded: int = 0  # the last position that is, or was, in memory
    newest: int = 0  # the last position that waits, or waited
    confirmed: dict[int, Entry] = dataclasses.field(default_factory=dict)  # behind ``loaded``
    on_disk: bool = False  # writes behind ``loaded`` wait
    loading: bool = False
    load_newest: int = 0
    waiting: int = 0
    waiting_bytes: int = 0

    raising_to: int = 0
    blocking: dict[int, Entry] = dataclasses.field(default_factory=dict)
    connections: dict[Hashable, Connection] = dataclasses.field(default_factory=dict)
    idle: list[Connection] = dataclasses.field(default_factory=list)
    connecting: bool = False
    observed: Connection | None = None  # is left idle, to see whether the guest closes it
    look_at: float = 0.0  # when to look at it
    look_rounds: int = 0  # looks that decide nothing
    look_timer: float = INFINITE  # the earliest timer for it
    kept_idle: float = 0.0  # for so long the guest was seen to keep an idle connection open
    closed_early: int = 0  # connections that it closed sooner, unannounced
    pipelining: bool = True
    pause_until: float = 0.0
    last_sent: int = 0
    last_sent_at: float = 0.0
    watching: bool = False

    recording: dict[int, Entry] = dataclasses.field(default_factory=dict)
    quarantining: dict[int, Entry] = dataclasses.field(default_factory=dict)
    states: dict[int, Any] = dataclasses.field(default_factory=dict)  # of those
    releasing: dict[int, Entry] = dataclasses.field(default_factory=dict)
    clients: dict[int, Client] = dataclasses.field(default_factory=dict)  # the oldest first
    departing: dict[int, Client] = dataclasses.field(default_factory=dict)
    kept: set[int] = dataclasses.field(default_factory=set)
    owed: set[int] = dataclasses.field(default_factory=set)  # told 202, not yet applied

    accepted: int = 0
    responded: int = 0
    in_doubt: int = 0
    timers: list[tuple[float, int, Timer, Any]] = dataclasses.field(default_factory=list)
    timer_count: int = 0
    out: list[Action] = dataclasses.field(default_factory=list)

    def at(self, time: float, timer: Timer, what: Any = None) -> None:
        """Set a timer. It is not cancelled: its handler must check whether there is still work."""
        self.timer_count += 1
        heapq.heappush(self.timers, (time, self.timer_count, timer, what))

    def put(self, entry: Entry) -> None:
        """Add a write to those that may be sent, at its place in the order."""
        if not self.ready or self.ready[-1].position < entry.position:
            self.ready.append(entry)
        else:
            insort(self.ready, entry, key=_position)

    def push(self, entry: Entry) -> None:
        """Add a write that is durable by now."""
        position = entry.position
        self.newest = max(self.newest, position)
        if position <= self.loaded:
            self.put(entry)  # a read saw its commit before this event, and left it out
        elif not self.on_disk and len(self.ready) < self.limits.in_memory:
            self.put(entry)
            self.loaded = position
        else:
            self.on_disk = True

    def confirm(self, entry: Entry) -> None:
        """Add a write whose acceptance was unknown. A page that is being read may lack it."""
        position = entry.position
        self.newest = max(self.newest, position)
        if position <= self.loaded:
            self.put(entry)
        elif self.on_disk or self.loading:
            self.confirmed[position] = entry
        else:
            self.put(entry)
            self.loaded = position

    def count(self, entry: Entry, sign: int) -> None:
        """Count a write as waiting, or as waiting no longer."""
        self.waiting += sign
        self.waiting_bytes += sign * entry.length


def _position(entry: Entry) -> int:
    return entry.position
