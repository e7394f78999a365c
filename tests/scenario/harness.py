"""A real migration on the two-host cloud under load, disturbed by the test.

All tests of a run share one cloud and one guest, because starting them takes minutes. A test
repairs what it broke, so the tests can run in any order.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from tools.measurement.analysis.outcome import Run
from tools.measurement.analysis.result import result
from tools.measurement.cloud import ROOT, STATE, Cloud, CloudError

GUEST = "scenario"
USERS = "10.78.0.0/22"
RATE = 100
WARM_UP = 8.0
AFTER = 3.0
LONGEST = 300.0
PATIENCE = 120.0
VIRSH = ("virsh", "-q", "-c", "qemu:///system")


class AgentLog:
    """The agent's log from now on."""

    def __init__(self):
        self._path = STATE / "log" / "cache.agent.log"
        self._from = self._path.stat().st_size

    def text(self):
        with self._path.open("rb") as file:
            file.seek(self._from)
            return file.read().decode("utf-8", "replace")

    def wait(self, pattern, seconds=PATIENCE):
        """Return when a line matches. The time matters, so the file is read often."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if re.search(pattern, self.text()):
                return
            time.sleep(0.02)
        raise AssertionError(f"the agent never logged {pattern!r}, but:\n{self.text()[-3000:]}")


class Load:
    """Users of the front address, from the client's host, until :meth:`finish`."""

    def __init__(self, cloud, front, guest, folder):
        self._stop = folder / "stop"
        self._out = folder / "run.json"
        words = ["--url", f"http://{front}", "--protected", "--case", "scenario"]
        words += ["--probe", f"http://{guest}/health", "--log", f"http://{guest}/log"]
        words += ["--rate", str(RATE), "--duration", str(LONGEST), "--clients", "300"]
        words += ["--source-addresses", USERS]
        words += ["--out", str(self._out), "--stop-file", str(self._stop)]
        program = [cloud.python, str(ROOT / "tools" / "measure"), "load", *words]
        self._process = subprocess.Popen(
            cloud.command("exec", "client", "--", *program),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self):
        """Figures of the run, by the names of result.json."""
        self._stop.touch()
        said, _ = self._process.communicate(timeout=PATIENCE)
        if self._process.returncode:
            raise AssertionError(f"the load ended with {self._process.returncode}: {said[-2000:]}")
        run = Run.from_wire(json.loads(self._out.read_text()))
        return result([run], generated_at="", environment={})["runs"][0]

    def kill(self):
        """End the load if the test failed before."""
        if self._process.poll() is None:
            self._stop.touch()
            self._process.terminate()
            self._process.communicate(timeout=PATIENCE)


class Scenario(unittest.TestCase):
    """``self.guest`` runs behind ``self.front``."""

    cloud = None

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise RuntimeError("a cloud needs root")
        if Scenario.cloud is None:
            Scenario.cloud = Cloud()
            Scenario.cloud.up("--shared")
            cls._boot()

    @classmethod
    def _boot(cls):
        cloud = Scenario.cloud
        try:
            status = json.loads(cloud.run("status", GUEST, quiet=True))
            # Nova's record outlives a stop of the cloud, the guest does not.
            alive = cls._in_place(status) and cls._responds(status["address"])
        except (CloudError, ValueError, KeyError):
            alive = False
        if not alive:
            cls._destroy_all()
            cloud.run("delete", "--all", quiet=True)
            cloud.run("boot", GUEST, quiet=True)
            status = json.loads(cloud.run("status", GUEST, quiet=True))
        Scenario.uuid, Scenario.guest = status["id"], status["address"]
        Scenario.front = json.loads((STATE / "cloud.json").read_text())["front_addresses"][1]
        cloud.on("client", "ip", "route", "replace", "local", USERS, "dev", "lo")
        cloud.on("cache", "ip", "route", "replace", USERS, "via", cloud.address("client"))
        listed = json.loads(cloud.manage("service", "list", "-f", "json") or "[]")
        for service in listed:
            cloud.manage("service", "remove", service["name"])
        listen = f"{Scenario.front}:80"
        words = ("--instance", Scenario.uuid, "--port", "80", "--listen", listen)
        cloud.manage("service", "add", GUEST, *words)

    @classmethod
    def _in_place(cls, status):
        """Whether the guest runs on the host that Nova names.

        If RabbitMQ stops during a migration, Nova loses its call to the conductor. It then calls
        the migration failed, although the guest runs at the destination.
        """
        return status["status"] == "ACTIVE" and bool(cls.domains(status["host"]))

    @classmethod
    def domains(cls, host):
        return cls.cloud.on(host, *VIRSH, "list", "--name").split()

    @classmethod
    def _destroy_all(cls):
        for host in json.loads((STATE / "cloud.json").read_text())["hosts"]:
            if host.startswith("compute"):
                for name in cls.domains(host):
                    cls.cloud.on(host, *VIRSH, "destroy", name)

    def setUp(self):
        if not self._in_place(self.status()):
            self._boot()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.agent = AgentLog()
        self._wait_front()

    @classmethod
    def _responds(cls, address):
        """Whether the client can reach a web service there."""
        ask = (
            "import sys, urllib.request as u\n"
            f"sys.exit(u.urlopen('http://{address}/health', timeout=2).status != 200)"
        )
        try:
            cls.cloud.on("client", cls.cloud.python, "-c", ask)
        except CloudError:
            return False
        return True

    def _wait_front(self):
        for _ in range(30):
            if self._responds(self.front):
                return
            time.sleep(1)
        self.fail(f"the front address {self.front} does not respond")

    # -- what a test does ---------------------------------------------------------------------

    def preset(self, name):
        self.cloud.run("preset", name, GUEST, quiet=True)

    def load(self):
        load = Load(self.cloud, self.front, self.guest, self.folder)
        self.addCleanup(load.kill)
        time.sleep(WARM_UP)
        return load

    def migrate(self, *options):
        """Migrate the guest and wait for the end; return the report of tools/cloud."""
        printed = self.cloud.run("migrate", GUEST, *options, quiet=True)
        return json.loads(printed.strip().splitlines()[-1])

    def migrate_meanwhile(self, *options):
        """Start a migration; the returned function waits for its end."""
        outcome = {}

        def work():
            try:
                outcome["report"] = self.migrate(*options)
            except CloudError as exc:
                outcome["error"] = exc

        thread = threading.Thread(target=work)
        thread.start()

        def wait():
            thread.join(PATIENCE * 2)
            self.assertFalse(thread.is_alive(), "the migration does not end")
            return outcome

        return wait

    def status(self):
        return json.loads(self.cloud.run("status", GUEST, quiet=True))

    def handover(self):
        """The newest handover, when it has an outcome."""
        for _ in range(60):
            words = ("handover", "show", self.uuid, "-f", "json")
            shown = json.loads(self.cloud.manage(*words))
            if shown["outcome"]:
                return shown
            time.sleep(1)
        raise AssertionError(f"the handover has no outcome: {shown}")

    def end(self, load):
        time.sleep(AFTER)
        figures = load.finish()
        printed = {
            name: value for name, value in figures.items() if name != "depth"
        }  # a long series
        print(json.dumps({"test": self.id(), "figures": printed}), file=sys.stderr)
        return figures

    def engine_pid(self, name):
        """The pid of HAProxy or Varnish, from its pid file."""
        config = json.loads((STATE / "cloud.json").read_text())["agent"]["config"]
        content = (pathlib.Path(config).parent / "run" / f"{name}.pid").read_text()
        return int(json.loads(content)["pid"])

    @staticmethod
    def kill(pid):
        os.kill(pid, signal.SIGKILL)

    # -- what users must see ------------------------------------------------------------------

    def assert_nothing_lost(self, figures):
        """No request failed; each write was applied once, in order; no read is stale."""
        self.assertGreater(figures["writes_acked"], 50)
        wrong = {
            name: figures[name]
            for name in (
                "failed",
                "writes_lost",
                "writes_doubled",
                "writes_reordered",
                "stale_reads_after_write",
            )
            if figures[name] != 0
        }
        self.assertEqual({}, wrong)
