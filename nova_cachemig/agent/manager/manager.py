"""All handovers of this agent: one live handover per instance."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Sequence

from oslo_log import log

from nova_cachemig.agent.manager.components import Components
from nova_cachemig.agent.manager.live import LiveHandover
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import EdgeState, Phase
from nova_cachemig.model.service import Route

LOG = log.getLogger(__name__)

LATE = 300.0
"""Seconds by which the announcement of a migration may be behind, before Nova is asked."""

TRANSIT = 5.0
"""Seconds that an event may have spent on the way to this agent, beside those in its age."""

UNKNOWN = "unknown"
"""The outcome of a handover for which no event has reported one."""

_LONGEST_WAIT = 10.0  # seconds for which other tenants' work is put off
_WARNED = 1000  # instances that are remembered, so that each migration is warned of once
_USERS_WAIT = frozenset({Phase.SHIELDED, Phase.ROLLING_BACK, Phase.REPLAYING})
_NEXT = "Nova began another migration of the instance"
_NOT_OURS: dict[str, str | bool] = {
    "ready": True,
    "phase": Phase.IDLE.value,
    "reason": "no service of ours",
}


class HandoverManager:
    """Receives the hook's messages and keeps one :class:`LiveHandover` per instance."""

    def __init__(
        self,
        components: Components,
        routes_of: Callable[[str], tuple[Route, ...]],
        why_unprotected: Callable[[str], str] = lambda _instance: "",
        instance_of: Callable[[str], str | None] = lambda _service: None,
    ) -> None:
        """``routes_of``: instance → the routes to protect; ``why_unprotected``: the others.

        ``instance_of``: name of a service → its instance.
        """
        self._components = components
        self._routes_of = routes_of
        self._why_unprotected = why_unprotected
        self._instance_of = instance_of
        self._warned: dict[str, HandoverId] = {}  # instance → the last unprotected migration
        self._live: dict[str, LiveHandover] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._arming: dict[str, asyncio.Task[None]] = {}
        self._polled: dict[str, float] = {}
        self._left: dict[str, Route] = {}  # shielded services with writes of an earlier agent
        self._work: set[asyncio.Task[None]] = set()
        self._waiting_since: dict[str, float] = {}  # by instance, in the loop's time
        self.ended = collections.Counter(dict.fromkeys((*OutcomeKind, UNKNOWN), 0))
        """Handovers that have ended, by outcome."""
        self.fail_opens = collections.Counter(unreached=0, journal=0)
        """Migrations without protection, by cause."""

    def live(self) -> list[HandoverRecord]:
        """Records of the live handovers."""
        return [handover.record for handover in self._live.values()]

    def phases(self) -> dict[str, Phase]:
        """Service name → phase of its live handover."""
        return {name: phase for h in self._live.values() for name, phase in h.phases().items()}

    def users_wait(self) -> bool:
        """Whether users of some service wait: its guest is silent, or its writes are replayed.

        Those of one instance count for :data:`_LONGEST_WAIT` seconds at most, because other tenants
        are affected.
        """
        now = asyncio.get_running_loop().time()
        waiting = [i for i, h in self._live.items() if h.record.phase in _USERS_WAIT]
        self._waiting_since = {i: self._waiting_since.get(i, now) for i in waiting}
        return any(now - since < _LONGEST_WAIT for since in self._waiting_since.values())

    def migrating(self) -> frozenset[str]:
        """Names of the services in a live handover."""
        return frozenset(n for h in self._live.values() for n in h.record.services)

    async def recover(self) -> None:
        """Continue the handovers that a crash interrupted, and send writes without a handover.

        The latter get a handover, because new writes must not overtake them.
        """
        unfinished = await self._components.store.unfinished()
        newest = {record.id.instance: record for record in unfinished}
        for record in newest.values():
            self._start(record, EventKind.RECOVER)
        waiting = await self._components.writes.unfinished()
        for name in sorted(set(waiting) - self.migrating()):
            instance = self._instance_of(name)
            if instance is not None and instance not in self._live:
                self._start_found(instance)
        for name in sorted(set(waiting) - self.migrating()):
            LOG.error(
                "service %s: %d writes wait in the journal, and its guest is unknown; see "
                "nova-cachemig-manage journal list",
                name,
                waiting[name],
            )

    async def stop(self) -> None:
        """End all tasks; the next start continues the live handovers."""
        tasks = [*self._tasks.values(), *self._arming.values(), *self._work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(
        self,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
        behind: float = 0.0,
    ) -> None:
        """Nova prepares a migration; a repetition changes nothing.

        ``at`` is of this host's clock. ``behind``: seconds by which the sender's time is behind it.
        Either the clocks differ, or the message was queued while no agent was running. Only Nova
        knows: if the migration has ended, the handover ends with Nova's response.
        """
        known = self._live.get(handover.instance)
        if known is not None and known.id == handover:
            return
        self._warn_of_unprotected(handover)
        if not self._routes_of(handover.instance):
            return
        if known is not None:
            if known.may_be_of(at):
                await known.announce(handover, source, destination)
                return
            await self._supersede(known)
        record = HandoverRecord(
            id=handover,
            services=(),
            source=source,
            destination=destination,
            phase=Phase.IDLE,
            started=at,
        )
        live = self._start(record, EventKind.BEGIN, late=behind > LATE)
        if behind > LATE:
            LOG.info(
                "handover %s: announced %.0f s late, by the clock of the compute host: asking Nova",
                handover,
                behind,
            )
            await live.ask_nova()

    async def wait_warm(self, handover: HandoverId, wait: float) -> dict[str, str | bool]:
        """Wait up to ``wait`` seconds until the cache is warm.

        The handover arms when it is warm, or when the hook stops polling.
        """
        # Messages can overtake each other: this may be the first one of the handover.
        await self.begin(handover, None, None, time.time())
        live = self._live.get(handover.instance)
        if live is None:
            why = self._why_unprotected(handover.instance)
            return _NOT_OURS | ({"reason": f"not protected: {why}"} if why else {})
        self._polled[handover.instance] = asyncio.get_running_loop().time()
        if handover.instance not in self._arming:
            self._arming[handover.instance] = asyncio.create_task(self._arm_when_due(live))
        try:
            async with asyncio.timeout(wait):
                await live.wait_warmed()
        except TimeoutError:
            return {"ready": False, "phase": live.phase.value, "reason": "warming"}
        return {"ready": True, "phase": live.phase.value, "reason": "warm"}

    async def guest_event(self, event: GuestEvent) -> None:
        """An event of the migration, from Nova or from the hypervisor."""
        live = self._live.get(event.instance) or self._unannounced(event)
        if live is None:
            return
        if event.request is not None and event.request != live.id.request:
            if live.id.announced or event.at < live.record.started - TRANSIT:
                return  # of another migration
            await live.announce(HandoverId(event.instance, event.request))
        live.post(Event(event.kind, event.at, event.host or "", event.post_copy))

    # -- addresses: implements services.changes.TargetWatcher ----------------------------------

    def targets_lost(self, routes: Sequence[Route]) -> None:
        """Nothing is sent to these guests until Nova confirms their addresses."""
        self._post_by_instance(routes, EventKind.TARGET_LOST)
        idle = {route.service.name for route in routes} - self.migrating()
        if idle:  # of a write whose upload began in a handover
            self._spawn(self._hold(idle))

    async def prepare(self, routes: Sequence[Route]) -> None:
        """Shield the services with writes on disk, before the edge knows their guests' addresses.

        Nothing may overtake these writes.
        """
        found = {r.service.name: r for r in routes if r.service.name not in self.migrating()}
        try:
            waiting = await self._components.writes.unfinished() if found else {}
            for name in sorted(waiting.keys() & found.keys()):
                await self._components.writes.open(found[name].service)
                await self._components.engine.set_state(name, EdgeState.SHIELDED)
                self._left[name] = found[name]
        except ComponentError as exc:
            LOG.error("writes on disk may be overtaken: %s", exc)

    def targets_found(self, routes: Sequence[Route]) -> None:
        """Go on with these guests, at their present addresses."""
        self._post_by_instance(routes, EventKind.TARGET_FOUND)
        left, self._left = self._left, {}
        if left:
            self._components.guests.assume_reached(left.values())
            self._spawn(self._send_left({route.service.instance for route in left.values()}))

    def _post_by_instance(self, routes: Sequence[Route], kind: EventKind) -> None:
        by_instance: dict[str, set[str]] = {}
        for route in routes:
            by_instance.setdefault(route.service.instance, set()).add(route.service.name)
        for instance, names in by_instance.items():
            if (live := self._live.get(instance)) is not None:
                live.post_to(names, Event(kind, time.time()))

    async def _hold(self, names: Collection[str]) -> None:
        for name in names:
            with contextlib.suppress(ComponentError):  # it was in no handover yet
                await self._components.writes.hold(name)

    async def _send_left(self, instances: Collection[str]) -> None:
        for instance in instances:
            live = self._live.get(instance)
            if live is not None and not live.record.services:
                await self._supersede(live, "the address of its guest was not known")
            if instance not in self._live:
                self._start_found(instance)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    # ------------------------------------------------------------------------------------

    def _warn_of_unprotected(self, handover: HandoverId) -> None:
        why = self._why_unprotected(handover.instance)
        if why and self._warned.get(handover.instance) != handover:
            self._warned[handover.instance] = handover
            self.fail_opens["unreached"] += 1
            if len(self._warned) > _WARNED:
                del self._warned[next(iter(self._warned))]
            LOG.warning("handover %s: not protected: %s", handover, why)

    def _unannounced(self, event: GuestEvent) -> LiveHandover | None:
        """A guest is paused for its switchover and no migration was announced: shield."""
        if event.kind is not EventKind.PAUSED or not self._routes_of(event.instance):
            return None
        record = HandoverRecord(
            id=HandoverId.unannounced(event.instance, event.at),
            services=(),
            source=event.host,
            destination=None,
            phase=Phase.IDLE,
            started=event.at,
        )
        return self._start(record, EventKind.UNANNOUNCED)

    def _start_found(self, instance: str) -> None:
        now = time.time()
        record = HandoverRecord(
            id=HandoverId.unannounced(instance, now),
            services=(),
            source=None,
            destination=None,
            phase=Phase.IDLE,
            started=now,
        )
        if self._routes_of(instance):
            self._start(record, EventKind.WRITES_FOUND)

    def _start(
        self, record: HandoverRecord, first: EventKind, *, late: bool = False
    ) -> LiveHandover:
        instance = record.id.instance
        live = LiveHandover(
            self._components,
            record,
            self._routes_of(instance),
            late=late,
            is_served=lambda service: self._instance_of(service) == instance,
        )
        self._live[record.id.instance] = live
        hosts = [host for host in (record.source, record.destination) if host is not None]
        live.post(Event(first, time.time(), " to ".join(hosts)))
        self._tasks[record.id.instance] = asyncio.create_task(self._run(live))
        return live

    async def _run(self, live: LiveHandover) -> None:
        try:
            await live.run()
            self._count(live)
        finally:
            if self._live.get(live.id.instance) is live:
                del self._live[live.id.instance]
                self._tasks.pop(live.id.instance, None)
                self._disarm(live.id.instance)

    async def _supersede(self, known: LiveHandover, why: str = _NEXT) -> None:
        """Another handover of the instance begins, so the former one has ended."""
        instance = known.id.instance
        task = self._tasks.pop(instance)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._live.pop(instance, None)
        self._disarm(instance)
        await known.abandon(why)
        self._count(known)

    def _count(self, live: LiveHandover) -> None:
        self.ended[live.record.outcome or UNKNOWN] += 1
        self.fail_opens["journal"] += live.unprotected

    def _disarm(self, instance: str) -> None:
        self._polled.pop(instance, None)
        task = self._arming.pop(instance, None)
        if task is not None:
            task.cancel()

    async def _arm_when_due(self, live: LiveHandover) -> None:
        loop = asyncio.get_running_loop()
        gap = self._components.timeouts.poll_gap
        while not live.warmed:
            left = self._polled.get(live.id.instance, 0.0) + gap - loop.time()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await live.wait_warmed()
            except TimeoutError:
                continue
        live.post(Event(EventKind.ARM, time.time()))
