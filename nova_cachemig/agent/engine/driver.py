"""The engine's port: HAProxy at the edge, Varnish while a guest migrates."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import fronts, names, process, reads, render
from nova_cachemig.agent.engine.accesslog import EdgeRecord
from nova_cachemig.agent.engine.barrier import BarrierMaps
from nova_cachemig.agent.engine.cache import Cache
from nova_cachemig.agent.engine.certificates import Certificates, Prepared, replace
from nova_cachemig.agent.engine.counters import PAUSE_POLL, AccessLog, RingReader, ServiceCounters
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.engine.idle import IdleConnections
from nova_cachemig.agent.engine.lost import LostWrites
from nova_cachemig.agent.engine.reload import ReloadGate
from nova_cachemig.agent.engine.routing import binds_of
from nova_cachemig.agent.engine.serving import Defaults, serving
from nova_cachemig.agent.engine.states import States
from nova_cachemig.agent.engine.totals import EdgeTotals
from nova_cachemig.agent.ports import ComponentError, EdgeCounts
from nova_cachemig.conf.engine import limits_of
from nova_cachemig.model import methods
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.effects import EndedWrite
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.reads import ReadCounts
from nova_cachemig.model.service import Route, Target

LOG = log.getLogger(__name__)

LOG_PAUSE = 0.3
"""Seconds after the guest's return in which the agent does not read the edge's log."""

RELOAD_POLL = 5.0
"""Seconds between two checks whether a reload still has to wait for handovers."""

CERTIFICATES_POLL = 10.0
"""Seconds between two looks for renewed certificates."""


class HaproxyVarnish:
    """Implements :class:`nova_cachemig.agent.ports.Engine`."""

    def __init__(self, conf: cfg.ConfigOpts, *, intake_socket: str) -> None:
        self._conf = conf
        self._paths = render.Paths(Path(conf.engine.runtime_dir))
        self._edge = Edge(conf, self._paths, intake_socket)
        self._lost = LostWrites(self._edge)
        self._idle = IdleConnections(self._edge)
        self._cache = Cache(conf, self._paths)
        maps = self._edge.maps
        self._barrier = BarrierMaps(maps["state"], maps["pending"], maps["epochs"])
        self._wanted_binds: frozenset[str] = frozenset()
        self._served: Mapping[str, Route] = {}
        self._certificates = Certificates(self._paths.root / "tls")
        self._reload_needed = False
        self._reload_lock = asyncio.Lock()
        self._reload_gate = ReloadGate()
        self._reload_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._counters = ServiceCounters()
        self._states = States(conf, maps["state"], self._counters.totals)
        self.on_write: Callable[[str, str], None] = lambda _service, _url: None
        """Called with service and URL after each write that passed in ``armed``."""
        self._access_log = AccessLog()
        admin = self._paths.socket("admin")
        self._rings = (
            RingReader(admin, "access", self._access_log.publish, conf.engine.access_rate),
            RingReader(admin, "handover", self._record),
        )
        self.cache_socket = str(self._paths.socket("cache"))

    def _record(self, record: EdgeRecord) -> None:
        self._counters.record(record)
        access = record.access
        if access.method not in methods.SAFE and self.state(access.service) is EdgeState.ARMED:
            self.on_write(access.service, access.url)

    @property
    def totals(self) -> EdgeTotals:
        """The counters of all services together."""
        return self._counters.totals

    @property
    def restarts(self) -> dict[str, int]:
        """By engine, the times that it ended and was started again."""
        return {"haproxy": self._edge.restarts, "varnishd": self._cache.restarts}

    @property
    def pids(self) -> dict[str, int | None]:
        """The pids of HAProxy's master process and Varnish's manager process."""
        return {"haproxy": self._edge.pid, "varnishd": self._cache.pid}

    # -- start and stop --------------------------------------------------------------------

    async def start(self) -> None:
        """Run both engines, or adopt those of an earlier agent with their state."""
        root = self._paths.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(0o700)
        except OSError as exc:
            raise ComponentError(f"[engine] runtime_dir = {root}: {exc.strerror}") from exc
        await self._cache.start()
        try:
            adopted = await self._edge.start()
        except ComponentError:
            await self._cache.stop()
            raise
        self._wanted_binds = frozenset(self._edge.binds)
        if adopted:
            for name in self.services_in_handover():
                self._count(name)
                self.totals.opened += self.state(name) is EdgeState.PASS
            if self._edge.config_differs():
                self._reload_needed = True
                self._schedule_reload()
        for ring in self._rings:
            ring.start()
        self._spawn(self._watch_certificates(), "certificates")

    async def stop(self) -> None:
        """Stop both engines; requests in flight may finish."""
        await self._stop_tasks()
        await self._edge.stop(self._conf.engine.hold_timeout + self._conf.engine.connect_patience)
        await self._cache.stop()

    async def detach(self) -> None:
        """Leave both engines running: the next agent adopts them."""
        await self._stop_tasks()
        await self._edge.detach()
        await self._cache.detach()

    async def _stop_tasks(self) -> None:
        if self._reload_timer is not None:
            self._reload_timer.cancel()
        await self._lost.stop()
        await self._idle.stop()
        for ring in self._rings:
            await ring.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- routes ----------------------------------------------------------------------------

    async def apply(self, routes: Sequence[Route]) -> dict[str, str]:
        """Serve exactly these routes; return the services that are refused, with the reasons.

        A refused service keeps its present route, if it has one. A reload that is needed waits for
        handovers (:class:`ReloadGate`). Raises ComponentError where HAProxy does not take the
        changes.
        """
        ready = await self._prepare_certificates(routes)
        await self._no_reload()
        unusable = self._edge.unusable(binds_of(routes))
        defaults = Defaults(self._conf.engine.trusted_proxies, limits_of(self._conf))
        wanted = await asyncio.to_thread(
            serving, routes, unusable, self._served, ready.missing, defaults
        )
        await self._no_reload()
        self._served = wanted.served
        self._want_binds()
        loaded = await self._load(wanted.maps)
        if not loaded:
            await self._edge.replace(wanted.maps)
        in_handover = self.services_in_handover()
        self._counters.keep_only({*wanted.served, *in_handover})
        for name in in_handover:
            if name in wanted.served:
                rules = wanted.served[name].service.policy.rules()
                self._counters.read_counts(name).replace_rules(rules)
        if self._reload_needed and not loaded:
            if blocking := self._reload_waits_for():
                waits = "new front addresses wait for the end of a handover: %s"
                LOG.warning(waits, ", ".join(blocking[:5]))
                self._schedule_reload()
            else:
                await self._reload()
        return {**ready.kept, **wanted.refused}

    async def _load(self, maps: Mapping[str, Mapping[str, str]]) -> bool:
        """Let a reload that is due read many entries from the files; return whether it did.

        If the reload fails, they are sent: some may concern guests that have lost their addresses.
        """
        if not self._reload_needed or self._reload_waits_for() or not self._edge.many(maps):
            return False
        await self._edge.start_with(maps)
        try:
            await self._reload()
        except ComponentError:
            await self._edge.replace(maps)
            raise
        return not self._reload_needed

    async def _prepare_certificates(self, routes: Iterable[Route]) -> Prepared:
        services = [route.service for route in routes if route.service.tls is not None]
        ready = await asyncio.to_thread(self._certificates.prepare, services)
        for path in ready.changed:
            try:
                await replace(self._paths.socket("admin"), path)
            except ComponentError as exc:
                LOG.info("%s is used after the next reload: %s", path, exc)
        return ready

    async def _watch_certificates(self) -> None:
        """Use renewed certificates."""
        while True:
            await asyncio.sleep(CERTIFICATES_POLL)
            if not self._served:
                continue  # before the first routes, nothing is known
            try:
                ready = await self._prepare_certificates(self._served.values())
            except OSError as exc:
                LOG.error("renewed certificates cannot be written: %s", exc)
                continue
            for problem in (*ready.kept.values(), *ready.missing.values()):
                LOG.warning("the earlier certificate stays in use: %s", problem)
            await self._no_reload()
            self._want_binds()
            if self._reload_needed:
                self._schedule_reload()

    def _want_binds(self) -> None:
        served = self._served.values()
        proxies = fronts.expected(served, self._conf.engine.trusted_proxies)
        self._wanted_binds = frozenset(
            names.with_proxies(
                self._certificates.bind(one.service), proxies.get(one.service.listen, "")
            )
            for one in served
        )
        if self._wanted_binds != frozenset(self._edge.binds):
            self._reload_needed = True

    def services_in_handover(self) -> list[str]:
        """Return the services that are not in ``pass``, also those of an earlier agent."""
        return self._states.services()

    def _reload_waits_for(self) -> list[str]:
        states = {name: self.state(name) for name in self.services_in_handover()}
        served = self._served or states  # before the first routes, nothing is known
        return self._reload_gate.blocking(states, served, asyncio.get_running_loop().time())

    async def _no_reload(self) -> None:
        """Wait for the end of a reload, which would lose a change of the maps."""
        while self._reload_lock.locked():
            async with self._reload_lock:
                pass

    async def _reload(self) -> None:
        async with self._reload_lock, self._edge.writer.paused():
            if self._reload_needed and not self._reload_waits_for():
                self._reload_needed = False
                armed: dict[str, str] = {}
                old = None
                try:
                    armed = self._states.renew_generations()
                    old = await self._edge.rebind(self._wanted_binds)
                except ComponentError:
                    self._reload_needed = True
                    self.totals.reloads["failed"] += 1
                    raise
                finally:
                    if armed:
                        self._spawn(self._arm_again(old, armed), "arm after a reload")
                self.totals.reloads["done"] += old is not None
                self._reload_gate.reloaded()
                for ring in self._rings:
                    await ring.restart()

    async def _arm_again(self, old_worker: int | None, armed: Mapping[str, str]) -> None:
        """Store pages again once the old worker has ended."""
        if old_worker is not None:
            await process.ended(old_worker)
        await self._states.arm_again(armed)

    def _schedule_reload(self) -> None:
        if self._reload_timer is not None:
            self._reload_timer.cancel()
            self._reload_timer = None
        if self._reload_needed and self._reload_waits_for():
            loop = asyncio.get_running_loop()
            self._reload_timer = loop.call_later(RELOAD_POLL, self._schedule_reload)
        elif self._reload_needed:
            self._spawn(self._reload_or_log(), "reload")

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_or_log(self) -> None:
        try:
            await self._reload()
        except ComponentError as exc:
            LOG.error("HAProxy could not be reloaded: %s", exc)

    # -- states ----------------------------------------------------------------------------

    def state(self, service: str) -> EdgeState:
        """Return the service's present state."""
        return self._states.state(service)

    async def set_state(self, service: str, state: EdgeState) -> None:
        """Change the state of one service. A new handover finds no page stored before it."""
        self._reload_gate.record(service, state, asyncio.get_running_loop().time())
        await self._no_reload()
        target = self._target(service)
        if state is EdgeState.SHIELDED and target is not None:
            self._lost.watch(service, target)
        else:
            self._lost.end(service)
            if self.state(service) is EdgeState.SHIELDED:
                await self._idle.closed(service, target)
        if state is EdgeState.PASS:
            await self._states.remove(service)
            await self._barrier.end(service)
            self._lost.forget(service)
            self._counters.end(service)
            self._schedule_reload()
            return
        if not self._states.has(service):
            self._count(service)
        await self._states.flip(service, state)
        if state is EdgeState.SHIELDED and target is not None:
            self._idle.close(service, target)
            work = reads.cut_waiting(self._edge.guests, service, target)
            self._spawn(work, "reads at the pause")
        if state is EdgeState.REPLAY:
            # All held requests end now. Counting them costs a third of the agent's time.
            for ring in self._rings:
                ring.pause(LOG_PAUSE)

    def _count(self, service: str) -> None:
        route = self._served.get(service)
        self._counters.start(service, route.service.policy.rules() if route is not None else ())

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Apply any number of changes in few exchanges: see :class:`ports.Engine`."""
        await self._barrier.update(service, stale, pending)

    async def replace_barrier(
        self, pending: Mapping[str, Collection[str]], ended: Sequence[EndedWrite]
    ) -> None:
        """Hold exactly these reads, after a restart: see :class:`ports.Engine`."""
        await self._barrier.replace(pending, ended)

    # -- guests ----------------------------------------------------------------------------

    def _target(self, service: str) -> Target | None:
        entry = self._edge.maps["targets"].entries.get(names.encode_service(service))
        return None if entry is None else names.target_of(entry)

    async def resend_lost(self, service: str) -> None:
        """Cut connections with a lost read, and make TCP retransmit the other lost requests."""
        target = self._target(service)
        if target is None:
            return
        self._lost.resend(service, target)
        await reads.cut_stuck(self._edge.guests, service, target)

    async def overtaken(self, service: str) -> int:
        """Return the pages with a write in flight to the guest, and a write in the journal."""
        if not self._barrier.holds(service):
            return 0
        pages = await self._edge.unanswered_writes()
        return sum(self._barrier.holds(service, page) for page in pages)

    async def holding(self, service: str) -> int:
        """Return the requests without a response that are held or were held."""
        return await self._edge.open_requests(names.encode_service(service))

    async def counts(self, service: str) -> EdgeCounts:
        """Return the counters since the service last left ``pass``."""
        for ring in self._rings:
            ring.pause(0)
        await asyncio.sleep(2 * PAUSE_POLL)  # the rings handle the records of the pause
        holding = await self.holding(service)
        return dataclasses.replace(self._counters.get(service), holding_now=holding)

    def read_counts(self, service: str) -> ReadCounts:
        """Return what each rule of the policy did since the service last left ``pass``."""
        return self._counters.read_counts(service)

    def accesses(self) -> AsyncIterator[AccessRecord]:
        """Return the access log from now on."""
        return self._access_log.subscribe()
