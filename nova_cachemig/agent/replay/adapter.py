"""Performs the machine's actions for one service: journal, connections, clients and reads."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from oslo_config import cfg

from nova_cachemig.agent.journal.queries import QueueState
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.ports import ComponentError, WriteCounts
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.connection import End
from nova_cachemig.agent.replay.entries import Request, entry_of, limits
from nova_cachemig.agent.replay.links import Links
from nova_cachemig.agent.replay.performer import Performer
from nova_cachemig.agent.replay.steps import JournalSteps
from nova_cachemig.model.service import Service, Target
from nova_cachemig.model.write import AcceptedWrite, GuestResponse
from nova_cachemig.replay import actions as act
from nova_cachemig.replay import phases
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.state import Phase, State

LOG = logging.getLogger(__name__)

_MEMORY: Final = 16 << 20  # bytes of responses' bodies in memory, of one service


class Reads(Protocol):
    """The reads that must follow a write (``agent/intake``)."""

    def hold(
        self, name: object, host: str, url: str, client: str, then: Callable[[], None]
    ) -> None:
        """Hold them, under a name. Call ``then`` when the edge does."""

    def rename(self, name: object, position: int) -> None:
        """The write has a position, which is its name from now on."""

    def release(
        self,
        position: object,
        write: AcceptedWrite | None,
        response: GuestResponse | None,
        then: Callable[[], None],
    ) -> None:
        """The write has ended: release them, and call ``then``. ``write``: None if unreadable."""

    def keep_only(self, wanted: Callable[[object], bool]) -> None:
        """Release all reads but those of the writes with these names."""


class ServiceReplay:
    """One service's writes, from the head of the request to the guest's response.

    Call it in the event loop's thread.
    """

    def __init__(
        self,
        journal: Journal,
        service: Service,
        state: QueueState,
        conf: cfg.ConfigOpts,
        reads: Reads,
        *,
        send_window: int,
        resent_through: int = 0,
        resume_delay: float = 0.0,
        memory: MemoryBudget | None = None,
    ) -> None:
        """``resume_delay``: seconds from the guest's return to the first write after a crash.

        ``resent_through``: the guest may still process writes up to this position. ``memory``: of
        the responses of all services.
        """
        self.service = service
        self._journal = journal
        self._reads = reads
        self._loop = asyncio.get_running_loop()
        newest = state.next - 1 if state.waiting else 0
        self.machine = Machine(
            State(
                limits(conf, send_window),
                next=state.next,
                send_limit=state.send_limit,
                serialized_through=state.next - 1,
                resent_through=resent_through,
                resume_delay=resume_delay,
                newest=newest,
                on_disk=newest > 0,
                waiting=state.waiting,
                waiting_bytes=state.waiting_bytes,
                in_doubt=state.in_doubt,
            )
        )
        budget = MemoryBudget(_MEMORY, memory)
        bodies = ResponseBodies(journal.spool, conf.journal.spool_threshold, budget)
        self._links = Links(conf, journal, bodies, self)
        self._gate = 0  # the machine's count of its changes
        self._released: asyncio.Future[bool] | None = None
        self._performer = Performer(self.machine, service.name, self._on_turn)
        self.perform = self._performer.perform
        self.wait_until = self._performer.wait_until
        self._steps = JournalSteps(self._performer, journal, lambda: self.service)
        self._performer.do |= {
            act.HoldReads: self._hold_reads,
            act.ReleaseReads: self._release_reads,
            act.ResetReads: self._reset_reads,
            act.Connect: lambda a: self._links.connect(a.target),
            act.StopConnecting: lambda _a: self._links.stop_connecting(),
            act.Close: self._close,
            act.Send: self._send,
            act.Tell: self._tell,
            act.Drained: lambda _a: None,  # the waiters look at the machine's state
            act.Released: lambda _a: self._report_release(True),
            act.NotReleased: lambda _a: self._report_release(False),
        }

    def _on_turn(self) -> None:
        self._links.flush()
        state = self.machine.state
        if state.gate != self._gate:
            self._gate = state.gate
            if state.gate_open:
                self._links.retransmit()
            else:
                self._links.stop_retransmitting()

    def _now(self) -> float:
        return self._loop.time()

    # --- clients

    def arrive(self) -> Request:
        """A request's head was taken. Call :meth:`leave` when it is accepted or refused."""
        request = Request(self._loop.create_future(), self._loop.create_future())
        self.machine.arrive(request)
        return request

    def leave(self, request: Request) -> None:
        """The request is accepted, or it never will be."""
        if request in self.machine.state.arriving:
            self.perform(self.machine.leave(request, self._now()))

    def client_left(self, request: Request) -> None:
        """The client no longer waits for the response. An accepted write stays."""
        request.gone = True
        if request.position:
            self.perform(self.machine.gone(request.position))
        self.leave(request)

    def submit(self, request: Request, entry: Entry) -> None:
        """Accept a write. ``entry.write`` makes it from its position, and whether it is late.

        The outcome is in the futures of ``request``.
        """
        self.perform(self.machine.submit(request, entry))

    def _tell(self, a: act.Tell) -> None:
        request = a.token
        if isinstance(request, Request):
            a.token = None  # it would refer to itself, and only the garbage collector frees that
            if not request.told.done():
                request.told.set_result(a)
            request.resolve(True)

    # --- reads

    def _hold_reads(self, a: act.HoldReads) -> None:
        entry = a.entry
        host, url = cast(tuple[str, str], entry.page)
        then = functools.partial(self._reads_held, a.token, entry)
        self._reads.hold(a.token, host, url, entry.client, then)

    def _reads_held(self, token: Any, entry: Entry) -> None:
        if self._performer.stopped:
            return
        if isinstance(token, Request) and not token.gone and not token.is_connected():
            token.gone = True
            self.perform(self.machine.leave(token, self._now()))
        actions = self.machine.reads_held(token, self._now())
        if entry.position:
            self._reads.rename(token, entry.position)
        self.perform(actions)

    def _release_reads(self, a: act.ReleaseReads) -> None:
        entry = a.entry
        write = entry.write if isinstance(entry.write, AcceptedWrite) else None
        name = entry.position or entry.token
        then = functools.partial(self._reads_released, entry)
        self._reads.release(name, write, a.response, then)

    def _reads_released(self, entry: Entry) -> None:
        if entry.position:
            self.perform(self.machine.reads_released(entry.position))
        elif isinstance(entry.token, Request):  # the client left before the write was stored
            self._tell(act.Tell(entry.token, act.Told.REFUSED, 0, why="The client has left."))

    def _reset_reads(self, _a: act.ResetReads) -> None:
        """The writes on disk up to a position were abandoned."""
        s, kept = self.machine.state, set[object]()
        for pool in (s.holding, s.pending, s.unknown, s.recording, s.quarantining):
            kept.update(pool)

        def wanted(name: object) -> bool:
            return name in kept or (isinstance(name, int) and name > s.abandoned_through)

        self._reads.keep_only(wanted)

    # --- the guest

    def _close(self, a: act.Close) -> None:
        name = a.connection
        if not isinstance(name, int):
            return
        if a.report:
            self._links.break_off(name, a.why)
        else:
            self._links.close(name)

    def _send(self, a: act.Send) -> None:
        entry, name = a.entry, a.connection
        if entry.connection is None or entry.connection.id != name or not isinstance(name, int):
            return  # one before it was not sent
        try:
            self._journal.log_sent(entry.write)
        except OSError as exc:
            LOG.error("Cannot log the progress, so nothing is sent: %s", exc)
            self.perform(self.machine.not_logged(name, entry.position, self._now()))
            return
        self._links.send(name, entry.write)

    def on_connected(self, name: int, target: Target) -> None:
        """See :class:`Events`."""
        self.perform(self.machine.connected(name, target, self._now()))

    def on_part(self, name: int) -> None:
        """See :class:`Events`."""
        self.machine.heard(name, self._now())

    def on_response(
        self, name: int, response: GuestResponse, *, keep_alive: bool, idle_timeout: float | None
    ) -> None:
        """See :class:`Events`."""
        actions = self.machine.response(
            name, response, self._now(), keep_alive=keep_alive, idle_timeout=idle_timeout
        )
        self.perform(actions)
        if response.body.spool is not None and not any(isinstance(a, act.Record) for a in actions):
            self._journal.remove_body(response.body)  # it is not the final one

    def on_end(self, name: int, end: End) -> None:
        """See :class:`Events`."""
        connection = self.machine.state.connections.get(name)
        if connection is not None:
            unsent = len(connection.in_flight) - end.unanswered
            self.perform(
                self.machine.lost(
                    name,
                    self._now(),
                    end.why,
                    unsent=unsent,
                    processed=end.processed,
                    blame=end.blame,
                )
            )

    def resend(self, write: AcceptedWrite) -> None:
        """Send a quarantined write again, as the operator wants: it becomes the newest one."""
        if write.position in self.machine.state.moving.values():
            return
        entry = entry_of(write, self.service)
        entry.position = 0
        self.perform(self.machine.resend(object(), write.position, entry))

    # --- the migration

    def reopen(self, service: Service) -> None:
        """The service is opened again: reset the counters."""
        self.service = dataclasses.replace(service)
        self.machine.state.accepted = self.machine.state.responded = 0
        self._steps.longest_wait = 0.0
        self.hold()

    def send_to(self, target: Target) -> None:
        """The guest is reachable at ``target``: send what waits, and new writes as they come."""
        self.perform(self.machine.replay(target, self._now()))

    def send_also_to(self, target: Target) -> None:
        """As :meth:`send_to`, while other writes go to the guest directly."""
        self.perform(self.machine.reach(target, self._now()))

    def hold(self) -> None:
        """The guest is silent: send no further write. Those in flight keep waiting."""
        self.perform(self.machine.shield(self._now()))

    async def seal(self, patience: float) -> None:
        """Other writes may pass by the journal soon. Return when nothing waits or is in flight.

        For at most ``patience`` seconds, also wait for requests that are arriving. From the return
        on, no client gets a 202 before the guest's response.
        """
        try:
            async with asyncio.timeout(patience):
                await self.wait_until(lambda: not self.machine.state.arriving)
        except TimeoutError:
            LOG.info("%s is released while requests arrive", self.service.name)
        while True:
            await self.drained()
            self._released = self._loop.create_future()
            self.perform(self.machine.release(self._now(), arrivals=False))
            if await self._released:
                return

    def _report_release(self, done: bool) -> None:
        if self._released is not None and not self._released.done():
            self._released.set_result(done)

    def unseal(self) -> None:
        """The release failed: all writes go through the journal again."""
        self.perform(self.machine.reclaim(self._now()))

    async def give_up(self) -> None:
        """Quarantine all that is not applied, and release. Return when this is durable."""
        self.perform(self.machine.abandon())
        await self.wait_until(lambda: not self.machine.state.abandoning)

    @property
    def sealed(self) -> bool:
        """Whether other writes go to the guest directly."""
        return self.machine.state.phase is Phase.ARMED

    @property
    def idle(self) -> bool:
        """Whether other writes could overtake nothing if they went to the guest directly."""
        return phases.idle(self.machine.state)

    async def drained(self) -> None:
        """Return at the first instant at which the queue is idle."""
        await self.wait_until(lambda: self.idle)

    async def wait_in_flight(self) -> None:
        """Return when nothing is in flight and all responses are on disk."""
        await self.wait_until(lambda: not self.in_flight)

    # --- counters

    @property
    def in_flight(self) -> int:
        """Number of writes in flight, and of responses that are not yet on disk."""
        state = self.machine.state
        sent = sum(entry.connection is not None for entry in state.blocking.values())
        return sent + len(state.recording)

    @property
    def waiting(self) -> int:
        """Number of accepted writes that are not in flight."""
        return self.machine.state.waiting

    @property
    def waiting_bytes(self) -> int:
        """Bytes of their bodies."""
        return self.machine.state.waiting_bytes

    @property
    def arriving(self) -> int:
        """Number of requests that arrive."""
        return len(self.machine.state.arriving)

    @property
    def responded(self) -> int:
        """Number of responses on disk since the service was opened."""
        return self.machine.state.responded

    def counts(self) -> WriteCounts:
        """Return the counters of the port ``WritePath``."""
        state = self.machine.state
        return WriteCounts(
            accepted=state.accepted,
            waiting=state.waiting,
            in_flight=self.in_flight,
            in_doubt=state.in_doubt,
            responded=state.responded,
            longest_wait=self._steps.longest_wait,
        )

    def check_closable(self) -> None:
        """Raise ComponentError if something waits or is in flight."""
        if not self.idle:
            raise ComponentError(
                f"service {self.service.name} cannot be closed: {self.waiting} writes wait, "
                f"{self.in_flight} in flight or with a response that is not yet on disk"
            )

    # --- the end

    async def stop(self, patience: float) -> None:
        """Stop. Writes in flight have ``patience`` seconds; then all clients get a status URL."""
        self.perform(self.machine.hold(self._now()))
        try:
            async with asyncio.timeout(patience):
                await self.wait_in_flight()
        except TimeoutError:
            LOG.warning("%s: stopped with a write in flight", self.service.name)
        self.perform(self.machine.stop(self._now()))
        state = self.machine.state
        try:
            async with asyncio.timeout(patience):
                await self.wait_until(
                    lambda: not (state.clients or state.departing or state.pending or state.holding)
                )
        except TimeoutError:
            LOG.warning("%s: stopped without a response to all clients", self.service.name)
        self._links.close_all()
        await self._performer.stop()
