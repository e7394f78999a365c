import json
import logging
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from oslo_config import cfg

from nova_cachemig.compute import watcher
from nova_cachemig.compute.watch_process import NO_LIBVIRT
from nova_cachemig.conf import announce
from nova_cachemig.conf import compute as options

LOGGER = "nova_cachemig.compute.watcher"
SETTINGS = watcher.WatchSettings("host-a", "test:///default", "topic", "fake://")
ECHO = """
import sys, json
received = sys.stdin.readline()
name = "nova_cachemig.compute.watcher.child"
line = {"level": 20, "logger": name, "message": "received " + received.strip()}
print(json.dumps(line), flush=True)
print("not JSON", flush=True)
sys.stdin.read()
"""


def nova_conf(prog: str = "nova-compute", driver: str = "libvirt.LibvirtDriver") -> Any:
    conf = cfg.ConfigOpts()
    conf([], prog=prog, default_config_files=[], default_config_dirs=[])
    conf.register_opts(
        [
            cfg.StrOpt("compute_driver", default=driver),
            cfg.StrOpt("host", default="host-a"),
            cfg.StrOpt("transport_url", default="rabbit://nova/"),
        ]
    )
    libvirt = [cfg.StrOpt("connection_uri", default=""), cfg.StrOpt("virt_type", default="kvm")]
    conf.register_opts(libvirt, group="libvirt")
    options.register(conf)
    announce.register(conf)
    return conf


class Starting(unittest.TestCase):
    def setUp(self) -> None:
        self.made: list[Any] = []
        patches = (
            mock.patch.object(watcher, "_started", None),
            mock.patch.object(watcher, "Watcher", side_effect=self._make),
        )
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def _make(self, settings: Any, arguments: Any, ready: Any) -> mock.Mock:
        self.made.append(settings)
        return mock.Mock()

    def test_one_a_process_however_many_drivers_there_are(self) -> None:
        conf = nova_conf()
        conf.set_override("enabled", True, group="cachemig_announce")
        self.assertTrue(watcher.start_once(conf, lambda: None))
        self.assertFalse(watcher.start_once(conf, lambda: None))
        [settings] = self.made
        self.assertEqual(
            watcher.WatchSettings(
                "host-a",
                "qemu:///system",
                "nova-cachemig-agent",
                "rabbit://nova/",
                "nova-cachemig-announce",
            ),
            settings,
        )

    def test_only_in_nova_compute(self) -> None:
        for prog in ("nova-api", "nova-conductor", "nova-scheduler", "uwsgi"):
            self.assertFalse(watcher.start_once(nova_conf(prog), lambda: None))
        self.assertEqual([], self.made)

    def test_not_for_another_hypervisor_nor_when_it_is_not_wanted(self) -> None:
        for change in ({"driver": "ironic.IronicDriver"}, {"wanted": False}):
            with self.subTest(change), mock.patch.object(watcher, "_started", None):
                conf = nova_conf(driver=change.get("driver", "libvirt.LibvirtDriver"))
                conf.set_override("watch_guests", change.get("wanted", True), group="cachemig")
                # It is started for its thread says that the driver is loaded, and for no more.
                self.assertTrue(watcher.start_once(conf, lambda: None))
                self.assertIsNone(self.made[-1])

    def test_what_nova_conf_says_of_libvirt_and_of_the_bus_is_taken(self) -> None:
        conf = nova_conf()
        conf.set_override("connection_uri", "qemu+unix:///session", group="libvirt")
        conf.set_override("transport_url", "rabbit://ours/", group="cachemig")
        watcher.start_once(conf, lambda: None)
        self.assertEqual("qemu+unix:///session", self.made[0].uri)
        self.assertEqual("rabbit://ours/", self.made[0].transport_url)

    def test_guests_are_not_announced_unless_that_is_switched_on(self) -> None:
        conf = nova_conf()
        self.assertIsNone(watcher._settings(conf).announce_topic)

    def test_without_a_uri_it_is_the_one_that_nova_itself_uses(self) -> None:
        for kind, uri in (
            ("kvm", "qemu:///system"),
            ("qemu", "qemu:///system"),
            ("lxc", "lxc:///"),
            ("parallels", "parallels:///system"),
        ):
            with self.subTest(kind):
                conf = nova_conf()
                conf.set_override("virt_type", kind, group="libvirt")
                self.assertEqual(uri, watcher._settings(conf).uri)

    def test_the_files_that_nova_read_are_read_there(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            conf = cfg.ConfigOpts()
            conf(["--config-file", file.name], default_config_dirs=[])
            self.assertEqual(["--config-file", file.name], watcher._config_arguments(conf))


class Logging(unittest.TestCase):
    def test_handlers_are_not_enough(self) -> None:
        root = logging.getLogger()
        level = root.level
        self.addCleanup(root.setLevel, level)
        for handlers, now, works in (
            ([], logging.INFO, False),
            ([logging.NullHandler()], logging.WARNING, False),
            ([logging.NullHandler()], logging.INFO, True),
        ):
            root.setLevel(now)
            with mock.patch.object(root, "handlers", handlers):
                self.assertEqual(works, watcher.logging_works())


class Running(unittest.TestCase):
    def setUp(self) -> None:
        patch = mock.patch.object(watcher, "_LOGGING_LIMIT", 0.0)
        patch.start()
        self.addCleanup(patch.stop)

    def watcher(self, command: list[str], **options: Any) -> watcher.Watcher:
        made = watcher.Watcher(SETTINGS, [], command=command, **options)
        self.addCleanup(made.stop)
        return made

    def test_it_receives_its_settings_and_its_output_is_logged(self) -> None:
        ready = threading.Event()
        lines: list[logging.LogRecord] = []
        second = threading.Event()

        def keep(record: logging.LogRecord) -> bool:
            lines.append(record)
            if "not JSON" in record.getMessage():
                second.set()
            return True

        with self.assertLogs(LOGGER, "INFO") as logged:
            logging.getLogger(LOGGER).addFilter(keep)
            self.addCleanup(logging.getLogger(LOGGER).removeFilter, keep)
            made = self.watcher([sys.executable, "-c", ECHO], ready=ready.set)
            made.start()
            self.assertTrue(second.wait(20))
            self.assertTrue(ready.is_set())
            process = made.process
            made.stop()
        text = "\n".join(logged.output)
        said = next(line for line in logged.output if "received {" in line)
        settings = json.loads(said.partition("received ")[2])
        self.assertEqual("host-a", settings["host"])
        self.assertIn("INFO:nova_cachemig.compute.watcher.child:received ", text)
        self.assertIn("WARNING:nova_cachemig.compute.watcher:cachemig: the process", text)
        assert process is not None
        self.assertEqual(0, process.wait(10))  # it ended with its standard input

    def test_it_is_started_again_when_it_ends(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            count = Path(directory, "count")
            code = f"open({str(count)!r}, 'a').write('x')"
            with mock.patch.object(watcher, "_BACKOFF", (0.0,)):
                made = self.watcher([sys.executable, "-c", code])
                made.start()
                deadline = time.monotonic() + 20
                while not (count.exists() and len(count.read_text()) >= 2):
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.02)  # it is another process's file: nothing to wait on
                made.stop()
        self.assertGreaterEqual(made._faults.counts()["the process that watches guests ended"], 1)

    def test_without_libvirt_it_is_not_started_again(self) -> None:
        made = self.watcher([sys.executable, "-c", f"raise SystemExit({NO_LIBVIRT})"])
        made.start()
        assert made._thread is not None
        made._thread.join(20)
        self.assertFalse(made._thread.is_alive())
        self.assertEqual({}, made._faults.counts())

    def test_a_program_that_is_not_there_is_a_fault_and_no_more(self) -> None:
        made = self.watcher(["/no/such/program"])
        self.assertIn("No such file", str(made._run_process("{}")))
