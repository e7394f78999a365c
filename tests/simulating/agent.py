"""The agent: performs the machine's actions on the simulated disk, network and edge."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from nova_cachemig.model.write import IDEMPOTENT
from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.recovery import Fate, fate
from nova_cachemig.replay.state import INFINITE, State
from tests.simulating.disk import Committer, Disk, Row, Step
from tests.simulating.edge import Edge, Outcome, Told
from tests.simulating.guest import LATENCY, Answer, Connection, Guest, Write
from tests.simulating.loop import Loop
from tests.simulating.plan import Plan

EDGE = 0.0003  # seconds for an update of the edge
FRESH = "~"  # begins a key that the agent has made
RESUME_DELAY = 1.0  # seconds; longer than the guest's GRACE
_TOLD = {
    act.Told.ACCEPTED: Outcome.ACCEPTED,
    act.Told.REFUSED: Outcome.REFUSED,
    act.Told.UNKNOWN: Outcome.UNKNOWN,
    act.Told.IN_DOUBT: Outcome.IN_DOUBT,
}


class Killed(Exception):
    """The agent dies here."""


def entry_of(plan: Plan, service: str, write: Write, early: bool) -> Entry:
    """Return what the machine sees of a write."""
    keyed = plan.honours_keys[service] and write.key is not None
    return Entry(
        write=write,
        client=write.client,
        page=write.page,
        idempotent=write.method in IDEMPOTENT,
        keyed=keyed,
        early=early or plan.accept[service],
        keep=write.key is not None and not write.key.startswith(FRESH),
    )


def keys_of(entry: Entry) -> tuple[str, ...]:
    """Return the keys of the reads that follow a write."""
    return f"url:{entry.page}", f"client:{entry.client}"


class Request:
    """A request that the agent has taken, until its client has a response."""

    __slots__ = ("tell", "write")

    def __init__(self, write: Write, tell: Told) -> None:
        self.write = write
        self.tell = tell


class Service:
    """The agent's part for one service: one machine."""

    def __init__(self, agent: Agent, name: str, state: State, edge: Edge, guest: Guest) -> None:
        self._agent = agent
        self._loop = agent.loop
        self._disk = agent.disk
        self.name = name
        self.edge = edge
        self.guest = guest
        self.machine = Machine(state)
        self.opened = False
        self.on_drained: Callable[[], None] = lambda: None
        self.on_release: Callable[[bool], None] = lambda _done: None
        self.pipes: dict[int, Connection] = {}
        self.sent_at: dict[int, list[float]] = agent.history.sent_at[name]
        self._requests: dict[Any, Request] = {}
        self._keys: set[str] = set()  # of requests that are being accepted
        self._connecting = 0
        self._tick = INFINITE
        self._events: deque[list[act.Action]] = deque()
        self._performing = False
        self._do = {
            getattr(act, name): getattr(self, f"_{name}")
            for name in [
                "HoldReads",
                "ReleaseReads",
                "ResetReads",
                "Append",
                "Move",
                "RaiseLimit",
                "Load",
                "CheckBody",
                "Connect",
                "StopConnecting",
                "Close",
                "Send",
                "LogResponse",
                "Record",
                "Keep",
                "Quarantine",
                "Abandon",
                "Tell",
                "Drained",
                "Released",
                "NotReleased",
            ]
        }

    # --- performing

    def perform(self, actions: list[act.Action]) -> None:
        """Perform the actions in order, then the actions that follow from them."""
        agent = self._agent
        self._events.append(actions)
        if self._performing:
            return
        self._performing = True
        try:
            while self._events:
                for action in self._events.popleft():
                    agent.steps_left -= 1
                    if agent.steps_left == 0:
                        raise Killed
                    self._do[type(action)](action)
        except Killed:
            self._events.clear()
            agent.die()
            return
        finally:
            self._performing = False
        due = self.machine.due
        if due < self._tick:
            self._tick = due
            self._loop.at(due, self._ring, due)

    def _ring(self, due: float) -> None:
        if not self._agent.alive or due != self._tick:
            return
        self._tick = INFINITE
        self.perform(self.machine.tick(self._loop.now))

    def event(self, name: str, *args: Any) -> None:
        """Report an event later, if the agent still lives then."""
        if self._agent.alive:
            self.perform(getattr(self.machine, name)(*args))

    def new_token(self) -> int:
        """Return a new name of a request."""
        return self._agent.token()

    # --- clients

    def take(self, write: Write, body_time: float, leaves: float, early: bool, tell: Told) -> None:
        """Take the head of a request."""
        if not self.opened:
            tell(Outcome.REFUSED, "")
            return
        token = self._agent.token()
        request = self._requests[token] = Request(write, tell)
        self.perform(self.machine.arrive(token))
        if leaves < INFINITE:
            self._loop.later(leaves, self._leave, token)
        if body_time:
            self._loop.later(body_time, self._complete, token, request, early)
        else:
            self._complete(token, request, early)

    def _leave(self, token: int) -> None:
        request = self._requests.pop(token, None)
        if not self._agent.alive or request is None:
            return
        state = self.machine.state
        if token in state.arriving:
            self._keys.discard(request.write.key or "")
            self.perform(self.machine.leave(token, self._loop.now))
        for pool in (state.clients, state.departing):
            for position in [p for p, client in pool.items() if client.token == token]:
                self.perform(self.machine.gone(position))

    def _complete(self, token: int, request: Request, early: bool) -> None:
        if not self._agent.alive or token not in self._requests:
            return
        write = request.write
        if write.key is not None and self._known(token, request):
            return
        if self.guest.honours_keys and write.key is None:
            key = FRESH + write.id
            write = Write(write.id, write.client, write.method, write.page, key)
        entry = entry_of(self._agent.plan, self.name, write, early=False)
        entry.prefers = early
        self.perform(self.machine.submit(token, entry))

    def _known(self, token: int, request: Request) -> bool:
        """Whether the key of the request is known: then its client gets the first response."""
        write = request.write
        position = self._disk.tables.keys.get((self.name, write.key))
        row = None if position is None else self._disk.tables.rows.get((self.name, position))
        if write.key in self._keys or (row is not None and row.state is not S.DISCARDED):
            self._requests.pop(token)
            self.perform(self.machine.leave(token, self._loop.now))
            if row is not None and row.response is not None:
                self._tell(request, row.response)
            else:
                self._loop.later(LATENCY, request.tell, Outcome.RETRY, "")
            return True
        self._keys.add(write.key)
        return False

    def _tell(self, request: Request, answer: Answer) -> None:
        outcome = Outcome.APPLIED if answer.status == 200 else Outcome.FAILED
        self._loop.later(LATENCY, request.tell, outcome, answer.id)

    def cut_clients(self) -> None:
        """The agent is dead: its clients' connections are too."""
        for request in self._requests.values():
            self._loop.later(LATENCY, request.tell, Outcome.UNKNOWN, "")
        for pipe in self.pipes.values():
            pipe.close()

    def _Tell(self, a: act.Tell) -> None:
        request = self._requests.pop(a.token, None)
        if request is None:
            return
        self._keys.discard(request.write.key or "")
        history = self._agent.history
        if a.told is act.Told.RESPONSE:
            history.told_response(self.name, request.write, a.position)
            self._tell(request, a.response)
            return
        if a.told is act.Told.ACCEPTED:
            row = self._disk.tables.rows.get((self.name, a.position))
            soft = row is None or not row.keep
            history.told_accepted(self.name, a.position, request.write, soft=soft)
        elif a.told is act.Told.IN_DOUBT:
            history.told_in_doubt(self.name, a.position, request.write)
        self._loop.later(LATENCY, request.tell, _TOLD[a.told], request.write.id)

    # --- the edge

    def _HoldReads(self, a: act.HoldReads) -> None:
        self._loop.later(EDGE, self._held, a)

    def _held(self, a: act.HoldReads) -> None:
        if not self.edge.up:
            return
        entry = a.entry
        self.edge.hold(
            keys_of(entry), entry.page, id(entry) if not entry.position else entry.position
        )
        if self._agent.alive:
            self.perform(self.machine.reads_held(a.token, self._loop.now))
            # From now on it is known by its position, as on disk.
            self.edge.pending_rename(keys_of(entry), id(entry), entry.position)

    def _ReleaseReads(self, a: act.ReleaseReads) -> None:
        self._loop.later(EDGE, self._released, a.entry)

    def _released(self, entry: Entry) -> None:
        if not self.edge.up:
            return
        self.edge.release(keys_of(entry), entry.page, entry.position or id(entry))
        if self._agent.alive:
            self.perform(self.machine.reads_released(entry.position))

    def _ResetReads(self, _a: act.ResetReads) -> None:
        state = self.machine.state
        held = [(keys_of(e), e.page, id(e)) for e in state.holding.values()]
        for pool in (state.pending, state.unknown, state.releasing, state.recording):
            held += [(keys_of(e), e.page, e.position) for e in pool.values()]
        held += self.held_on_disk()
        self.edge.replace(held)

    def held_on_disk(self) -> list[Any]:
        """Return the writes for which reads are held, as the journal has them."""
        return [
            ((f"url:{row.write.page}", f"client:{row.write.client}"), row.write.page, position)
            for (service, position), row in self._disk.tables.rows.items()
            if service == self.name and row.state is S.ACCEPTED
        ]

    # --- the journal

    def _submit(self, kind: str, done: Callable[[str], None], *args: Any) -> None:
        self._agent.committer.submit(Step(kind, self.name, done, *args))

    def _row(self, entry: Entry) -> Row:
        status_url = self._agent.plan.accept[self.name] or entry.prefers or entry.early
        return Row(entry.write, entry.late, status_url, entry.keep)

    def _Append(self, a: act.Append) -> None:
        done = partial(self._appended, a.entry, a.send_limit)
        self._submit("append", done, a.entry.position, self._row(a.entry), a.send_limit)

    def _appended(self, entry: Entry, limit: int | None, outcome: str) -> None:
        machine, now, position = self.machine, self._loop.now, entry.position
        if outcome == "done":
            self.perform(machine.appended(position, now, limit))
        elif outcome == "refused":
            self.perform(machine.refused(position, "the database failed", now))
        elif outcome == "unknown":
            self.perform(machine.unknown(position))
        else:
            self.perform(machine.known(position, outcome == "present", now))
        self._keys.discard(entry.write.key or "")

    def _Move(self, a: act.Move) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            now = self._loop.now
            if outcome == "done":
                self.perform(self.machine.appended(position, now))
            else:
                self.perform(self.machine.move_failed(position, now))

        self._submit("move", done, a.old, position, self._row(a.entry))

    def _RaiseLimit(self, a: act.RaiseLimit) -> None:
        def done(outcome: str) -> None:
            now, machine = self._loop.now, self.machine
            self.perform(
                machine.limit_raised(a.limit, now)
                if outcome == "done"
                else machine.limit_failed(now)
            )

        self._submit("limit", done, a.limit)

    def _Record(self, a: act.Record) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            if outcome == "done":
                self._disk.log.pop((self.name, position), None)
                self.perform(self.machine.recorded(position, self._loop.now))
            else:
                self.perform(self.machine.record_failed(position, self._loop.now))

        self._submit("record", done, position, a.response, a.keep)

    def _Quarantine(self, a: act.Quarantine) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            if outcome == "done":
                self._disk.log.pop((self.name, position), None)
                self.perform(self.machine.quarantined(position, self._loop.now))
            else:
                self.perform(self.machine.quarantine_failed(position, self._loop.now))

        self._loop.note(f"{self.name}/{position} {a.entry.write.id}: quarantined: {a.why}")
        self._submit("state", done, position, a.state)

    def _Keep(self, a: act.Keep) -> None:
        def done(outcome: str) -> None:
            if outcome == "done":
                self.perform(self.machine.kept(a.position))

        self._submit("keep", done, a.position)

    def _Abandon(self, a: act.Abandon) -> None:
        def done(outcome: str) -> None:
            now = self._loop.now
            if outcome == "done":
                self.perform(self.machine.abandoned(now))
            else:
                self.perform(self.machine.abandon_failed(now))

        self._loop.note(f"{self.name}: abandoned through {a.through}")
        self._submit("abandon", done, a.through)

    def _Load(self, a: act.Load) -> None:
        self._loop.later(0.0005, self._read, a)

    def _read(self, a: act.Load) -> None:
        if not self._agent.alive:
            return
        if self._disk.down:
            self.perform(self.machine.load_failed(self._loop.now))
            return
        rows = self._disk.tables.rows
        positions = sorted(
            position
            for (service, position), row in rows.items()
            if service == self.name and position > a.after and row.state is S.ACCEPTED
        )
        entries = []
        for position in positions[: a.count]:
            row = rows[self.name, position]
            entry = entry_of(self._agent.plan, self.name, row.write, row.early)
            entry.position, entry.late, entry.keep = position, row.late, row.keep
            entries.append(entry)
        self._loop.later(0.0003, self._loaded, entries)

    def _loaded(self, entries: list[Entry]) -> None:
        self.event("loaded", entries, self._loop.now)

    def _CheckBody(self, a: act.CheckBody) -> None:
        self._loop.later(
            0.0005, self.event, "checked", a.entry.position, True, self._loop.now + 0.0005
        )

    # --- the guest

    def _Connect(self, a: act.Connect) -> None:
        self._connecting += 1
        self._try_connect(self._connecting, a.target)

    def _StopConnecting(self, _a: act.StopConnecting) -> None:
        self._connecting += 1

    def _try_connect(self, attempt: int, target: str) -> None:
        if not self._agent.alive or attempt != self._connecting:
            return
        reachable = not self.guest.paused and self.guest.location == target
        if not reachable:
            self._loop.later(0.02, self._try_connect, attempt, target)
            return
        name = self._agent.token()
        self._loop.later(2 * LATENCY, self._made, attempt, name, target)

    def _made(self, attempt: int, name: int, target: str) -> None:
        if self._agent.alive and attempt == self._connecting:
            self.pipes[name] = Connection(self.guest, partial(self._report, name))
            self.perform(self.machine.connected(name, target, self._loop.now))

    def _report(self, name: int, kind: str, answer: Answer | None) -> None:
        if not self._agent.alive or name not in self.pipes:
            return
        machine, now = self.machine, self._loop.now
        if answer is not None and answer.status == 409:
            self._agent.history.busy.add(answer.id)
        if kind == "byte":
            machine.heard(name, now)
        elif kind == "response":
            self.perform(machine.response(name, answer, now))
        elif kind == "last":
            del self.pipes[name]
            self.perform(machine.response(name, answer, now, keep_alive=False))
            self.perform(machine.lost(name, now, "Connection: close", processed=False))
        elif kind == "garbage":
            del self.pipes[name]
            self._garbage(name, "it is not HTTP")
        else:
            del self.pipes[name]
            self.perform(machine.lost(name, now, "the connection broke"))

    def _garbage(self, name: int, why: str) -> None:
        connection = self.machine.state.connections.get(name)
        write_id = connection.in_flight[0].write.id if connection and connection.in_flight else ""
        answer = Answer(502, write_id)
        self.perform(self.machine.bad_response(name, answer, self._loop.now, why))

    def _Close(self, a: act.Close) -> None:
        pipe = self.pipes.pop(a.connection, None)
        if pipe is None:
            return
        if not a.report:
            pipe.break_off()
        elif pipe.responding:
            pipe.break_off()
            self._garbage(a.connection, a.why)
        else:
            pipe.break_off()
            self.perform(self.machine.lost(a.connection, self._loop.now, a.why))

    def _Send(self, a: act.Send) -> None:
        entry, position = a.entry, a.entry.position
        plan = self._agent.plan
        if entry.connection is None or entry.connection.id != a.connection:
            return  # one before it was not sent
        if self._disk.faults and plan.log_faults and self._loop.random() < plan.log_faults:
            self.perform(self.machine.not_logged(a.connection, position, self._loop.now))
            return
        self._disk.log[self.name, position] = None
        self.sent_at.setdefault(position, []).append(self._loop.now)
        if self._loop.lines is not None:
            self._loop.note(f"{self.name}/{position} {entry.write.id}: sent on {a.connection}")
        pipe = self.pipes.get(a.connection)
        if pipe is None:
            return  # the machine will know soon
        pipe.send(entry.write, position)
        if self._agent.faults and plan.cuts and self._loop.random() < plan.cuts:
            pipe.mute = self._loop.random() < 0.5
            self._loop.later(0.01 * self._loop.random(), pipe.break_off)

    def _LogResponse(self, a: act.LogResponse) -> None:
        self._disk.log[self.name, a.entry.position] = a.response
        self._agent.history.ended_at[self.name][a.entry.position] = self._loop.now

    # --- the migration

    def _Drained(self, _a: act.Drained) -> None:
        self.on_drained()

    def _Released(self, _a: act.Released) -> None:
        self.on_release(True)

    def _NotReleased(self, _a: act.NotReleased) -> None:
        self.on_release(False)


class Agent:
    """One life of the agent, from its recovery to its death."""

    def __init__(
        self, loop: Loop, plan: Plan, disk: Disk, edges: dict[str, Edge], guests: dict[str, Guest],
        history: Any,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.plan = plan
        self.disk = disk
        self.history = history
        self.alive = True
        self.faults = True
        self.steps_left = 0  # actions until it dies; 0: not so
        self.on_death: Callable[[], None] = lambda: None
        self.committer = Committer(loop, plan, disk, lambda: self.alive)
        self._tokens = history.tokens
        recovered = recover(plan, disk)
        self.services = {
            name: Service(self, name, state, edges[name], guests[name])
            for name, state in recovered.items()
        }

    def token(self) -> int:
        """Return a new name of a request or connection."""
        return next(self._tokens)

    def die(self) -> None:
        """Everything in memory is lost."""
        if self.alive:
            self.alive = False
            self.loop.note("agent: dies")
            for service in self.services.values():
                service.cut_clients()
            self.on_death()


def recover(plan: Plan, disk: Disk) -> dict[str, State]:
    """Sort what an earlier agent left, as the journal does when it opens."""
    doubt: dict[str, bool] = {}
    resent: list[tuple[str, int]] = []
    for (service, position), row in list(disk.tables.rows.items()):
        if row.state is not S.ACCEPTED:
            continue
        entry = entry_of(plan, service, row.write, row.early)
        entry.late = row.late
        name = (service, position)
        decided = fate(
            resendable=entry.resendable,
            sent=name in disk.log,
            responded=disk.log.get(name) is not None,
            complete=disk.log_complete,
            position=position,
            send_limit=disk.tables.limits.get(service, 0),
        )
        if decided is Fate.RESPONDED:
            Step("record", service, _ignore, position, disk.log[name], row.keep).perform(
                disk.tables
            )
        elif decided is Fate.IN_DOUBT:
            row.state = S.IN_DOUBT
        if decided is Fate.RESENT:
            resent.append(name)
        doubt[service] = doubt.get(service, False) or decided in {Fate.IN_DOUBT, Fate.RESENT}
    disk.perform([])
    # A second crash must still find that these may be in progress.
    disk.log, disk.log_complete = dict.fromkeys(resent), True
    through = {name: max((p for s, p in resent if s == name), default=0) for name in plan.limits}
    return {
        name: _state(plan, disk, name, doubt.get(name, False), through[name])
        for name in plan.limits
    }


def _ignore(_outcome: str) -> None:
    return


def _state(plan: Plan, disk: Disk, name: str, doubt: bool, resent: int) -> State:
    tables = disk.tables
    used = [position for service, position in tables.rows if service == name]
    waiting = [p for p in used if tables.rows[name, p].state is S.ACCEPTED]
    limit = tables.limits.get(name, 0)
    following = max([limit, *used]) + 1
    newest = max(waiting, default=0)
    return State(
        plan.limits[name],
        next=following,
        send_limit=limit,
        serialized_through=following - 1,
        resume_delay=RESUME_DELAY if doubt else 0.0,
        newest=newest,
        resent_through=resent,
        on_disk=newest > 0,
        waiting=len(waiting),
    )
