"""The process that watches guests, between a real libvirt daemon and a real RabbitMQ.

libvirt's test driver cannot migrate, but it is fast: it serves many pauses in a short time. Here
each ordinary suspend counts as a switchover. Real migrations are in :mod:`.test_migration`.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import libvirt

from nova_cachemig.compute import libvirt_watch, watcher
from nova_cachemig.compute.tracker import Lifecycle, Suspended, Tracker
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.faults import Faults
from tests.functional.compute.libvirtd import Libvirtd
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

LIMIT = 20.0


class AllPausesAreSwitchovers(Tracker):
    """Takes each suspend of libvirt's test driver for a switchover."""

    def lifecycle(self, instance: str, event: int, detail: int, at: float) -> GuestEvent | None:
        if event == Lifecycle.SUSPENDED:
            detail = Suspended.MIGRATED
        return super().lifecycle(instance, event, detail, at)


class Watching(unittest.TestCase):
    """The watch in this process, with libvirt's own event loop."""

    def setUp(self) -> None:
        libvirt.registerErrorHandler(lambda context, error: None, None)  # the default prints
        for name in ("nova_cachemig.rpc.faults", "nova_cachemig.compute.libvirt_watch"):
            logger = logging.getLogger(name)
            self.enterContext(mock.patch.object(logger, "disabled", True))
        self.libvirtd = Libvirtd()
        self.addCleanup(self.libvirtd.close)
        self.libvirtd.start()
        self.enterContext(mock.patch.object(libvirt_watch, "Tracker", AllPausesAreSwitchovers))
        self.events: list[GuestEvent] = []
        self.changed = threading.Condition()
        self.faults = Faults()
        self.over = threading.Event()

    def receive(self, event: GuestEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def await_kinds(self, *kinds: EventKind) -> None:
        with self.changed:
            self.changed.wait_for(lambda: len(self.events) >= len(kinds), LIMIT)
            self.assertEqual(list(kinds), [event.kind for event in self.events])

    def watch(self) -> None:
        uri = self.libvirtd.uri(read_only=True)
        watch = libvirt_watch.LibvirtWatch(
            libvirt, uri, "host-a", self.receive, lambda: None, self.faults
        )
        thread = threading.Thread(target=watch.run, args=(self.over.is_set,))
        thread.start()
        self.addCleanup(thread.join, LIMIT)
        self.addCleanup(self.over.set)
        self._await_connected(watch)

    def _await_connected(self, watch: libvirt_watch.LibvirtWatch) -> None:
        deadline = time.monotonic() + LIMIT
        while watch._connection is None or watch._lost:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_it_outlives_a_libvirtd_and_finds_out_what_it_missed(self) -> None:
        self.watch()
        self.libvirtd.domain().suspend()
        self.await_kinds(EventKind.PAUSED)
        self.libvirtd.stop()
        deadline = time.monotonic() + LIMIT
        while "cannot listen to libvirt" not in self.faults.counts():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.libvirtd.start()  # its domain runs
        self.await_kinds(EventKind.PAUSED, EventKind.SWITCHOVER_FAILED)
        self.libvirtd.domain().suspend()
        with self.changed:
            self.assertTrue(self.changed.wait_for(lambda: len(self.events) == 3, LIMIT))


PROCESS = """
import sys
from nova_cachemig.compute import libvirt_watch, watch_process
from tests.functional.compute.test_watch import AllPausesAreSwitchovers
libvirt_watch.Tracker = AllPausesAreSwitchovers
sys.exit(watch_process.main())
"""


class EndToEnd(unittest.TestCase):
    def test_from_a_pause_to_the_agent_in_milliseconds(self) -> None:
        from nova_cachemig.rpc import agent as contract

        broker, libvirtd, endpoint = Broker(), Libvirtd(), RecordingEndpoint()
        self.addCleanup(broker.close)
        self.addCleanup(libvirtd.close)
        broker.start()
        libvirtd.start()
        server = contract.server(
            new_conf(), endpoint, host="cache1", topic="end-to-end", transport_url=broker.url
        )
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(LIMIT))
        settings = watcher.WatchSettings(
            "host-a", libvirtd.uri(read_only=True), "end-to-end", broker.url
        )
        with mock.patch.object(watcher, "_LOGGING_LIMIT", 0.0):
            watched = watcher.Watcher(settings, [], command=[sys.executable, "-c", PROCESS])
            watched.start()
        self.addCleanup(watched.stop)
        # A ping opens its connection to the agent; then it connects to libvirt.
        self.assertTrue(endpoint.await_that(lambda: ("ping",) in endpoint.received, LIMIT))
        domain = libvirtd.domain()
        took = [self._pause(domain, endpoint) for _ in range(100)]
        self.assertLess(statistics.median(took), 0.02)
        self.assertLess(statistics.quantiles(took, n=10)[-1], 0.1)

    def _pause(self, domain: object, endpoint: RecordingEndpoint) -> float:
        before = len(endpoint.received)
        began = time.monotonic()
        deadline = began + LIMIT
        domain.suspend()  # type: ignore[attr-defined]
        while not endpoint.await_that(lambda: len(endpoint.received) > before, 0.5):
            self.assertLess(time.monotonic(), deadline)
            domain.resume()  # type: ignore[attr-defined]  # the watch was not listening yet
            began = time.monotonic()
            domain.suspend()  # type: ignore[attr-defined]
        took = time.monotonic() - began
        domain.resume()  # type: ignore[attr-defined]
        self.assertTrue(endpoint.await_that(lambda: len(endpoint.received) > before + 1, LIMIT))
        kinds = [call[1].kind for call in endpoint.received[-2:]]
        self.assertEqual([EventKind.PAUSED, EventKind.SWITCHOVER_FAILED], kinds)
        return took


# Eventlet patches a process for good, so this runs in a separate one.
EVENTLET = """
import eventlet
eventlet.monkey_patch()
import json, sys, threading, time, logging
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
listening = threading.Event()
def see(record):
    if "listening to libvirt" in record.getMessage():
        listening.set()
    return True
logging.getLogger().handlers[0].addFilter(see)
from nova_cachemig.compute import watcher
settings = watcher.WatchSettings(**json.loads(sys.argv[1]))
watched = watcher.Watcher(settings, [])
watched.start()
ticks = 0
while ticks < 1000 and not (ticks >= 100 and listening.is_set()):
    time.sleep(0.02)  # the pipe of the process must not block the hub
    ticks += 1
print("TICKS", ticks, flush=True)
watched.stop()
print("STATUS", watched.process.wait(), flush=True)
"""


class UnderEventlet(unittest.TestCase):
    def test_neither_blocks_the_other(self) -> None:
        libvirtd = Libvirtd()
        self.addCleanup(libvirtd.close)
        libvirtd.start()
        settings = {
            "host": "host-a",
            "uri": libvirtd.uri(read_only=True),
            "topic": "topic",
            "transport_url": "fake://",
        }
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", EVENTLET, json.dumps(settings)],
            cwd=Path(__file__).parents[3],
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertLess(time.monotonic() - began, 30)
        self.assertIn("TICKS", done.stdout, done.stderr)
        self.assertIn("listening to libvirt", done.stdout, done.stderr)
        self.assertIn("STATUS 0", done.stdout, done.stderr)


if __name__ == "__main__":
    unittest.main()
