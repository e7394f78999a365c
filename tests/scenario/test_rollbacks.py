"""Migrations that fail: the guest stays where it was, and users lose nothing."""

import json
import pathlib
import time

from tests.scenario.harness import GUEST, STATE, Scenario


class RollbackTest(Scenario):
    def qemu_pid(self, host, name):
        """The pid of the guest's process on ``host``, from libvirt's file: the copy is short."""
        file = STATE / host / "fs/run/libvirt/qemu" / f"{name}.pid"
        for _ in range(1000):  # Nova announces the copy before libvirt starts the process
            if file.exists() and (pid := file.read_text().strip()):
                command = pathlib.Path(f"/proc/{pid}/cmdline")
                if command.exists() and b"qemu" in command.read_bytes().split(b"\0")[0]:
                    return int(pid)
            time.sleep(0.01)
        raise AssertionError(f"libvirt started no QEMU for {file} within 10 s")

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
        self.agent.wait(r": shielded: ")
        self.kill(pid)
        wait()
        figures = self.end(load)
        self.assertEqual(host, self.status()["host"])
        self.assertEqual("rolled_back", self.handover()["outcome"])
        self.assert_nothing_lost(figures)
