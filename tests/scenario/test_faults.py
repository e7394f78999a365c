"""A part of nova-cachemig dies: Nova still migrates, and no accepted write is lost."""

import re

from tests.scenario.harness import Scenario

_RESENT = r"Found \d+ writes without a response; (\d+) of them may have been sent"
"""What the journal logs at its start."""


class FaultTest(Scenario):
    def restore(self, service, host):
        self.addCleanup(self.cloud.run, "start", service, host, quiet=True)

    def test_the_agent_is_stopped_before(self):
        self.preset("1s")
        self.restore("agent", "cache")
        self.cloud.run("stop", "agent", "cache", quiet=True)
        before = self.status()["host"]
        load = self.load()
        self.migrate()
        figures = self.end(load)
        self.assertNotEqual(before, self.status()["host"])
        self.assert_nothing_lost(figures)

    def test_the_agent_is_killed_while_the_guest_is_silent(self):
        self.preset("5s")
        before = self.status()["host"]
        load = self.load()
        wait = self.migrate_meanwhile()
        self.agent.wait(r": shielded: ")
        self.restore("agent", "cache")
        self.cloud.run("kill", "agent", "cache", quiet=True)
        self.cloud.run("start", "agent", "cache", quiet=True)
        wait()
        self.assertEqual("completed", self.handover()["outcome"])
        figures = self.end(load)
        self.assertNotEqual(before, self.status()["host"])
        for name in ("writes_lost", "stale_reads_after_write"):
            self.assertEqual(0, figures[name], name)
        # The next agent sends again what was in flight when the first one died, but only idempotent
        # writes. The guest may have applied these.
        resent = [int(number) for number in re.findall(_RESENT, self.agent.text())]
        self.assertLessEqual(figures["writes_doubled"], sum(resent))
        doubled = [one for one in figures["findings"] if re.match(r"doubled: \D", one)]
        self.assertEqual([], [one for one in doubled if one.split()[1] not in ("PUT", "DELETE")])

    def test_the_bus_is_stopped_during_memory_copy(self):
        """The agent gets no event of the pause and detects the silence of the guest."""
        self.preset("1s")
        load = self.load()
        wait = self.migrate_meanwhile()
        self.agent.wait(r": armed: ")
        self.restore("rabbitmq", "control")
        self.cloud.run("stop", "rabbitmq", "control", quiet=True)
        self.agent.wait(r": shielded: ")
        self.agent.wait(r": replaying: ")
        self.cloud.run("start", "rabbitmq", "control", quiet=True)
        wait()
        figures = self.end(load)
        self.assert_nothing_lost(figures)
        self.handover()

    def test_haproxy_and_varnish_are_killed_during_memory_copy(self):
        self.preset("1s")
        load = self.load()
        wait = self.migrate_meanwhile()
        self.agent.wait(r": armed: ")
        self.kill(self.engine_pid("varnishd"))
        self.kill(self.engine_pid("haproxy"))
        wait()
        self.assertEqual("completed", self.handover()["outcome"])
        figures = self.end(load)
        # Open connections of HAProxy died with it. Accepted writes did not.
        for name in ("writes_lost", "writes_doubled", "stale_reads_after_write"):
            self.assertEqual(0, figures[name], name)
