"""Migrations that fail: the guest stays where it was, and users lose nothing."""

import json
import pathlib

from tests.scenario.harness import GUEST, STATE, Scenario


class RollbackTest(Scenario):
    def qemu_pid(self, host, name):
        """The pid of the guest's process on ``host``, from libvirt's file: the copy is short."""
        return int((STATE / host / "fs/run/libvirt/qemu" / f"{name}.pid").read_text())

    def other(self, host):
        hosts = json.loads((STATE / "cloud.json").read_text())["hosts"]
        return next(h for h in hosts if h.startswith("compute") and h != host)

    def test_aborted_during_memory_copy(self):
        self.preset("5s")
        host = self.status()["host"]
        load = self.load()
        wait = self.migrate_meanwhile()
        self.agent.wait(r": armed: ")
        self.cloud.run("abort", GUEST, quiet=True)
        wait()
        self.assertEqual("rolled_back", self.handover()["outcome"])
        figures = self.end(load)
        self.assertEqual(host, self.status()["host"])
        self.assert_nothing_lost(figures)

    def test_the_destination_dies_at_the_switchover(self):
        """The guest is paused, its last pages are being copied, and the other QEMU dies."""
        self.preset("5s")
        host = self.status()["host"]
        other, [name] = self.other(host), self.domains(host)
        load = self.load()
        wait = self.migrate_meanwhile()
        self.agent.wait(r": armed: ")
        pid = self.qemu_pid(other, name)
        self.assertIn(b"qemu", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        self.agent.wait(r": shielded: ")
        self.kill(pid)
        wait()
        figures = self.end(load)
        self.assertEqual(host, self.status()["host"])
        self.assertEqual("rolled_back", self.handover()["outcome"])
        self.assert_nothing_lost(figures)
