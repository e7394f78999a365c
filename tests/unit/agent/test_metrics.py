"""The agent's numbers: each declared metric has one, and 20,000 services cost no more than one."""

from __future__ import annotations

import asyncio
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent import service
from nova_cachemig.agent.engine.totals import EdgeTotals
from nova_cachemig.agent.journal.totals import WriteTotals
from nova_cachemig.agent.metrics import AgentNumbers
from nova_cachemig.conf import setup
from nova_cachemig.metrics.declared import AGENT, BUILD
from nova_cachemig.metrics.families import family
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.rpc.server import RpcServer
from nova_cachemig.systemd import Notifier

SERVER = cast(
    RpcServer, SimpleNamespace(listening=True, faults=SimpleNamespace(counts=lambda: {"x": 2}))
)


def numbers(services: int = 3) -> AgentNumbers:
    routes = tuple(range(services))
    parts: Any = {
        "manager": SimpleNamespace(
            live=lambda: [
                HandoverRecord(HandoverId(str(n), "r"), (), None, None, phase, 0.0)
                for n, phase in enumerate((Phase.ARMED, Phase.ARMED, Phase.SHIELDED))
            ],
            ended={"completed": 4, "unknown": 1},
            fail_opens={"unreached": 1, "journal": 0},
        ),
        "engine": SimpleNamespace(totals=EdgeTotals(), restarts={"haproxy": 1, "varnishd": 0}),
        "writes": SimpleNamespace(
            queued=lambda: SimpleNamespace(waiting=5, waiting_bytes=50, in_flight=1),
            refused=2,
            journal=SimpleNamespace(
                totals=WriteTotals(accepted=9, refused=1),
                writer=SimpleNamespace(counts=SimpleNamespace(commits=7, commit_time=0.5)),
            ),
        ),
        "registry": SimpleNamespace(routes=lambda: routes, file_errors=["bad"]),
    }
    return AgentNumbers(**parts, unreachable=lambda: 1)


class AgentNumbersTest(unittest.TestCase):
    def test_each_declared_metric_has_its_values(self) -> None:
        values = numbers().take(SERVER)
        self.assertEqual({metric.name for metric in AGENT} - {BUILD.name}, set(values))
        for metric in AGENT:
            if metric is not BUILD:
                self.assertTrue(family(metric, values[metric.name]).samples, metric.name)
        expected = {
            "nova_cachemig_services": {"reachable": 2.0, "unreachable": 1.0},
            "nova_cachemig_bus_faults_total": 2.0,
            "nova_cachemig_journal_writes": {"waiting": 5.0, "in_flight": 1.0},
        }
        self.assertEqual(expected, {name: values[name] for name in expected})
        phases = values["nova_cachemig_handovers"]
        assert isinstance(phases, dict)
        self.assertEqual((2.0, 1.0, 0.0), (phases["armed"], phases["shielded"], phases["idle"]))
        writes = values["nova_cachemig_writes_total"]
        assert isinstance(writes, dict)
        self.assertEqual((9.0, 3.0), (writes["accepted"], writes["refused"]))

    def test_many_services_make_no_longer_exposition(self) -> None:
        def samples(services: int) -> int:
            values = numbers(services).take(SERVER)
            return sum(
                len(family(metric, values[metric.name]).samples)
                for metric in AGENT
                if metric is not BUILD
            )

        began = time.thread_time()
        many = samples(20_000)
        self.assertLess(time.thread_time() - began, 0.1)
        self.assertEqual(samples(1), many)


class AgentTest(unittest.IsolatedAsyncioTestCase):
    """The real components have what the numbers are made of."""

    async def test_nothing_listens_unless_it_is_set(self) -> None:
        agent = self.agent("")
        async with asyncio.timeout(5):
            await agent._serve_metrics(SERVER)
        self.assertEqual(0.0, agent._numbers.lag.lags.copy().total)

    async def test_a_real_agent_is_scraped(self) -> None:
        agent = self.agent("[metrics]\nlisten = 0\n")
        await agent._writes.open_journal()
        self.addAsyncCleanup(agent._writes.stop)
        values = agent._numbers.take(SERVER)
        self.assertEqual({metric.name for metric in AGENT} - {BUILD.name}, set(values))
        with mock.patch.object(agent._numbers, "listener") as made:
            serving = asyncio.create_task(agent._serve_metrics(SERVER))
            await asyncio.sleep(0)
            self.assertEqual("127.0.0.1:0", str(made.call_args.args[0]))
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        made.return_value.start.assert_called_once_with()
        made.return_value.stop.assert_called_once_with()

    def agent(self, options: str) -> service.Agent:
        root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (root / "state").mkdir()
        path = root / "agent.conf"
        path.write_text(
            f"[agent]\nstate_dir = {root}/state\nservices_dir = {root}/services.d\n"
            f"[engine]\nruntime_dir = {root}/run\n{options}"
        )
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(path)])
        return service.Agent(conf, Notifier({}))
