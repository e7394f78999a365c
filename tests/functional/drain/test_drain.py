"""Ten thousand writes wait for a silent guest and are applied while new ones arrive."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.drain.rig import INSTANCE, SERVICE, WholeAgent, until, while_it_goes_on
from tests.functional.probe.paused import PausedGuest
from tools.measurement.command import read_run, write_report

REQUEST = "req-drain"
LEAST = 10_000
RATE = 150  # requests/s, of users who go on
LOAD = (
    *("--rate", str(RATE), "--writes", "0.75", "--item-reads", "0.02", "--items", "500"),
    *("--clients", "600", "--writers", "400", "--source-addresses", "127.1.0.1-127.1.2.88"),
    *("--respond-async", "--surge", "8600", "--surge-rate", "600", "--duration", "900"),
)


class DrainTest(PausedGuest):
    server = """
import asyncio
from tests.functional.tools.fake_guest import FakeGuest
async def main():
    guest = FakeGuest()
    await guest.start("0.0.0.0", 80)
    print("up", flush=True)
    await guest.forever()
asyncio.run(main())
"""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.process.send_signal, signal.SIGCONT)
        self.agent = WholeAgent(self, self.target.address)
        self.here = self.agent.here

    def load(self) -> subprocess.Popen[str]:
        guest = self.agent.guest
        load = self.agent.measure(
            *("load", "--url", self.agent.front, "--protected", "--case", "drain-10k"),
            *("--probe", f"{guest}/health", "--log", f"{guest}/log"),
            *("--out", f"{self.here}/run.json", "--stop-file", f"{self.here}/stop"),
            *("--phases", f"{self.here}/handover.json", "--applied", f"{self.here}/applied.json"),
            *LOAD,
        )
        self.addCleanup(load.communicate)
        self.addCleanup(load.kill)
        return load

    def log_lines(self) -> int:
        with urllib.request.urlopen(f"{self.agent.guest}/log", timeout=10) as response:
            return len(response.read().splitlines())

    def migrate(self, hook: AgentClient) -> int:
        """Silence the guest until enough writes are on disk; return their number."""

        def notify(kind: EventKind) -> None:
            hook.guest_event({}, GuestEvent(INSTANCE, kind, time.time(), "host-b", REQUEST))

        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        self.pause()
        self.process.send_signal(signal.SIGSTOP)
        notify(EventKind.PAUSED)
        depth = self.agent.waiting
        while_it_goes_on(lambda: depth() >= LEAST + 500, depth, "enough writes are on disk")
        waiting = self.agent.waiting()
        self.process.send_signal(signal.SIGCONT)
        self.resume()
        notify(EventKind.RESUMED)
        notify(EventKind.COMPLETED)
        while_it_goes_on(
            lambda: hook.handovers({}, 1)[0].outcome is not None, depth, "the handover ends", 60
        )
        applied, lines = self.log_lines(), self.log_lines
        while_it_goes_on(lambda: lines() > applied + 100, lines, "users write on")
        return waiting

    def end(self, hook: AgentClient, load: subprocess.Popen[str]) -> dict[str, Any]:
        """Stop the load as ``tools/demo`` does; return the result of the report."""
        record = hook.handovers({}, 1)[0].to_wire()
        (self.here / "handover.json").write_text(json.dumps(record))
        words = ("applied", "--config-file", str(self.agent.config), "--service", SERVICE)
        applied, _ = self.agent.measure(*words).communicate(timeout=30)
        (self.here / "applied.json").write_text(applied)
        (self.here / "stop").touch()
        load.wait(60)
        self.assertEqual(0, load.returncode)
        return write_report([read_run(self.here / "run.json")], self.here / "out")

    def test_ten_thousand_writes(self) -> None:
        hook = self.agent.start()
        load = self.load()
        while_it_goes_on(lambda: self.log_lines() > 300, self.log_lines, "users write")
        waiting = self.migrate(hook)
        self.assertEqual("completed", hook.handovers({}, 1)[0].outcome, self.agent.log())
        result = self.end(hook, load)
        figures: dict[str, Any] = result["runs"][0]
        self.assertGreaterEqual(waiting, LEAST)
        self.assertGreaterEqual(figures["depth_max"], waiting)
        self.check_safety(figures)
        self.check_depth(figures)
        page = Path(self.here, "out", "result.html").read_text()
        self.assertRegex(page, r">drained \+\d+\.?\d* s</text>")

    def check_safety(self, figures: dict[str, Any]) -> None:
        """Each write was applied once and in order, from any client, and no read was stale."""
        self.assertEqual((0, {}, []), (figures["failed"], figures["errors"], figures["findings"]))
        for name in ("lost", "doubled", "reordered", "altered"):
            self.assertEqual(0, figures[f"writes_{name}"], name)
        self.assertEqual(0, figures["stale_reads_after_write"])
        self.assertEqual(figures["writes"], figures["writes_acked"])
        self.assertEqual(figures["writes"], self.log_lines())
        self.assertGreater(figures["writes_acked"], LEAST + 1000)
        self.assertGreater(figures["reads_checked"], 0)

    def check_depth(self, figures: dict[str, Any]) -> None:
        """It rises while the guest is silent, falls to nothing while new ones come."""
        self.assertGreater(figures["writes_accepted"], LEAST)
        self.assertEqual(0, figures["writes_accepted_unresolved"])
        self.assertIsNotNone(figures["drained_s"])
        self.assertGreater(figures["writes_during_drain"], 20)
        ((paused, back),) = figures["blackouts"]
        most = max(figures["depth"], key=lambda point: point[1])
        self.assertLess(paused, most[0])
        phases = figures["phases"]
        lag = figures["generator_lag_p99_ms"] / 1000  # a busy machine's
        self.assertLess(most[0], max(back, phases["replaying"]) + 1.0 + lag)
        drained = back + figures["drained_s"]
        after = [depth for at, depth in figures["depth"] if at > drained]
        self.assertLess(max(after), LEAST / 100 + RATE * lag)
        self.assertLess(min(after), 5)
        self.assertLess(paused - 0.5, phases["shielded"])
        self.assertLess(phases["shielded"], phases["replaying"])
        self.assertLess(phases["replaying"], phases["released"])
