"""Real live migrations: two libvirt daemons with QEMU, a watcher for each, a real RabbitMQ.

QEMU runs without KVM. The guests have no disk and no operating system, so that a migration takes
a fraction of a second.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import unittest
from unittest import mock

import libvirt

from nova_cachemig.compute import watcher
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc import agent as contract
from tests.functional.compute.libvirtd import Libvirtd
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

LIMIT = 30.0
SLOW = 1  # MiB/s: the copy never ends while the guest writes
FAST = 1000
LIVE = libvirt.VIR_MIGRATE_LIVE | libvirt.VIR_MIGRATE_PEER2PEER


class _Awaited(logging.Handler):
    """Sets ``seen`` when a message has been logged this number of times."""

    def __init__(self, text: str, times: int) -> None:
        super().__init__()
        self._text = text
        self._missing = times
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self._missing -= self._text in record.getMessage()
        if self._missing <= 0:
            self.seen.set()


class Migration:
    """One call of libvirt, in its own thread and on its own connection."""

    def __init__(
        self, instance: str, source: Libvirtd, to: Libvirtd, bandwidth: int, flags: int = 0
    ) -> None:
        self.error: libvirt.libvirtError | None = None
        self._connection = source.open()
        self._guest = self._connection.lookupByUUIDString(instance)
        self._to = to.uri(read_only=False)
        self._params = {
            libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{to.home}/data",
            libvirt.VIR_MIGRATE_PARAM_BANDWIDTH: bandwidth,
        }
        self._flags = LIVE | flags
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._guest.migrateToURI3(self._to, self._params, self._flags)
        except libvirt.libvirtError as exc:
            self.error = exc

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()


class LiveMigration(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        libvirt.registerErrorHandler(lambda context, error: None, None)  # the default prints
        for name in ("nova_cachemig.rpc.faults", "nova_cachemig.compute"):
            cls.enterClassContext(mock.patch.object(logging.getLogger(name), "propagate", False))
        broker, cls.endpoint = Broker(), RecordingEndpoint()
        cls.addClassCleanup(broker.close)
        broker.start()
        server = contract.server(
            new_conf(), cls.endpoint, host="cache1", topic="topic", transport_url=broker.url
        )
        server.start()
        cls.addClassCleanup(server.stop)
        assert server.wait_listening(LIMIT)
        cls.source, cls.destination = Libvirtd("source", "qemu"), Libvirtd("destination", "qemu")
        for daemon in (cls.source, cls.destination):
            cls.addClassCleanup(daemon.close)
            daemon.start()
        cls._watch(broker, cls.source, cls.destination)

    @classmethod
    def _watch(cls, broker: Broker, *daemons: Libvirtd) -> None:
        listening = _Awaited("listening to libvirt", len(daemons))
        logger = logging.getLogger("nova_cachemig.compute")
        logger.addHandler(listening)
        cls.addClassCleanup(logger.removeHandler, listening)
        cls.enterClassContext(mock.patch.object(logger, "level", logging.INFO))
        cls.enterClassContext(mock.patch.object(watcher, "_LOGGING_LIMIT", 0.0))
        for daemon in daemons:
            settings = watcher.WatchSettings(
                daemon.host, daemon.uri(read_only=True), "topic", broker.url
            )
            watched = watcher.Watcher(settings, [])
            cls.addClassCleanup(watched.stop)
            watched.start()
        assert listening.seen.wait(LIMIT)

    def setUp(self) -> None:
        self.guest = self.source.start_guest(self._testMethodName)
        self.instance = self.guest.UUIDString()
        self.addCleanup(self._destroy)

    def _destroy(self) -> None:
        for daemon in (self.source, self.destination):
            with contextlib.suppress(libvirt.libvirtError):  # it is on one of them
                daemon.connect().lookupByUUIDString(self.instance).destroy()

    def migrate(
        self, bandwidth: int, destination: Libvirtd | None = None, flags: int = 0
    ) -> Migration:
        """Start to migrate this test's guest at this bandwidth, in MiB/s."""
        to = destination or self.destination
        return Migration(self.instance, self.source, to, bandwidth, flags)

    def events(self) -> list[GuestEvent]:
        """Return the events of this test's guest that the agent has received."""
        return [
            call[1]
            for call in list(self.endpoint.received)
            if call[0] == "guest_event" and call[1].instance == self.instance
        ]

    def summaries(self) -> list[tuple[str | None, EventKind, str]]:
        """Return host, kind and detail of all events so far: the source's, then the others'.

        In the order of their times. But each host has its own watcher. Under load, the later
        event of one can be seen before the earlier event of the other.
        """
        found = sorted(self.events(), key=lambda event: (event.host != "source", event.at))
        return [(event.host, event.kind, event.detail) for event in found]

    def expect(self, *wanted: tuple[str, EventKind, str]) -> None:
        """Wait for this number of events and compare."""
        self.endpoint.await_that(lambda: len(self.summaries()) >= len(wanted), LIMIT)
        self.assertEqual(list(wanted), self.summaries())

    def await_copy(self) -> None:
        """Return when the source copies memory."""
        deadline = time.monotonic() + LIMIT
        while self.guest.jobStats().get("memory_iteration", 0) < 1:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)  # libvirt sends its event to the watcher only

    def test_a_pre_copy(self) -> None:
        migration = self.migrate(FAST)
        migration.join()
        self.assertIsNone(migration.error)
        self.expect(
            ("source", EventKind.PAUSED, "suspended_migrated"),
            ("destination", EventKind.RESUMED, "resumed_migrated"),
        )
        self.assertTrue(self.destination.connect().lookupByUUIDString(self.instance).isActive())

    def test_a_post_copy(self) -> None:
        migration = self.migrate(SLOW, flags=libvirt.VIR_MIGRATE_POSTCOPY)
        self.await_copy()
        self.guest.migrateStartPostCopy(0)
        migration.join()
        self.assertIsNone(migration.error)
        paused = [
            ("source", EventKind.PAUSED, "suspended_migrated"),
            ("source", EventKind.PAUSED, "suspended_postcopy"),
        ]
        resumed = ("destination", EventKind.RESUMED, "resumed_migrated")
        # Missing if the rest of the memory arrived before libvirt checked. On a busy machine it is
        # the last one.
        running = ("destination", EventKind.RESUMED, "resumed_postcopy")
        self.endpoint.await_that(lambda: {*paused, resumed} <= set(self.summaries()), LIMIT)
        first, second, *others = self.summaries()
        # Two threads of libvirt report the pause.
        self.assertEqual(paused, sorted([first, second], key=lambda one: one[2]))
        self.assertIn(others, ([running, resumed], [resumed, running], [resumed]))

    def test_a_forced_completion(self) -> None:
        migration = self.migrate(SLOW)
        self.await_copy()
        self.guest.suspend()
        migration.join()
        self.assertIsNone(migration.error)
        self.expect(
            ("source", EventKind.PAUSED, "suspended_migrated"),
            ("destination", EventKind.RESUMED, "resumed_migrated"),
        )

    def test_a_switchover_that_fails(self) -> None:
        destination = Libvirtd("frozen", driver="qemu")
        self.addCleanup(destination.close)
        destination.start()
        migration = self.migrate(SLOW, destination)
        self.await_copy()
        destination.freeze()
        self.guest.migrateSetMaxSpeed(FAST)
        self.expect(("source", EventKind.PAUSED, "suspended_migrated"))
        destination.stop()
        migration.join()
        self.assertIsNotNone(migration.error)
        self.expect(
            ("source", EventKind.PAUSED, "suspended_migrated"),
            ("source", EventKind.SWITCHOVER_FAILED, "resumed"),
        )

    def test_a_migration_that_is_aborted_pauses_nothing(self) -> None:
        migration = self.migrate(SLOW)
        self.await_copy()
        self.guest.abortJob()
        migration.join()
        self.assertIsNotNone(migration.error)
        self.assertEqual(libvirt.VIR_DOMAIN_RUNNING, self.guest.state()[0])
        self.assertEqual([], self.events())


if __name__ == "__main__":
    unittest.main()
