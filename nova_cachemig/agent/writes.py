"""The agent's write path, made of intake, journal and replay. Implements ``ports.WritePath``."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.server import IntakeServer
from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.journal.recovery import Recovered
from nova_cachemig.agent.journal.retention import Cutoff
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.ports import BarrierEngine, ComponentError, WriteCounts
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.agent.replay.sender import Sender
from nova_cachemig.model.effects import held_reads
from nova_cachemig.model.service import Route, Service, Target
from nova_cachemig.model.write import WriteState

LOG = logging.getLogger(__name__)

_RESPONSE_MEMORY = 64 << 20  # bytes of responses' bodies in memory, of all services
_DECISION_POLL = 2.0  # seconds between two searches for operators' decisions
_STOP_TIMEOUT = 5.0  # seconds for the response to a write in flight when the agent stops
_KEYED_WINDOW = 1024  # least window where a repeated write does no harm
_EXPIRY_INTERVAL = 60.0  # seconds between deletions of expired records


class Writes:
    """The writes of all services.

    A closed service keeps its intake: the edge may have sent a request just before its state became
    ``pass``. That request is accepted and sent to the guest, not refused.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        edge: BarrierEngine | None = None,
        failpoints: Failpoints | None = None,
        route_of: Callable[[str], Route | None] = lambda _service: None,
    ) -> None:
        """``edge`` invalidates the responses that a write makes stale, and holds reads.

        ``route_of``: name of a service → the way to its guest, for writes that an operator wants
        sent while the service is in no handover.
        """
        self._conf = conf
        self._route_of = route_of
        self._edge = edge
        self.journal = Journal(conf, failpoints)
        self.recovered = Recovered()
        self.intake_socket = intake_socket(conf)
        self._intakes: dict[str, ServiceIntake] = {}
        self._senders: dict[str, Sender] = {}
        self._handler = RequestHandler(self.journal, conf, self._intakes)
        self._server = IntakeServer(
            conf, self._handler, self.journal.spool, Path(self.intake_socket)
        )
        self._memory = MemoryBudget(_RESPONSE_MEMORY)
        self._opening = asyncio.Lock()
        self._upkeep_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the journal and listen, if there is nothing to do in between."""
        await self.open_journal()
        await self.listen()

    async def open_journal(self) -> None:
        """Open the journal and recover the writes that a crash left."""
        self.recovered = await self.journal.open()
        self._handler.start()
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
            pending[name] = {key for _, url, client in reads for key in held_reads(url, client)}
        try:
            await self._edge.replace_barrier(pending, self.recovered.ended)
        except ComponentError as exc:
            LOG.error("The edge may hold reads of an earlier agent: %s", exc)

    async def stop(self) -> None:
        """Accept no more writes; accepted ones stay in the journal."""
        if self._upkeep_task is not None:
            self._upkeep_task.cancel()
        await self._server.stop_listening()
        await asyncio.gather(*(sender.stop(_STOP_TIMEOUT) for sender in self._senders.values()))
        self._handler.stop()
        await self._server.stop(_STOP_TIMEOUT)
        await self.journal.close()

    async def open(self, service: Service) -> None:
        """Accept writes of this service from now on; none is sent before :meth:`send_to`."""
        async with self._opening:
            intake = self._intakes.get(service.name)
            if intake is not None:
                intake.queue.reopen(service)
                self._senders[service.name].hold()
                return
            state = await self.journal.queue_state(service.name)
            parallel = self._conf.journal.parallel
            queue = WriteQueue(self.journal, service, state, self._send_window(service), parallel)
            barrier = ReadBarrier(self._edge, service.name)
            if state.waiting:
                await self._recover_barrier(service.name, barrier)
            intake = ServiceIntake(queue, barrier, state.secret, self.journal)
            delay = self._resume_delay(service.name)
            sender = Sender(
                self.journal, queue, self._conf, intake.on_response, delay, self._memory
            )
            self._senders[service.name] = sender
            self._intakes[service.name] = intake
            sender.start()

    def _send_window(self, service: Service) -> int:
        window: int = self._conf.journal.send_window
        return max(window, _KEYED_WINDOW) if service.honours_keys else window

    def _resume_delay(self, service: str) -> float:
        delay: float = self._conf.journal.resume_delay
        return delay if self.recovered.may_be_in_flight(service) else 0.0

    async def _recover_barrier(self, service: str, barrier: ReadBarrier) -> None:
        cipher = self.journal.spool.cipher
        reads = await self.journal.read(lambda c: queries.waiting_barrier_keys(c, service, cipher))
        await asyncio.gather(*(barrier.hold_reads(*read) for read in reads))

    async def send_to(self, service: str, target: Target) -> None:
        """The guest is reachable: send what waits, in order, and new writes as they arrive."""
        self._sender(service).send_to(target)

    async def hold(self, service: str) -> None:
        """The guest is silent: send no further write. A write in flight keeps waiting."""
        self._sender(service).hold()

    async def drained(self, service: str) -> None:
        """Return at the first instant at which nothing waits and nothing is in flight."""
        await self._intake(service).queue.drained()
        self.journal.failpoints.hit("sealed")

    async def seal(self, service: str, patience: float) -> None:
        """Other writes may pass by the journal soon. Return when nothing waits or is in flight.

        From now on, no client gets a 202 before the guest's response: its next write could overtake
        this one. For at most ``patience`` seconds, also wait for requests that are arriving.
        """
        queue = self._intake(service).queue
        queue.sealed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await queue.arrived()
        await self.drained(service)

    async def give_up(self, service: str) -> None:
        """Quarantine the writes in flight: the guest does not respond to them.

        The writes that wait are sent after them.
        """
        self._sender(service).give_up()

    async def unseal(self, service: str) -> None:
        """All writes go through the journal again."""
        self._intake(service).queue.sealed = False

    async def close(self, service: str) -> None:
        """The edge sends no more writes. Raises ComponentError if any still waits."""
        queue = self._intake(service).queue
        if not queue.idle:
            raise ComponentError(
                f"service {service} cannot be closed: {queue.waiting} writes wait, "
                f"{queue.in_flight} in flight, {queue.unrecorded} responses not yet on disk"
            )

    async def unfinished(self) -> dict[str, int]:
        """Service name → writes on disk without a response (after a restart)."""
        return await self.journal.unfinished()

    async def counts(self, service: str) -> WriteCounts:
        """Where the writes of this service are."""
        return self._intake(service).queue.counts()

    def _intake(self, service: str) -> ServiceIntake:
        try:
            return self._intakes[service]
        except KeyError:
            raise ComponentError(f"service {service} is not open for writes") from None

    def _sender(self, service: str) -> Sender:
        self._intake(service)
        return self._senders[service]

    async def _upkeep(self) -> None:
        """Delete expired records, and carry out the decisions that operators recorded."""
        cutoff, expire_at = Cutoff(self._conf.journal.keep_responses), 0.0
        while True:
            await asyncio.sleep(_DECISION_POLL)
            try:
                await self._resend_decided()
                if time.monotonic() >= expire_at:
                    expire_at = time.monotonic() + _EXPIRY_INTERVAL
                    while await self.journal.delete_expired(cutoff.now()):
                        pass
            except ComponentError as exc:
                LOG.warning("The maintenance of the journal failed; trying again: %s", exc)

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
                barrier = intake.barrier
                await barrier.hold_reads(write.host, write.url, write.client)
                try:
                    await intake.queue.resend(write)
                except NotAccepted as exc:
                    barrier.release_reads(write.host, write.url, write.client, (), lambda: None)
                    LOG.error("Write %s cannot be sent again yet: %s", write.name, exc)

    async def _intake_for_resend(self, name: str) -> ServiceIntake | None:
        """Open the service if it is in no handover, and send its writes to the guest."""
        route = self._route_of(name)
        if name not in self._intakes and route is not None:
            await self.open(route.service)
            self._intakes[name].queue.sealed = True
        intake = self._intakes.get(name)
        if intake is not None and intake.queue.sealed and route and route.target:
            await self.send_to(name, route.target)  # the guest may have moved since its handover
        return intake


def intake_socket(conf: cfg.ConfigOpts) -> str:
    """Path of the unix socket to which the edge sends writes."""
    return conf.journal.intake_socket or str(Path(conf.agent.state_dir) / "intake.sock")
