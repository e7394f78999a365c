"""``nova-cachemig-status upgrade check`` finds what earlier versions leave on a real RabbitMQ."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import amqp

from tests.functional.rpc.broker import Broker

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = "import sys; from nova_cachemig.cmd.start import status; sys.exit(status())"


class UpgradeTest(unittest.TestCase):
    def setUp(self) -> None:
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        self.broker.start()
        here = tempfile.TemporaryDirectory()
        self.addCleanup(here.cleanup)
        self.file = Path(here.name, "agent.conf")
        self.file.write_text(
            f"[DEFAULT]\ntransport_url = {self.broker.url}\n[agent]\nstate_dir = {here.name}\n"
        )

    def check(self) -> tuple[int, dict[str, int]]:
        """The exit code, and the result of each check."""
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
        done = subprocess.run(
            [*command, "--config-file", str(self.file), "upgrade", "check", "--json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual("", done.stderr)
        found = json.loads(done.stdout)["checks"]
        return done.returncode, {check["check"]: check["result"] for check in found}

    def test_what_an_earlier_version_leaves(self) -> None:
        code, results = self.check()
        self.assertEqual((0, {0}), (code, set(results.values())), results)
        connection = amqp.Connection(f"127.0.0.1:{self.broker.port}")
        connection.connect()
        self.addCleanup(connection.collect)
        channel = connection.channel()
        channel.exchange_declare("nova-cachemig", "topic", durable=False, auto_delete=False)
        code, results = self.check()
        self.assertEqual((1, 1), (code, results["Exchange of earlier versions"]))
        channel.queue_declare("nova-cachemig-agent", durable=False, auto_delete=False)
        code, results = self.check()
        self.assertEqual((2, 2), (code, results["Flags of exchanges and queues"]))
        channel.queue_delete("nova-cachemig-agent")
        channel.exchange_delete("nova-cachemig")
        self.assertEqual(0, self.check()[0])
        self.broker.stop()
        code, results = self.check()
        self.assertEqual((1, 1), (code, results["Flags of exchanges and queues"]))


if __name__ == "__main__":
    unittest.main()
