"""The metrics of a whole agent: a scrape shows the users and the writes of a handover."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from nova_cachemig.metrics.declared import AGENT
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent_client import AgentClient
from tests.functional.drain.rig import INSTANCE, WholeAgent, until
from tests.functional.ports import free_port
from tests.functional.probe.paused import PausedGuest

REQUEST = "req-metrics"


class MetricsTest(PausedGuest):
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
        self.agent = WholeAgent(self, self.target.address)
        self.port = free_port()
        self.agent.agent_options = ("[metrics]", f"listen = {self.port}")

    def scrape(self) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as got:
            text = got.read().decode()
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for one in text_string_to_metric_families(text)
            for sample in one.samples
        }

    def listens(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.scrape())
        return False

    def value(self, name: str) -> float:
        return self.scrape()[name]

    def notify(self, hook: AgentClient, kind: EventKind) -> None:
        hook.guest_event({}, GuestEvent(INSTANCE, kind, time.time(), "host-b", REQUEST))

    def request(self, method: str) -> None:
        url = f"{self.agent.front}/items/1"
        asked = urllib.request.Request(url, data=b"x" if method == "POST" else None, method=method)
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked, timeout=30).read()

    def test_a_handover_is_in_the_metrics(self) -> None:
        hook = self.agent.start()
        until(self.listens, "the metrics are served")
        found = self.scrape()
        for metric in AGENT:
            self.assertTrue(any(name.startswith(metric.name) for name in found), metric.name)
        self.assertEqual((1.0, 0.0), (found["nova_cachemig_agent_responds"],
                                      found["nova_cachemig_handovers shielded"]))  # fmt: skip
        until(lambda: self.value("nova_cachemig_services reachable") == 1, "the guest is reached")
        until(lambda: self.value("nova_cachemig_bus_listening") == 1, "the agent listens")
        hook.begin({}, INSTANCE, REQUEST, "host-a", "host-b", time.time())
        until(lambda: hook.wait_warm({}, INSTANCE, REQUEST, 2.0).ready, "the cache is warm")
        self.pause()
        self.notify(hook, EventKind.PAUSED)
        until(lambda: self.value("nova_cachemig_handovers shielded") == 1, "shielded")
        with concurrent.futures.ThreadPoolExecutor() as users:
            users.submit(self.request, "POST")
            users.submit(self.request, "GET")
            waiting = "nova_cachemig_journal_writes waiting"
            until(lambda: self.value(waiting) == 1, "the write waits")
            self.resume()
            self.notify(hook, EventKind.RESUMED)
            self.notify(hook, EventKind.COMPLETED)
        until(lambda: self.value("nova_cachemig_handovers_ended_total completed") == 1, "the end")
        found = self.scrape()
        for name in ("accepted", "responded"):
            self.assertEqual(1.0, found[f"nova_cachemig_writes_total {name}"])
        self.assertEqual(1.0, found["nova_cachemig_write_wait_seconds_count"])
        self.assertGreaterEqual(found["nova_cachemig_held_requests_total"], 1)
        self.assertGreater(found["nova_cachemig_held_seconds_sum"], 0)
        self.assertGreater(found["nova_cachemig_journal_commits_total"], 0)
        self.assertEqual(0.0, found["nova_cachemig_fail_opens_total agent_away"])
        self.assertEqual(0.0, found["nova_cachemig_engine_restarts_total haproxy"])
