"""The whole agent: the components that the configuration chooses, and a start that fails."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent import service
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.noop import NoWarmer
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.warm.warmer import CacheWarmer
from nova_cachemig.conf import setup
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Route, Service, Target
from nova_cachemig.systemd import Notifier

CONFIG = """
[agent]
state_dir = {root}/state
services_dir = {root}/services.d
[engine]
runtime_dir = {root}/run
varnishd = /nonexistent/varnishd
[warm]
driver = {driver}
"""


class AgentTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "state").mkdir()
        (self.root / "services.d").mkdir()

    def conf(self, driver: str = "cache") -> cfg.ConfigOpts:
        path = self.root / "agent.conf"
        path.write_text(CONFIG.format(root=self.root, driver=driver))
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(path)])
        return conf

    def test_the_warmer_is_chosen_by_its_driver(self) -> None:
        for driver, expected in (("cache", CacheWarmer), ("none", NoWarmer)):
            with self.subTest(driver):
                warmer = service._warmer(self.conf(driver), "/cache.sock")
                self.assertIsInstance(warmer, expected)
                warmer.close()

    async def test_an_engine_that_cannot_start_leaves_no_journal_open(self) -> None:
        conf = self.conf()
        with self.assertRaisesRegex(ComponentError, "varnishd"):
            await service.Agent(conf, Notifier({})).run(asyncio.Event())
        journal = Journal(conf)
        await journal.open()  # no other journal has locked its directory
        await journal.close()
        self.assertFalse((self.root / "state" / "intake.sock").exists())

    async def test_a_guest_in_an_unfinished_handover_counts_as_reached(self) -> None:
        agent = service.Agent(self.conf(), Notifier({}))
        routes = tuple(
            Route(Service(name, name, 80, ("192.0.2.1", port)), Target(f"10.0.0.{port}", 80))
            for port, name in enumerate(("paused", "dark"), 1)
        )
        record = HandoverRecord(
            HandoverId("paused", "req-1"), ("paused",), "a", "b", Phase.SHIELDED, 1.0
        )
        protected: list[tuple[Route, ...]] = []

        silent = mock.AsyncMock(return_value=Attempt(Reach.SILENT))

        async def recover() -> None:
            silent.assert_not_awaited()  # the handovers do not wait for thousands of guests
            registry = agent._registry
            protected.extend(registry.protected_routes(name) for name in ("paused", "dark"))

        with (
            mock.patch.object(agent._registry, "routes", lambda: routes),
            mock.patch.object(
                agent._registry,
                "routes_for",
                lambda name: tuple(r for r in routes if r.service.name == name),
            ),
            mock.patch.object(agent._store, "unfinished", mock.AsyncMock(return_value=[record])),
            mock.patch.object(agent._writes, "unfinished", mock.AsyncMock(return_value={})),
            mock.patch.object(agent._manager, "recover", recover),
            mock.patch.object(agent._monitor, "_routes", lambda: routes),
            mock.patch.object(agent._monitor._tester, "try_guest", silent),
            self.assertLogs("nova_cachemig.agent.monitor", "WARNING"),
        ):
            await agent._recover()
        self.assertEqual([routes[:1], ()], protected)
        silent.assert_awaited_once_with(routes[1].target, timeout=2.0)
