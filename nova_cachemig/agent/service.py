"""Assembles the agent's components, and starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.endpoint import Endpoint, ReviewEndpoint
from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.agent.freshness import Freshness
from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.journal.review import Review
from nova_cachemig.agent.manager.components import Components, Guests, Timeouts
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.metrics import AgentNumbers
from nova_cachemig.agent.monitor import ReachMonitor
from nova_cachemig.agent.noop import NoWarmer
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError, LearningWarmer
from nova_cachemig.agent.probe import TcpProber
from nova_cachemig.agent.services import stored
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.registry import ServiceRegistry
from nova_cachemig.agent.warm.warmer import CacheWarmer, hotset_limits
from nova_cachemig.agent.writes import Writes, intake_socket
from nova_cachemig.conf.engine import limits_of
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from nova_cachemig.popularity.hotset import HotSet
from nova_cachemig.popularity.sampling import RequestSamples
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc.ownership import TopicOwner
from nova_cachemig.rpc.server import RpcServer
from nova_cachemig.systemd import Notifier

LOG = log.getLogger(__name__)

_STATUS_EVERY = 2.0  # seconds between two looks at what systemd is to show
_FIRST_TRIES = 2.5  # seconds for which the start waits for the first try of each guest
_LEARN_POLL = 0.1  # seconds between two checks whether users still wait


class Agent:
    """Everything that runs on the cache node, in one event loop."""

    def __init__(self, conf: cfg.ConfigOpts, systemd: Notifier) -> None:
        self._conf = conf
        self._systemd = systemd
        self._nova = NovaApi(conf)
        self._engine = HaproxyVarnish(conf, intake_socket=intake_socket(conf))
        self._warmer: LearningWarmer = _warmer(conf, self._engine.cache_socket)
        self._samples = RequestSamples()
        self._engine.on_write = self._warmer.invalidated  # writes that pass by the journal
        self._writes = Writes(
            conf,
            edge=Freshness(self._engine, self._warmer),
            route_of=self._route_of,
            in_handover=self._in_handover,
        )
        self._store = JournalHandoverStore(self._writes.journal)
        bounds = Timeouts(
            warm=conf.agent.warm_time,
            ask_nova_after=conf.agent.ask_nova_after,
            deadline=conf.agent.handover_deadline,
        )
        prober = TcpProber(conf)
        registry = self._registry = ServiceRegistry(
            Path(conf.agent.services_dir),
            self._nova,
            self._apply,
            AddressBook(Path(conf.agent.state_dir) / "addresses.json"),
            conf.agent.address_interval,
            limits_of(conf),
            Path(conf.agent.state_dir) / stored.NAME,
        )
        components = Components(
            self._engine,
            self._writes,
            self._warmer,
            prober,
            self._store,
            self._nova,
            bounds,
            Guests(self._route_of, registry.confirm, registry.reach.assume_reached),
        )
        self._monitor = ReachMonitor(registry.routes, prober, registry.reach)
        self._manager = HandoverManager(
            components, registry.protected_routes, registry.why_unprotected, self._instance_of
        )
        registry.watcher = self._manager
        self._unreachable = 0
        self._numbers = AgentNumbers(
            self._manager, self._engine, self._writes, registry, lambda: self._unreachable
        )

    def _route_of(self, service: str) -> Route | None:
        return self._registry.route(service)

    def _in_handover(self) -> frozenset[str]:
        return self._manager.migrating().union(self._engine.services_in_handover())

    def _instance_of(self, service: str) -> str | None:
        route = self._registry.route(service)
        return None if route is None else route.service.instance

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set. Raises ComponentError if the start fails.

        The files come first, then the socket for writes, and last the guests and Nova, which may
        not respond. The edge holds writes until the socket is there.
        """
        await self._writes.open_journal()
        try:
            await self._engine.start()
        except ComponentError:
            await self._writes.stop()
            raise
        try:
            await self._registry.load()
            await self._accept_writes()
            await self._recover()
            server = self._server()
            server.start()
            gc.collect()
            gc.freeze()  # a full collection would stop the event loop for tens of milliseconds
            async with asyncio.TaskGroup() as tasks:
                work = [
                    tasks.create_task(self._learn()),
                    tasks.create_task(self._registry.watch(self._conf.agent.reload_interval)),
                    tasks.create_task(self._monitor.watch(self._conf.agent.reload_interval)),
                    tasks.create_task(self._report(server)),
                    tasks.create_task(self._serve_metrics(server)),
                ]
                self._systemd.ready()
                LOG.info("the agent serves %d services", len(self._registry.routes()))
                await _first_of(stop, self._writes.journal.lost)
                self._systemd.stopping()
                for task in work:
                    task.cancel()
            await asyncio.to_thread(server.stop)
        finally:
            await self._manager.stop()
            # The engines keep serving users; the next agent adopts them.
            await self._engine.detach()
            self._warmer.close()
            await self._writes.stop()
        if self._writes.journal.lost.is_set():
            raise ComponentError("another agent has taken over the journal's database")

    async def _accept_writes(self) -> None:
        """Listen once the services are open whose writes the edge may send from now on."""
        names = {name for record in await self._store.unfinished() for name in record.services}
        names |= set(await self._writes.unfinished()) | set(self._engine.services_in_handover())
        for route in self._registry.routes():
            if route.service.name in names:
                await self._writes.open(route.service)
        await self._writes.listen()

    async def _recover(self) -> None:
        """Continue the handovers. A service in a handover that has ended returns to ``pass``."""
        names = {name for record in await self._store.unfinished() for name in record.services}
        names |= set(await self._writes.unfinished())  # they came through the guest's handover
        routes = self._registry.routes()
        self._registry.reach.assume_reached(r for r in routes if r.service.name in names)
        await self._manager.recover()
        for name in set(self._engine.services_in_handover()) - self._manager.migrating():
            LOG.warning("service %s: its handover has ended, but the edge had not left it", name)
            await self._engine.set_state(name, EdgeState.PASS)
        with contextlib.suppress(TimeoutError):  # the others are tried later
            async with asyncio.timeout(_FIRST_TRIES):
                await self._monitor.check()

    def _server(self) -> RpcServer:
        loop = asyncio.get_running_loop()
        host, registry = self._conf.agent.host, self._registry
        endpoint = Endpoint(loop, self._manager, self._store, host, registry, self._samples)
        journal = self._writes.journal
        served = self._conf.agent.serve_journal
        review = None if served == "none" else Review(journal.engine, journal.spool)
        host, topic = self._conf.agent.host, self._conf.agent.topic
        server = contract.server(
            self._conf,
            endpoint,
            host=host,
            topic=topic,
            review=ReviewEndpoint(loop, review, content=served == "content"),
            ownership=TopicOwner(self._conf, topic, host),
        )
        endpoint.server = server
        return server

    async def _apply(self, routes: tuple[Route, ...]) -> dict[str, str]:
        self._warmer.set_services(route.service for route in routes)
        refused = await self._engine.apply(routes)
        self._monitor.wake()
        return refused

    async def _report(self, server: RpcServer) -> None:
        """Report the state to systemd, whose watchdog notices when this loop hangs."""
        interval = min(_STATUS_EVERY, self._systemd.watchdog_interval or _STATUS_EVERY)
        while True:
            self._systemd.alive()
            bus = (
                "listening" if server.listening else f"not listening: {server.why_not or 'not yet'}"
            )
            services, handovers = len(self._registry.routes()), len(self._manager.live())
            unreachable = self._unreachable = len(self._registry.unreachable())
            of_these = f" ({unreachable} unreachable)" if unreachable else ""
            self._systemd.status(f"{services} services{of_these}, {handovers} handovers; {bus}")
            await asyncio.sleep(interval)

    async def _serve_metrics(self, server: RpcServer) -> None:
        """Serve the metrics until cancelled, if the operator wants them."""
        address = self._conf.metrics.listen
        if address is None:
            return
        listener = self._numbers.listener(address, asyncio.get_running_loop(), server)
        listener.start()
        try:
            await self._numbers.lag.watch()
        finally:
            listener.stop()

    async def _learn(self) -> None:
        async for record in self._engine.accesses():
            # Waiting users need the processor more. The queue keeps the records meanwhile.
            while self._manager.users_wait():  # noqa: ASYNC110  the end of a phase sets no event
                await asyncio.sleep(_LEARN_POLL)
            self._warmer.record_access(record)
            self._samples.record(record)
            await asyncio.sleep(0)  # many records must not block the event loop


def _warmer(conf: cfg.ConfigOpts, cache_socket: str) -> LearningWarmer:
    if conf.warm.driver == "none":
        return NoWarmer()
    hotset = HotSet(hotset_limits(conf))
    return CacheWarmer(conf, hotset, cache_socket, warm_headers, stale_max=conf.engine.stale_max)


async def _first_of(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
