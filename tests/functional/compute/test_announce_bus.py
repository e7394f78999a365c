"""The news of a pause, over a real RabbitMQ: from one host's event to the other host's frames.

The taps are not real here; :mod:`.test_announcing` has them.
"""

from __future__ import annotations

import logging
import statistics
import threading
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from nova_cachemig.compute.announce.announcer import REPEAT, Announcer
from nova_cachemig.compute.announce.frames import Nic
from nova_cachemig.compute.tracker import Lifecycle, Resumed, Started, Suspended
from nova_cachemig.rpc import announce as contract
from nova_cachemig.rpc.faults import Faults
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import new_conf

LIMIT = 20.0
GUESTS = 20
XML = """<domain><devices><interface type='ethernet'>
<mac address='fa:16:3e:0a:0b:0c'/><target dev='tap0'/></interface></devices></domain>"""


class Domain:
    """A domain as libvirt passes it with an event."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid

    def UUIDString(self) -> str:
        """Return the UUID."""
        return self._uuid

    def XMLDesc(self, flags: int) -> str:
        """Return the description."""
        return XML


class Host:
    """A compute host, with the times at which it sends."""

    def __init__(self, name: str, url: str) -> None:
        self.faults = Faults()
        self.changed = threading.Condition()
        self.opened = 0
        self.sent: list[float] = []
        self.client = contract.AnnounceClient(new_conf(), "announce", name, url, self.faults)
        self.announcer = Announcer(self.client.paused, self._open, self.faults)
        self.server = contract.server(
            new_conf(), "announce", name, url, self.announcer.heard, self._malformed, self.faults
        )

    def _malformed(self, why: str) -> None:
        self.faults.note("malformed", why)

    def _open(self, nic: Nic) -> Any:
        port = mock.Mock(tap=nic.tap)
        port.send.side_effect = self._send
        with self.changed:
            self.opened += 1
            self.changed.notify_all()
        return port

    def _send(self) -> int:
        with self.changed:
            self.sent.append(time.perf_counter())
            self.changed.notify_all()
        return 1

    def start(self) -> None:
        """Listen, and open the connection of the sender."""
        self.server.start()
        assert self.server.wait_listening(LIMIT)
        assert self.client.warm_up().delivered(LIMIT)

    def happens(self, guest: str, event: int, detail: int) -> None:
        """Let libvirt report an event."""
        self.announcer.lifecycle(Domain(guest), event, detail, time.time())

    def close(self) -> None:
        """End it."""
        self.announcer.close()
        self.client.close()
        self.server.stop()


class BusTest(unittest.TestCase):
    def setUp(self) -> None:
        for name in ("nova_cachemig.rpc.faults", "nova_cachemig.compute.announce.announcer"):
            self.enterContext(mock.patch.object(logging.getLogger(name), "disabled", True))
        broker = Broker()
        self.addCleanup(broker.close)
        broker.start()
        self.hosts = [Host(name, broker.url) for name in ("source", "destination", "other")]
        for host in self.hosts:
            self.addCleanup(host.close)
            host.start()

    def test_from_a_pause_to_the_frames_in_milliseconds(self) -> None:
        source, destination, other = self.hosts
        took = [self._migrate(f"uuid-{n}", source, destination) for n in range(GUESTS)]
        self.assertLess(statistics.median(took), 0.02)
        self.assertLess(statistics.quantiles(took, n=10)[-1], 0.1)
        self.assertEqual([[], []], [source.sent, other.sent])
        self.assertEqual([{}] * 3, [host.faults.counts() for host in self.hosts])

    def _migrate(self, guest: str, source: Host, destination: Host) -> float:
        opened, sent = destination.opened, len(destination.sent)
        destination.happens(guest, Lifecycle.STARTED, Started.MIGRATED)
        self.await_that(destination, lambda: destination.opened > opened)
        started = time.perf_counter()
        source.happens(guest, Lifecycle.SUSPENDED, Suspended.MIGRATED)
        self.await_that(destination, lambda: len(destination.sent) > sent)
        first = destination.sent[sent]
        destination.happens(guest, Lifecycle.STOPPED, 3)  # no repetition disturbs the next guest
        source.happens(guest, Lifecycle.STOPPED, 3)
        return first - started

    def test_a_rollback_is_announced_by_the_source(self) -> None:
        source, destination, _ = self.hosts
        destination.happens("uuid-1", Lifecycle.STARTED, Started.MIGRATED)
        source.happens("uuid-1", Lifecycle.SUSPENDED, Suspended.MIGRATED)
        self.await_that(source, lambda: source.opened == 1)
        self.await_that(destination, lambda: bool(destination.sent))
        destination.happens("uuid-1", Lifecycle.STOPPED, 3)
        source.happens("uuid-1", Lifecycle.RESUMED, Resumed.MIGRATED)
        self.await_that(source, lambda: len(source.sent) == 1 + len(REPEAT))
        self.assertLessEqual(len(destination.sent), 1 + len(REPEAT))

    def await_that(self, host: Host, condition: Callable[[], bool]) -> None:
        with host.changed:
            self.assertTrue(host.changed.wait_for(condition, LIMIT))
