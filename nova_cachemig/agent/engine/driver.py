"""The engine as the manager sees it: HAProxy at the edge, Varnish while a guest migrates."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import names, render, sockdiag
from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.cache import Cache
from nova_cachemig.agent.engine.counters import LOOK_EVERY, AccessLog, RingReader, ServiceCounters
from nova_cachemig.agent.engine.edge import Edge
from nova_cachemig.agent.ports import ComponentError, EdgeCounts
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target

LOG = log.getLogger(__name__)

MOST_EPOCHS = 5000
"""Pages written to in the handovers that are on. HAProxy searches them one by one to change one."""

REST = 0.3
"""Seconds after the guest's return in which the edge's log waits."""

OPEN = "open"
"""The state that HAProxy itself gives a service whose write it had to send without the agent."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """What the maps and binds should be."""

    binds: frozenset[str]
    routes: dict[str, str]
    targets: dict[str, str]
    cookies: dict[str, str]


def _plan(routes: Sequence[Route]) -> _Plan:
    """Raises ComponentError, in which case nothing was changed."""
    keys: dict[str, str] = {}
    targets: dict[str, str] = {}
    cookies: dict[str, str] = {}
    twice = [n for n, c in Counter(route.service.name for route in routes).items() if c > 1]
    if twice:
        raise ComponentError(f"service {twice[0]} is there twice")
    for route in routes:
        service = route.service
        word = names.of_service(service.name)
        for key in names.of_routes(service):
            if key in keys:
                other = names.to_service(keys[key])
                raise ComponentError(f"services {other} and {service.name} both claim {key}")
            keys[key] = word
        if route.target is not None:
            targets[word] = names.of_target(route.target)
        if service.client_cookie is not None:
            cookies[word] = _cookie(service.name, service.client_cookie)
    shared = {key.partition("|")[0] for key in keys if "|" in key}
    for key in shared & keys.keys():
        raise ComponentError(
            f"service {names.to_service(keys[key])} has no host names but shares {key} with others"
        )
    binds = frozenset(names.of_listen(route.service.listen) for route in routes)
    return _Plan(binds, keys, targets, cookies)


def _cookie(service: str, cookie: str) -> str:
    if not cookie or not all(c.isalnum() or c in "_.~%-" for c in cookie):
        raise ComponentError(f"service {service}: {cookie!r:.80} is not a cookie's name")
    return cookie


class HaproxyVarnish:
    """Implements :class:`nova_cachemig.agent.ports.Engine`."""

    def __init__(self, conf: cfg.ConfigOpts, *, intake_socket: str) -> None:
        self._conf = conf
        self._paths = render.Paths(Path(conf.engine.runtime_dir))
        self._edge = Edge(conf, self._paths, intake_socket)
        self._cache = Cache(conf, self._paths)
        self._wanted_binds: frozenset[str] = frozenset()
        self._reload_wanted = False
        self._reloads = asyncio.Lock()
        self._pending_lock = asyncio.Lock()
        self._pending: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._counters = ServiceCounters()
        self._accesses = AccessLog()
        admin = self._paths.socket("admin")
        self._rings = (
            RingReader(admin, "access", self._accesses.add, conf.engine.access_rate),
            RingReader(admin, "handover", self._counters.add),
        )
        self.cache_socket = str(self._paths.socket("cache"))
        self.guest_socket = str(self._paths.socket("guest"))

    @property
    def pids(self) -> dict[str, int | None]:
        """Of HAProxy's master and Varnish's manager."""
        return {"haproxy": self._edge.pid, "varnishd": self._cache.pid}

    # -- life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run both, or take over those that an earlier agent left running, with their state."""
        root = self._paths.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            root.chmod(0o700)
        except OSError as exc:
            raise ComponentError(f"[engine] runtime_dir = {root}: {exc.strerror}") from exc
        await self._cache.start()
        try:
            taken_over = await self._edge.start()
        except ComponentError:
            await self._cache.stop()
            raise
        self._wanted_binds = frozenset(self._edge.binds)
        if taken_over:
            for name in self.in_handover():
                self._counters.begin(name)
            if self._edge.stale():
                self._reload_wanted = True
                self._reload_soon()
        for ring in self._rings:
            ring.start()

    async def stop(self) -> None:
        """End both; requests in flight may finish."""
        await self._stop_tasks()
        await self._edge.stop(self._conf.engine.hold_timeout + self._conf.engine.connect_patience)
        await self._cache.stop()

    async def detach(self) -> None:
        """Let both run on: the next agent takes them over."""
        await self._stop_tasks()
        await self._edge.detach()
        await self._cache.detach()

    async def _stop_tasks(self) -> None:
        for ring in self._rings:
            await ring.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- routes ----------------------------------------------------------------------------

    async def apply(self, routes: Sequence[Route]) -> None:
        """Serve just these; all or nothing. See :class:`ports.Engine`."""
        plan = _plan(routes)
        self._edge.check_binds(plan.binds)
        maps = self._edge.maps
        await maps["targets"].become(plan.targets)
        await maps["cookies"].become(plan.cookies)
        await maps["routes"].become(plan.routes)
        self._wanted_binds = plan.binds
        if plan.binds == frozenset(self._edge.binds) and not self._reload_wanted:
            return
        self._reload_wanted = True
        if self.in_handover():
            LOG.warning("new front addresses wait: a service is being handed over")
            return
        await self._reload()

    def in_handover(self) -> list[str]:
        """Services that are not in ``pass``, also those that an earlier agent left so."""
        return [names.to_service(word) for word in self._edge.maps["state"].entries]

    async def _reload(self) -> None:
        async with self._reloads:
            if self._reload_wanted and not self.in_handover():
                self._reload_wanted = False
                try:
                    await self._edge.listen_on(self._wanted_binds)
                except ComponentError:
                    self._reload_wanted = True
                    raise
                for ring in self._rings:
                    await ring.restart()

    def _reload_soon(self) -> None:
        if self._reload_wanted and not self.in_handover():
            task = asyncio.create_task(self._reload_logged(), name="reload")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _reload_logged(self) -> None:
        try:
            await self._reload()
        except ComponentError as exc:
            LOG.error("%s", exc)

    async def retarget(self, service: str, target: Target) -> None:
        """The guest answers at another address from now on."""
        targets = self._edge.maps["targets"]
        await targets.put(names.of_service(service), names.of_target(target))
        targets.write()

    # -- state -----------------------------------------------------------------------------

    def state(self, service: str) -> EdgeState:
        """What the edge does with the service now."""
        entry = self._edge.maps["state"].entries.get(names.of_service(service))
        mode = entry.partition(":")[0] if entry else OPEN
        return EdgeState.PASS if mode == OPEN else EdgeState(mode)

    async def set_state(self, service: str, state: EdgeState) -> None:
        """Flip one service. A handover that begins finds nothing that was stored before it."""
        word = names.of_service(service)
        states = self._edge.maps["state"]
        if state is EdgeState.PASS:
            await states.drop(word)
            await self._forget(service)
            self._reload_soon()
            return
        while self._reloads.locked():  # a reload would lose the flip
            async with self._reloads:
                pass
        if word not in states.entries:
            self._counters.begin(service)
        try:
            # HAProxy may have opened the service itself: then nothing stored is trusted.
            await states.read()
        except AdminError:
            states.entries[word] = f"{state.value}:{names.new_mark()}"  # for when it is back
            raise
        mode, _, generation = states.entries.get(word, "").partition(":")
        if not generation or mode == OPEN:
            generation = names.new_mark()
        await states.put(word, f"{state.value}:{generation}")
        if state is EdgeState.REPLAY:
            # All that waited goes at once; to count it is a third of what the agent has to do.
            for ring in self._rings:
                ring.rest(REST)

    async def _forget(self, service: str) -> None:
        maps = self._edge.maps
        async with self._pending_lock:
            keys = self._pending.pop(service, set())
            if self.in_handover():
                await maps["pending"].drop(*keys, names.of_journal(service))
            else:
                self._pending.clear()
                await maps["pending"].clear()
                await maps["epochs"].clear()

    async def update_barrier(
        self, service: str, stale: Mapping[str, Sequence[str]], pending: Mapping[str, bool]
    ) -> None:
        """Many at once, with few exchanges: see :class:`ports.Engine`."""
        await self._forget_pages(service, stale)
        hashed = {names.of_pending(service, key): on for key, on in pending.items()}
        async with self._pending_lock:
            keys = self._pending.setdefault(service, set())
            keys.update(key for key, on in hashed.items() if on)
            keys.difference_update(key for key, on in hashed.items() if not on)
            if not keys:
                del self._pending[service]
            # While any is on, the edge lets no write overtake the journal.
            edits = {names.of_journal(service): "1" if keys else None}
            edits |= {key: "1" if on else None for key, on in hashed.items()}
            await self._edge.maps["pending"].change(edits)

    async def _forget_pages(self, service: str, stale: Mapping[str, Sequence[str]]) -> None:
        states, epochs = self._edge.maps["state"], self._edge.maps["epochs"]
        pages = {
            names.of_page(service, host, url): names.new_mark()
            for host, urls in stale.items()
            for url in urls
        }
        if len(epochs.entries) + len(pages) > MOST_EPOCHS:
            LOG.warning("many pages were written to: forgetting all that is stored")
            for word, entry in list(states.entries.items()):
                mode = entry.partition(":")[0]
                await states.put(word, f"{mode}:{names.new_mark()}")
            await epochs.clear()
        elif pages:
            await epochs.put_unseen(pages)

    async def invalidate(self, service: str, host: str, urls: Sequence[str]) -> None:
        """Also what is being fetched at this moment is not served afterwards."""
        await self.update_barrier(service, {host: urls}, {})

    async def pending(self, service: str, key: str, on: bool) -> None:
        """Hold reads of a key, or no longer."""
        await self.update_barrier(service, {}, {key: on})

    # -- guests ----------------------------------------------------------------------------

    async def kill_reads(self, service: str) -> None:
        """Cut connections to the guest on which a request was sent again and not acknowledged."""
        entry = self._edge.maps["targets"].entries.get(names.of_service(service))
        if entry is None:
            return
        address, _, port = entry.partition("|")
        found = await asyncio.to_thread(sockdiag.connections, address, int(port))
        stuck = [connection for connection in found if connection.stuck]
        if not stuck:
            return
        # The agent's own writes, and those that went straight, are among them: only reads are cut.
        # A port that is used anew meanwhile cannot be one of a stuck connection.
        reads = await self._edge.fetch_ports()
        cut = [c for c in stuck if c.source_port in reads and sockdiag.destroy(c)]
        LOG.info("service %s: %d stuck reads were cut, to be sent anew", service, len(cut))

    async def writes_in_flight(self, service: str) -> int:
        """Writes that went straight to the guest and have not been answered."""
        return await self._edge.tracked("writes", names.of_service(service))

    async def holding(self, service: str) -> int:
        """Requests that are held, or were and have not been answered."""
        return await self._edge.tracked("holding", names.of_service(service))

    async def counts(self, service: str) -> EdgeCounts:
        """Counters since the service last left ``pass``."""
        for ring in self._rings:
            ring.rest(0)
        await asyncio.sleep(2 * LOOK_EVERY)  # what they have not taken yet counts
        holding = await self.holding(service)
        return dataclasses.replace(self._counters.of(service), holding_now=holding)

    def accesses(self) -> AsyncIterator[AccessRecord]:
        """The access log as it happens."""
        return self._accesses.listen()
