"""``engine status|stop`` without engines to ask: the texts, the confirmation, the refusal."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.engine.offline import EngineStatus
from nova_cachemig.agent.journal.lock import DirectoryLock
from nova_cachemig.agent.offline import OfflineAgent
from nova_cachemig.cmd.manage.app import ManageApp
from nova_cachemig.cmd.manage.engine import Stop
from tests.unit.cmd.manage.case import ManageCase

RUNNING = [
    EngineStatus("haproxy", 41, "2.6.12", 7, ("shop", "till")),
    EngineStatus("varnishd", 42),
]


class EngineTest(ManageCase):
    def setUp(self) -> None:
        super().setUp()
        text = self.config.read_text() + f"[engine]\nruntime_dir = {self.root}/run\n"
        self.config.write_text(text)
        (self.root / "run").mkdir()

    def running(self) -> None:
        patch = mock.patch.object(OfflineAgent, "engines", return_value=RUNNING)
        patch.start()
        self.addCleanup(patch.stop)

    def haproxy(self) -> subprocess.Popen[bytes]:
        """Start a process that stands for HAProxy."""
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        text = json.dumps({"pid": child.pid, "begun": int(fields[19])})
        (self.root / "run" / "haproxy.pid").write_text(text)
        return child

    def test_status_of_engines_that_do_not_run(self) -> None:
        code, out, err = self.manage("engine", "status", "-f", "json")
        self.assertEqual((3, ""), (code, err))
        shown = json.loads(out)
        self.assertEqual(["haproxy", "varnishd"], [row["name"] for row in shown])
        self.assertEqual({("not running", "")}, {(row["state"], row["pid"]) for row in shown})

    def test_status_if_one_engine_runs(self) -> None:
        self.haproxy()
        code, out, _ = self.manage("engine", "status", "-f", "value", "-c", "state")
        self.assertEqual((3, ["running", "not running"]), (code, out.splitlines()))

    def test_status_of_running_engines(self) -> None:
        self.running()
        edge, cache = json.loads(self.succeeds("engine", "status", "-f", "json"))
        self.assertEqual(["haproxy", "running", 41, "2.6.12", 7, "shop, till"], list(edge.values()))
        self.assertEqual(("running", 42, ""), (cache["state"], cache["pid"], cache["connections"]))

    def test_nothing_to_stop(self) -> None:
        self.assertIn("neither", self.succeeds("engine", "stop"))

    def test_without_confirmation_nothing_stops(self) -> None:
        child = self.haproxy()
        self.running()
        code, out, err = self.manage("engine", "stop")
        self.assertEqual(1, code)
        self.assertIn("clients connected now: 7", out)
        self.assertIn("in a handover now: shop, till", out)
        self.assertIn("use --yes", err)
        self.assertIsNone(child.poll())

    def test_stop(self) -> None:
        child = self.haproxy()
        out = self.succeeds("engine", "stop", "--yes", "--patience", "0")
        self.assertIn("stopped: haproxy", out)
        self.assertIsNotNone(child.wait(5))

    def test_a_running_agent_must_be_stopped_first(self) -> None:
        child = self.haproxy()
        lock = DirectoryLock(self.root / "state")
        lock.take()
        self.addCleanup(lock.release)
        self.assertIn("stop it first", self.fails("engine", "stop", "--yes"))
        self.assertIsNone(child.poll())

    def test_it_is_a_command_of_the_program(self) -> None:
        found, _, _ = ManageApp().command_manager.find_command(["engine", "stop"])
        self.assertIs(Stop, found)
