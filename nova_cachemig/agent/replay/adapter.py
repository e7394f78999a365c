"""Performs the machine's actions for one service: journal, connections, clients and reads."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.queries import QueueState
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.ports import ComponentError, WriteCounts
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.entries import Request, entry_of, limits, state_of
from nova_cachemig.agent.replay.guest_steps import GuestSteps
from nova_cachemig.agent.replay.journal_steps import JournalSteps
from nova_cachemig.agent.replay.links import Links
from nova_cachemig.agent.replay.performer import Performer
from nova_cachemig.agent.replay.read_steps import Reads, ReadSteps
from nova_cachemig.model.service import Service, Target
from nova_cachemig.model.write import AcceptedWrite
from nova_cachemig.replay import actions as act
from nova_cachemig.replay import phases
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.machine import Machine
from nova_cachemig.replay.state import Phase

LOG = logging.getLogger(__name__)

_MEMORY: Final = 16 << 20  # bytes of responses' bodies in memory, of one service


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
        self._loop = asyncio.get_running_loop()
        self._released: asyncio.Future[bool] | None = None
        self.machine = Machine(
            state_of(
                state,
                limits(conf, service, send_window),
                resent_through=resent_through,
                resume_delay=resume_delay,
            )
        )
        self._performer = Performer(self.machine, service.name)
        self.perform = self._performer.perform
        self.wait_until = self._performer.wait_until
        ReadSteps(self._performer, reads)
        self._steps = JournalSteps(self._performer, journal, lambda: self.service)
        self.guest = GuestSteps(self._performer, journal)
        budget = MemoryBudget(_MEMORY, memory)
        bodies = ResponseBodies(journal.spool, conf.journal.spool_threshold, budget)
        self.guest.links = Links(conf, journal, bodies, self.guest, lambda: self.service.send_proxy)
        self._performer.do |= {
            act.Tell: self._tell,
            act.CaughtUp: lambda _a: None,  # the waiters look at the machine's state
            act.Released: lambda _a: self._report_release(True),
            act.NotReleased: lambda _a: self._report_release(False),
        }

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
        request, a.token = a.token, None  # else the request would refer to itself
        if isinstance(request, Request):
            request.tell(a)

    # --- writes of the operator

    def resend(self, write: AcceptedWrite) -> None:
        """Send a quarantined write again, as the operator wants: it becomes the newest one.

        Its response is kept: the client was given a status URL instead.
        """
        if write.position in self.machine.state.moving.values():
            return
        entry = entry_of(write, self.service)
        entry.write = dataclasses.replace(write, has_status_url=True)
        entry.position, entry.keep = 0, True
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

    async def caught_up(self) -> None:
        """Return when few writes are left, and all of them are new."""
        waits = {Phase.SHIELDED, Phase.REPLAYING}
        await self.wait_until(lambda: self.machine.state.phase not in waits)

    async def seal(self, patience: float) -> None:
        """The edge holds new writes. Return when nothing waits or is in flight.

        For at most ``patience`` seconds, also wait for requests that are arriving. From the return
        on, no client gets a 202 before the guest's response. Raises ComponentError if this takes
        longer than the edge may hold writes.
        """
        released = self._released = self._loop.create_future()
        self.perform(self.machine.release(self._now(), patience))
        if not await released:
            raise ComponentError(f"{self.waiting} writes of {self.service.name} still wait")
        if self.arriving:
            LOG.info("%s is released while requests arrive", self.service.name)

    def _report_release(self, done: bool) -> None:
        if self._released is not None and not self._released.done():
            self._released.set_result(done)

    def unseal(self) -> None:
        """The release failed: all writes go through the journal again."""
        self.perform(self.machine.reclaim(self._now()))
        self._report_release(False)

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

    @property
    def unused(self) -> bool:
        """Whether other writes go to the guest directly, and no write or client is left."""
        state = self.machine.state
        clients = state.arriving or state.clients or state.departing
        writes = state.pending or state.holding or state.moving or state.quarantining
        return self.sealed and self.idle and not (clients or writes or self.in_flight)

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
        """Raise ComponentError if something waits or is in flight that a direct write overtakes.

        A late write is no reason: its client waits for the guest's response, and its order to the
        direct writes is free. The edge may send one until its state is in force.
        """
        if not (self.sealed or self.idle):
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
        self.guest.links.close_all()
        await self._performer.stop()
