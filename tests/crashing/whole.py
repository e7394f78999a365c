"""The agent without the message bus and Nova: write path, engines and handovers of one service."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.freshness import Freshness
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.noop import NoNova, NoWarmer
from nova_cachemig.agent.writes import Writes
from nova_cachemig.conf import engine as engine_conf
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Service, Target
from tests.functional.replay.path import service

LOOPBACK: Final = "127.0.0.1"
_TIMEOUTS: Final = Timeouts(warm=1.0, ask_nova_after=5.0, deadline=600.0)


@dataclasses.dataclass(frozen=True)
class Where:
    """The addresses of a run with an edge."""

    runtime_dir: str
    front: int  # the port for users
    guest: int  # the guest's port for the edge
    journal: int  # the guest's port for the journal

    def route(self, *, honours_keys: bool) -> Route:
        """The route of the only service."""
        facts = service(honours_keys=honours_keys)
        facts = dataclasses.replace(facts, listen=(LOOPBACK, self.front))
        return Route(facts, Target(LOOPBACK, self.guest))


def engine_for(conf: cfg.ConfigOpts, where: Where, intake_socket: str) -> HaproxyVarnish:
    """Return the driver of HAProxy and Varnish."""
    engine_conf.register(conf)
    Path(where.runtime_dir).mkdir(exist_ok=True)
    for name, value in {
        "runtime_dir": where.runtime_dir, "cache_size": "64m", "max_clients": 500
    }.items():  # fmt: skip
        conf.set_override(name, value, "engine")
    return HaproxyVarnish(conf, intake_socket=intake_socket)


class JournalPort(Writes):
    """A write path that uses another port of the guest than the edge does."""

    port: int

    async def send_to(self, service: str, target: Target) -> None:
        """Send to the journal's port."""
        await super().send_to(service, dataclasses.replace(target, port=self.port))


class Probe:
    """A prober that gets the pauses from the run: on the loopback, nothing is ever silent."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.running.set()
        self.paused = asyncio.Event()

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        """Return once the guest runs."""
        await self.running.wait()

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        """Return a few intervals after a pause."""
        await self.paused.wait()
        await asyncio.sleep(3 * interval)

    def expect(self, target: Target) -> None:
        """Do nothing: nothing is probed."""


class Whole:
    """Everything of the agent that a user's request meets."""

    def __init__(
        self, conf: cfg.ConfigOpts, where: Where, failpoints: Failpoints, *, honours_keys: bool
    ) -> None:
        self._engine = engine_for(conf, where, conf.journal.intake_socket)
        self.writes = JournalPort(conf, Freshness(self._engine, NoWarmer()), failpoints)
        self.writes.port = where.journal
        self._route = where.route(honours_keys=honours_keys)
        self._store = JournalHandoverStore(self.writes.journal)
        self._probe = Probe()
        components = Components(
            self._engine, self.writes, NoWarmer(), self._probe, self._store, NoNova(), _TIMEOUTS
        )
        self._manager = HandoverManager(
            components, lambda _instance: (self._route,), instance_of=lambda _name: self.instance
        )

    @property
    def service(self) -> Service:
        """The only service."""
        return self._route.service

    @property
    def instance(self) -> str:
        """Its instance."""
        return self.service.instance

    async def start(self) -> None:
        """Start as ``agent.service.Agent`` does, behind ``writes.open_journal``."""
        await self._engine.start()
        await self._engine.apply([self._route])
        names = {name for record in await self._store.unfinished() for name in record.services}
        names |= set(await self.writes.unfinished()) | set(self._engine.services_in_handover())
        if names:
            await self.writes.open(self.service)
        await self.writes.listen()
        await self._manager.recover()
        for name in set(self._engine.services_in_handover()) - self._manager.migrating():
            await self._engine.set_state(name, EdgeState.PASS)

    async def stop(self) -> None:
        """Stop as ``agent.service.Agent`` does. The engines serve on."""
        await self._manager.stop()
        await self._engine.detach()
        await self.writes.stop()

    async def do(self, command: str, rest: list[str]) -> None:
        """Do what the hook, the hypervisor or Nova would cause."""
        if command == "begin":
            handover = HandoverId(self.instance, rest[0])
            await self._manager.begin(handover, "source", "destination", time.time())
            await self._manager.wait_warm(handover, 1.0)
        elif command == "pause":
            self._probe.running.clear()
            self._probe.paused.set()
            if "silent" not in rest:
                await self._event(EventKind.PAUSED)
        elif command == "resume":
            self._probe.paused.clear()
            self._probe.running.set()
            await self._event(EventKind(rest[0]))
        elif command == "complete":
            await self._event(EventKind.COMPLETED)
        elif command == "idle":
            while self._manager.migrating():  # noqa: ASYNC110  the end of a handover sets no event
                await asyncio.sleep(0.01)
        else:
            raise ValueError(command)

    async def _event(self, kind: EventKind) -> None:
        await self._manager.guest_event(GuestEvent(self.instance, kind, time.time()))
