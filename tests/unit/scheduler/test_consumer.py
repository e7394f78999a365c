"""The consumer: it starts after a fork, requests the first snapshot, never raises."""

from __future__ import annotations

import os
import sys
import threading
import unittest
from typing import Any
from unittest import mock

from oslo_config import cfg

from nova_cachemig.conf import scheduler as options
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.snapshots import SchedulersClient
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.consumer import Consumer
from nova_cachemig.scheduler.holder import STALE
from tests.unit.scheduler.fakes import snapshot


class SnapshotSource:
    """A forecaster that knows one snapshot."""

    def __init__(self, sequence: int) -> None:
        self.wire = snapshot({"a": 1.0}, sequence=sequence).to_wire()

    def request_snapshot(self) -> Any:
        return self.wire


def conf(name: str) -> cfg.ConfigOpts:
    """On a separate fake bus."""
    made = cfg.ConfigOpts()
    options.register(made)
    made([], default_config_files=[], default_config_dirs=[])
    for key, value in {
        "transport_url": "fake:/",
        "topic": f"{name}-schedulers",
        "forecaster_topic": f"{name}-forecaster",
        "request_timeout": 0.3,
        "request_interval": 0.1,
    }.items():
        made.set_override(key, value, group="cachemig_scheduler")
    return made


class Listening(unittest.TestCase):
    def consumer(self, made: cfg.ConfigOpts) -> Consumer:
        listener = Consumer(made)
        self.addCleanup(listener.stop)
        return listener

    def test_a_late_one_asks_and_then_receives_the_fanout(self) -> None:
        made = conf(self.id())
        group = made.cachemig_scheduler
        server = contract.server(made, group.forecaster_topic, "f", "fake:/", SnapshotSource(4))  # type: ignore[arg-type]
        server.start()
        self.addCleanup(server.stop)
        listeners = [self.consumer(made), self.consumer(made)]
        for listener in listeners:
            listener.ensure()
            self.assertTrue(listener.holder.wait_for(lambda held: held.sequence == 4, 10))
        client = SchedulersClient(made, group.topic, "fake:/", Faults(), 60.0)
        self.addCleanup(client.stop)
        client.send(snapshot({"a": 1.0}, sequence=5).to_wire())
        for listener in listeners:  # fanout: each of them
            self.assertTrue(listener.holder.wait_for(lambda held: held.sequence == 5, 10))

    def test_no_forecaster_responds(self) -> None:
        listener = self.consumer(conf(self.id()))
        noted = threading.Event()
        self.enterContext(mock.patch.object(consumer, "GRACE", 0.0))
        with self.assertLogs("nova_cachemig.rpc.faults", "WARNING") as logged:
            note = listener.faults.note

            def noting(*arguments: Any) -> None:
                note(*arguments)
                noted.set()

            with mock.patch.object(listener.faults, "note", noting):
                listener.ensure()
                self.assertTrue(noted.wait(10))
        self.assertEqual([STALE], list(listener.faults.counts()))
        self.assertIn("the forecaster does not respond", logged.output[0])
        self.assertIn(consumer.REMEDY, logged.output[0])
        self.assertIsNone(listener.holder.fresh(60.0))

    def test_whatever_is_wrong_it_does_not_raise(self) -> None:
        listener = self.consumer(conf(self.id()))
        with mock.patch.object(consumer.snapshots, "server", side_effect=OSError("no bus")):
            listener.ensure()
        self.assertEqual({"cannot listen for snapshots": 1}, listener.faults.counts())


class Forking(unittest.TestCase):
    def test_a_child_listens_at_once_and_its_parent_does_not(self) -> None:
        made = conf(self.id())
        parent = consumer.shared(made)
        self.addCleanup(consumer.forget, made)
        code = self.in_child(lambda: 0 if parent._server is not None else 1)
        self.assertEqual(0, code, "the child does not listen")
        self.assertIsNone(parent._server)

    def test_a_process_that_forks_stops_until_the_next_request(self) -> None:
        made = conf(self.id())
        parent = consumer.shared(made)
        self.addCleanup(consumer.forget, made)
        parent.ensure()
        before = parent._server
        assert before is not None
        code = self.in_child(lambda: 0 if parent._server not in {None, before} else 1)
        self.assertEqual(0, code, "the child does not listen")
        self.assertIsNone(parent._server)
        self.assertTrue(before.stop(10))
        parent.ensure()
        self.assertIsNotNone(parent._server)

    def test_with_eventlet_a_child_listens_from_its_first_request(self) -> None:
        """Threads that are started right after the fork would be lost with eventlet's old hub."""
        made = conf(self.id())
        parent = consumer.shared(made)
        self.addCleanup(consumer.forget, made)

        def child() -> int:
            early = parent._server is not None
            parent.ensure()
            return 1 if early or parent._server is None else 0

        with mock.patch.object(consumer, "native_threads", return_value=False):
            self.assertEqual(0, self.in_child(child))

    def test_threads_are_native_here(self) -> None:
        self.assertTrue(consumer.native_threads())

    def test_a_missing_snapshot_is_a_fault_only_some_time_after_the_start(self) -> None:
        listener = Consumer(conf(self.id()))
        with mock.patch.object(consumer, "time") as clock:
            listener._since = 100.0
            clock.monotonic.return_value = 100.0 + consumer.GRACE - 1
            listener.note_missing()
            self.assertEqual({}, listener.faults.counts())
            clock.monotonic.return_value += 1
            with self.assertLogs("nova_cachemig.rpc.faults", "WARNING"):
                listener.note_missing()
        self.assertEqual({STALE: 1}, listener.faults.counts())

    def test_a_process_that_does_not_fork_listens_after_a_while(self) -> None:
        made = conf(self.id())
        with mock.patch.object(consumer, "UNFORKED", 0.05):
            listener = consumer.shared(made)
            self.addCleanup(consumer.forget, made)
            for _ in range(200):
                if listener._server is not None:
                    break
                listener._stopped.wait(0.05)
        self.assertIsNotNone(listener._server)

    def in_child(self, work: Any) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(work())
            except BaseException:  # nothing of the test runner may go on in the child
                os._exit(9)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
