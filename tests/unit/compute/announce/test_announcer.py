"""Two hosts: events of libvirt on each, the news between them, and the frames of their taps."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable
from unittest import mock

from nova_cachemig.compute.announce.announcer import REPEAT, Announcer
from nova_cachemig.compute.announce.frames import Nic
from nova_cachemig.compute.announce.worker import Worker
from nova_cachemig.rpc.faults import Faults
from tests.unit.compute.announce.test_domain import TAP, domain, interface
from tests.unit.compute.announce.test_plan import ARRIVES, GOES_ON, PAUSED, STOPPED


class Later(Worker):
    """A worker for which the test decides when time passes."""

    def __init__(self) -> None:
        self.queue: list[tuple[float, Callable[[], object]]] = []

    def put(self, work: Callable[[], object], delay: float = 0.0) -> None:
        self.queue.append((delay, work))

    def stop(self, timeout: float) -> bool:
        self.queue.clear()
        return True

    def pass_time(self, seconds: float) -> None:
        """Do what is due now, or up to this time from now."""
        while due := sorted((x for x in self.queue if x[0] <= seconds), key=lambda x: x[0]):
            self.queue.remove(due[0])
            due[0][1]()


class Domain:
    def __init__(self, description: str | Exception) -> None:
        self.description = description

    def UUIDString(self) -> str:
        return "uuid-1"

    def XMLDesc(self, flags: int) -> str:
        if isinstance(self.description, Exception):
            raise self.description
        return self.description


class Tap:
    def __init__(self, host: Host, nic: Nic) -> None:
        if host.broken == "opening":
            raise OSError("no such device")
        self.host, self.tap = host, nic.tap
        host.open.append(self.tap)

    def send(self) -> int:
        if self.host.broken == "sending":
            raise OSError("no buffer space")
        self.host.sent.append(self.tap)
        return 1

    def close(self) -> None:
        self.host.open.remove(self.tap)


class Host:
    def __init__(self) -> None:
        self.open: list[str] = []
        self.sent: list[str] = []
        self.told: list[tuple[str, float]] = []
        self.broken = ""
        self.faults = Faults()
        self.worker = Later()
        self.announcer = Announcer(
            self._tell,
            lambda nic: Tap(self, nic),
            self.faults,
            worker=self.worker,
            wall=lambda: 100.0,
        )

    def _tell(self, instance: str, at: float) -> None:
        if self.broken == "telling":
            raise TypeError("not a primitive")
        self.told.append((instance, at))

    def event(self, kind: tuple[int, int], description: str | Exception = "") -> None:
        self.announcer.lifecycle(Domain(description or domain(interface())), *kind, 100.0)

    def happen(self, kind: tuple[int, int], description: str | Exception = "") -> None:
        self.event(kind, description)
        self.worker.pass_time(0.0)


class AnnouncerTest(unittest.TestCase):
    def setUp(self) -> None:
        for name in ("nova_cachemig.rpc.faults", "nova_cachemig.compute.announce.announcer"):
            self.enterContext(mock.patch.object(logging.getLogger(name), "disabled", True))
        self.host = Host()

    def test_the_destination_announces_at_once_and_again(self) -> None:
        self.host.happen(ARRIVES)
        self.assertEqual(([TAP], []), (self.host.open, self.host.sent))
        self.host.announcer.heard("uuid-1", 100.0)
        self.assertEqual([TAP], self.host.sent)  # before the worker does anything
        self.host.announcer.heard("uuid-1", 100.0)
        self.host.worker.pass_time(REPEAT[-1])
        self.assertEqual([TAP] * (1 + len(REPEAT)), self.host.sent)
        self.host.event(GOES_ON)
        self.host.worker.pass_time(60.0)
        self.assertEqual([], self.host.open)

    def test_the_source_tells_at_once_and_announces_after_a_rollback(self) -> None:
        self.host.event(PAUSED)
        self.assertEqual([("uuid-1", 100.0)], self.host.told)
        self.host.worker.pass_time(0.0)
        self.assertEqual(([TAP], []), (self.host.open, self.host.sent))
        self.host.event(GOES_ON)
        self.assertEqual([TAP], self.host.sent)
        self.host.worker.pass_time(60.0)
        self.assertEqual([TAP] * (1 + len(REPEAT)), self.host.sent)
        self.assertEqual([], self.host.open)

    def test_a_source_that_was_left_announces_nothing(self) -> None:
        self.host.happen(PAUSED)
        self.host.happen(STOPPED)
        self.host.worker.pass_time(60.0)
        self.assertEqual(([], []), (self.host.open, self.host.sent))

    def test_a_destination_that_ends_repeats_nothing(self) -> None:
        self.host.happen(ARRIVES)
        self.host.announcer.heard("uuid-1", 100.0)
        self.host.event(STOPPED)
        self.host.worker.pass_time(60.0)
        self.assertEqual(([], [TAP]), (self.host.open, self.host.sent))

    def test_one_line_says_when_a_guest_was_announced(self) -> None:
        logger = "nova_cachemig.compute.announce.announcer"
        self.enterContext(mock.patch.object(logging.getLogger(logger), "disabled", False))
        self.host.happen(ARRIVES)
        with self.assertLogs(logger, "INFO") as caught:
            self.host.announcer.heard("uuid-1", 99.996)
            self.host.worker.pass_time(60.0)
        [line] = caught.output
        self.assertIn(f"uuid-1: announced from {TAP}: 1 frames, 4.0 ms after the event", line)

    def test_news_that_come_while_the_tap_is_opened(self) -> None:
        self.host.event(ARRIVES)
        self.host.announcer.heard("uuid-1", 100.0)
        self.assertEqual([], self.host.sent)
        self.host.worker.pass_time(0.0)
        self.assertEqual([TAP], self.host.sent)

    def test_a_guest_that_is_gone_before_its_tap_is_open(self) -> None:
        self.host.event(ARRIVES)
        self.host.event(STOPPED)
        self.host.worker.pass_time(60.0)
        self.assertEqual([], self.host.open)

    def test_the_next_migration_stops_the_repetitions_of_the_last_one(self) -> None:
        self.host.happen(PAUSED)
        self.host.event(GOES_ON)
        self.host.event(PAUSED)
        self.host.worker.pass_time(60.0)
        self.assertEqual(([TAP], [TAP]), (self.host.sent, self.host.open))

    def test_news_about_other_guests_are_ignored(self) -> None:
        self.host.happen(ARRIVES)
        self.host.announcer.heard("uuid-2", 100.0)
        self.assertEqual([], self.host.sent)

    def test_nothing_that_is_broken_raises(self) -> None:
        for broken, cause in (
            ("opening", "a guest cannot be announced"),
            ("sending", "a guest was not announced"),
            ("telling", "a guest is not announced (TypeError)"),
        ):
            with self.subTest(broken):
                host = Host()
                host.broken = broken
                host.happen(ARRIVES)
                host.announcer.heard("uuid-1", 100.0)
                host.happen(STOPPED)
                host.happen(PAUSED)
                self.assertEqual({cause}, set(host.faults.counts()))

    def test_all_nics_but_the_broken_one(self) -> None:
        nics = [interface(tap="tap1", mac="ff:ff:ff:ff:ff:ff"), interface(tap="tap2"), interface()]
        self.host.happen(ARRIVES, domain(*nics))
        self.host.announcer.heard("uuid-1", 100.0)
        self.assertEqual(["tap2", TAP], self.host.sent)

    def test_a_lost_connection_forgets_all_and_the_end_closes_all(self) -> None:
        self.host.happen(ARRIVES)
        self.host.announcer.lost()
        self.host.worker.pass_time(0.0)
        self.host.announcer.heard("uuid-1", 100.0)
        self.assertEqual(([], []), (self.host.open, self.host.sent))
        self.host.happen(ARRIVES)
        self.host.announcer.close()
        self.assertEqual([], self.host.open)
