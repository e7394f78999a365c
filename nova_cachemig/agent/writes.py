"""The agent's write path, made of intake, journal and replay. Implements ``ports.WritePath``."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from oslo_config import cfg

from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.server import IntakeServer
from nova_cachemig.agent.intake.service import ServiceIntake, WriteReads
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.recovery import Recovered
from nova_cachemig.agent.journal.retention import Cutoff
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.ports import BarrierEngine, ComponentError, WriteCounts
from nova_cachemig.agent.replay.adapter import ServiceReplay
from nova_cachemig.model.effects import held_reads
from nova_cachemig.model.service import Route, Service, Target
from nova_cachemig.model.write import WriteState

LOG = logging.getLogger(__name__)

_RESPONSE_MEMORY = 64 << 20  # bytes of responses' bodies in memory, of all services
_DECISION_POLL = 2.0  # seconds between two searches for operators' decisions
_STOP_TIMEOUT = 5.0  # seconds for the response to a write in flight when the agent stops
_KEYED_WINDOW = 1024  # least window where a repeated write does no harm
_KEEP_INTAKE = 300.0  # seconds for which a closed service keeps its intake
_EXPIRY_INTERVAL = 60.0  # seconds between deletions of expired records


class Queued(NamedTuple):
    """Writes of all open services."""

    waiting: int
    waiting_bytes: int
    in_flight: int


class Writes:
    """The writes of all services.

    A closed service keeps its intake for some time: the edge may have sent a request just before
    its state became ``pass``. That request is accepted and sent to the guest, not refused.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        edge: BarrierEngine | None = None,
        failpoints: Failpoints | None = None,
        route_of: Callable[[str], Route | None] = lambda _service: None,
        in_handover: Callable[[], Collection[str]] | None = None,
    ) -> None:
        """``edge`` invalidates the responses that a write makes stale, and holds reads.

        ``route_of``: name of a service → the way to its guest, for writes that an operator wants
        sent while the service is in no handover. ``in_handover``: the services in one; None: it is
        unknown, so no intake is dropped.
        """
        self._conf = conf
        self._in_handover = in_handover
        self._route_of = route_of
        self._edge = edge
        self.journal = Journal(conf, failpoints)
        self.recovered = Recovered()
        self.intake_socket = intake_socket(conf)
        self._intakes: dict[str, ServiceIntake] = {}
        self._handler = RequestHandler(self.journal, conf, self._intakes)
        self._server = IntakeServer(
            conf, self._handler, self.journal.spool, Path(self.intake_socket)
        )
        self._memory = MemoryBudget(_RESPONSE_MEMORY)
        self._unused_since: dict[str, float] = {}  # service → when it was first seen so
        self._resumed: set[str] = set()  # services whose writes from before a crash have ended
        self._opening = asyncio.Lock()
        self._upkeep_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the journal and listen, if there is nothing to do in between."""
        await self.open_journal()
        await self.listen()

    async def open_journal(self) -> None:
        """Open the journal and recover the writes that a crash left."""
        self.recovered = await self.journal.open()
        self._upkeep_task = asyncio.create_task(self._upkeep(), name="journal upkeep")

    async def listen(self) -> None:
        """Accept writes of the open services. Before, make the edge hold what the journal says."""
        await self._replace_barrier()
        await self._server.start()

    async def _replace_barrier(self) -> None:
        if self._edge is None:
            return
        cipher, pending = self.journal.spool.cipher, {}
        for name in await self.journal.unfinished():
            query = functools.partial(queries.waiting_barrier_keys, service=name, cipher=cipher)
            reads = await self.journal.read(query)
            pending[name] = {
                key for _, _, url, client, also in reads for key in held_reads(url, client, also)
            }
        try:
            await self._edge.replace_barrier(pending, self.recovered.ended)
        except ComponentError as exc:
            LOG.error("The edge may hold reads of an earlier agent: %s", exc)

    async def stop(self) -> None:
        """Accept no more writes; accepted ones stay in the journal."""
        if self._upkeep_task is not None:
            self._upkeep_task.cancel()
        await self._server.stop_listening()
        replays = [intake.replay for intake in self._intakes.values()]
        await asyncio.gather(*(replay.stop(_STOP_TIMEOUT) for replay in replays))
        await self._server.stop(_STOP_TIMEOUT)
        await self.journal.close()

    async def open(self, service: Service) -> None:
        """Accept writes of this service from now on; none is sent before :meth:`send_to`."""
        async with self._opening:
            intake = self._intakes.get(service.name) or await self._new_intake(service)
            intake.reads.client_cookie = service.client_cookie
            intake.replay.reopen(service)

    async def _new_intake(self, service: Service) -> ServiceIntake:
        name = service.name
        state = await self.journal.queue_state(name)
        barrier = ReadBarrier(self._edge, name)
        if state.waiting:
            await self._recover_barrier(name, barrier)
        reads = WriteReads(barrier, self.journal, service.client_cookie)
        replay = ServiceReplay(
            self.journal,
            service,
            state,
            self._conf,
            reads,
            send_window=self._send_window(service),
            resent_through=self._resent_through(name),
            resume_delay=self._resume_delay(name),
            memory=self._memory,
        )
        intake = self._intakes[name] = ServiceIntake(replay, reads, state.secret)
        return intake

    def _send_window(self, service: Service) -> int:
        window: int = self._conf.journal.send_window
        return max(window, _KEYED_WINDOW) if service.honours_keys else window

    def _resent_through(self, service: str) -> int:
        return 0 if service in self._resumed else self.recovered.resent_through(service)

    def _resume_delay(self, service: str) -> float:
        delay: float = self._conf.journal.resume_delay
        ended = service in self._resumed
        return delay if self.recovered.may_be_in_flight(service) and not ended else 0.0

    async def _recover_barrier(self, service: str, barrier: ReadBarrier) -> None:
        cipher = self.journal.spool.cipher
        reads = await self.journal.read(lambda c: queries.waiting_barrier_keys(c, service, cipher))
        loop = asyncio.get_running_loop()
        held = []
        for position, host, url, client, also in reads:
            future: asyncio.Future[None] = loop.create_future()
            then = functools.partial(future.set_result, None)
            barrier.hold(position, host, url, client, then, also)
            held.append(future)
        await asyncio.gather(*held)

    async def send_to(self, service: str, target: Target) -> None:
        """The guest is reachable: send what waits, in order, and new writes as they arrive."""
        self._replay(service).send_to(target)

    async def hold(self, service: str) -> None:
        """The guest is silent: send no further write. A write in flight keeps waiting."""
        self._replay(service).hold()

    async def drained(self, service: str) -> None:
        """Return at the first instant at which nothing waits and nothing is in flight."""
        await self._replay(service).drained()
        self.journal.failpoints.hit("sealed")

    async def caught_up(self, service: str) -> None:
        """Return when few writes are left, and all of them are new."""
        await self._replay(service).caught_up()

    async def seal(self, service: str, patience: float) -> None:
        """The edge holds new writes. Return when nothing waits or is in flight.

        For at most ``patience`` seconds, also wait for requests that are arriving. From the return
        on, no client gets a 202 before the guest's response: its next write could overtake this
        one. Raises ComponentError if this takes longer than the edge may hold writes.
        """
        await self._replay(service).seal(patience)
        self.journal.failpoints.hit("sealed")

    async def give_up(self, service: str) -> None:
        """Leave all writes that are not applied to the operator: the deadline has passed.

        They are not sent later on their own: a write that went to the guest directly may be newer.
        From the call on, no client gets a 202. Return when the database has it.
        """
        await self._replay(service).give_up()

    async def unseal(self, service: str) -> None:
        """All writes go through the journal again."""
        self._replay(service).unseal()

    async def close(self, service: str) -> None:
        """The edge sends no more writes. Raises ComponentError if any still waits."""
        self._replay(service).check_closable()

    async def unfinished(self) -> dict[str, int]:
        """Service name → writes on disk without a response (after a restart)."""
        return await self.journal.unfinished()

    async def counts(self, service: str) -> WriteCounts:
        """Where the writes of this service are."""
        return self._replay(service).counts()

    @property
    def refused(self) -> int:
        """Requests that were refused before their body arrived."""
        return self._handler.refused

    def queued(self) -> Queued:
        """The writes in the journal, of all open services."""
        waiting = waiting_bytes = in_flight = 0
        for intake in self._intakes.values():
            replay = intake.replay
            waiting += replay.waiting
            waiting_bytes += replay.waiting_bytes
            in_flight += replay.in_flight
        return Queued(waiting, waiting_bytes, in_flight)

    def _replay(self, service: str) -> ServiceReplay:
        try:
            return self._intakes[service].replay
        except KeyError:
            raise ComponentError(f"service {service} is not open for writes") from None

    async def _upkeep(self) -> None:
        """Delete expired records, and carry out the decisions that operators recorded."""
        cutoff, expire_at = Cutoff(self._conf.journal.keep_responses), 0.0
        while True:
            await asyncio.sleep(_DECISION_POLL)
            try:
                await self._resend_decided()
                await self._drop_closed(time.monotonic())
                if time.monotonic() >= expire_at:
                    expire_at = time.monotonic() + _EXPIRY_INTERVAL
                    while await self.journal.delete_expired(cutoff.now()):
                        pass
            except ComponentError as exc:
                LOG.warning("The maintenance of the journal failed; trying again: %s", exc)

    async def _drop_closed(self, now: float) -> None:
        """Drop the intakes of the services that have had nothing to do for a while."""
        if self._in_handover is None:
            return
        busy = self._in_handover()
        unused = [n for n, intake in self._intakes.items() if intake.unused and n not in busy]
        self._unused_since = {name: self._unused_since.get(name, now) for name in unused}
        for name in [n for n, since in self._unused_since.items() if now - since >= _KEEP_INTAKE]:
            async with self._opening:
                intake = self._intakes[name]
                if not intake.unused or name in self._in_handover():
                    continue
                del self._intakes[name]
                if self.recovered.may_be_in_flight(name):
                    self._resumed.add(name)
                await intake.replay.stop(_STOP_TIMEOUT)

    async def _resend_decided(self) -> None:
        for name in await self.journal.read(queries.services_to_resend):
            intake = await self._intake_for_resend(name)
            if intake is None:
                continue
            cipher = self.journal.spool.cipher
            query = functools.partial(queries.to_resend, service=name, cipher=cipher)
            writes = await self.journal.read(query)
            for write in writes:
                if isinstance(write, UnreadableWrite):
                    LOG.error(
                        "Write %s/%d cannot be sent again: %s", name, write.position, write.why
                    )
                    damaged = WriteState.DAMAGED
                    await self.journal.quarantine(name, write.position, damaged, write.why)
                    continue
                LOG.info("Write %s is sent again, as the operator decided", write.name)
                intake.replay.resend(write)

    async def _intake_for_resend(self, name: str) -> ServiceIntake | None:
        """Open the service if it is in no handover, and send its writes to the guest.

        None if they have to wait, because the address of the guest is not known.
        """
        route = self._route_of(name)
        async with self._opening:
            if name not in self._intakes and route is not None:
                await self._new_intake(route.service)
        intake = self._intakes.get(name)
        if intake is not None and intake.replay.sealed:
            if route is None or route.target is None:
                return None  # its last address may be another guest's by now
            intake.replay.send_also_to(route.target)  # it may have moved since its handover
        return intake


def intake_socket(conf: cfg.ConfigOpts) -> str:
    """Path of the unix socket to which the edge sends writes."""
    return conf.journal.intake_socket or str(Path(conf.agent.state_dir) / "intake.sock")
