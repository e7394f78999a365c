"""Notifications have the form of sd_notify(3), on a real datagram socket; the units are right."""

from __future__ import annotations

import configparser
import os
import socket
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.compute.announce import tap
from nova_cachemig.conf import setup
from nova_cachemig.systemd import Notifier

UNITS = Path(__file__).parents[2] / "etc/systemd"


class NotifierTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = str(Path(directory.name) / "notify")
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.path)
        self.manager.settimeout(5)
        self.addCleanup(self.manager.close)

    def received(self) -> str:
        return self.manager.recv(4096).decode()

    def test_ready_status_and_stopping(self) -> None:
        notifier = Notifier({"NOTIFY_SOCKET": self.path})
        notifier.ready()
        notifier.status("not listening:\n no bus")
        notifier.status("not listening: no bus")  # nothing new: not sent
        notifier.stopping()
        self.assertEqual("READY=1", self.received())
        self.assertEqual("STATUS=not listening: no bus", self.received())
        self.assertEqual("STOPPING=1", self.received())

    def test_an_abstract_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("")  # Linux chooses a name
            name = manager.getsockname()
            Notifier({"NOTIFY_SOCKET": "@" + name[1:].decode()}).ready()
            manager.settimeout(5)
            self.assertEqual(b"READY=1", manager.recv(100))

    def test_the_watchdog_of_this_process_alone(self) -> None:
        mine = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "60000000"}
        notifier = Notifier(dict(mine))
        self.assertEqual(30.0, notifier.watchdog_interval)
        notifier.alive()
        self.assertEqual("WATCHDOG=1", self.received())
        other = Notifier({**mine, "WATCHDOG_PID": str(os.getpid() + 1)})
        self.assertIsNone(other.watchdog_interval)

    def test_child_processes_inherit_nothing(self) -> None:
        environ = {
            "NOTIFY_SOCKET": self.path,
            "WATCHDOG_USEC": "1000000",
            "WATCHDOG_PID": str(os.getpid()),
            "PATH": "/bin",
        }
        Notifier(environ)
        self.assertEqual({"PATH": "/bin"}, environ)

    def test_without_systemd_and_after_its_end_nothing_is_raised(self) -> None:
        self.assertIsNone(Notifier({}).watchdog_interval)
        Notifier({}).ready()
        gone = Notifier({"NOTIFY_SOCKET": self.path + ".gone", "WATCHDOG_USEC": "2000000"})
        gone.ready()
        gone.alive()
        self.assertEqual(1.0, gone.watchdog_interval)


class UnitsTest(unittest.TestCase):
    def test_nova_compute_gets_what_an_early_announcement_needs_and_loses_nothing(self) -> None:
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment]  # as mypy knows it, a method
        unit.read(UNITS / "nova-compute-cachemig.conf")
        needed = " ".join(tap._CAPABILITIES)
        self.assertEqual({"AmbientCapabilities": needed}, dict(unit["Service"]))

    def test_a_failed_daemon_is_restarted_but_not_if_its_configuration_is_wrong(self) -> None:
        for program in ("agent", "forecaster", "api"):
            unit = configparser.ConfigParser(strict=False, interpolation=None)
            unit.read(UNITS / f"nova-cachemig-{program}.service")
            service = unit["Service"]
            self.assertEqual("on-failure", service["Restart"])
            self.assertEqual(str(setup.EXIT_CODE), service["RestartPreventExitStatus"])
