"""The consumer: it starts after a fork, requests the first snapshot, never raises."""

from __future__ import annotations

import os
import sys
import unittest
from typing import Any
from unittest import mock

from oslo_config import cfg

from nova_cachemig.conf import scheduler as options
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.snapshots import SchedulersClient
from nova_cachemig.scheduler import consumer
from nova_cachemig.scheduler.consumer import NO_RESPONSE, Consumer
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
        listener.ensure()
        with mock.patch.object(listener.faults, "note", wraps=listener.faults.note) as note:
            deadline = 200
            while not note.called and deadline:
                listener._stopped.wait(0.05)
                deadline -= 1
        self.assertIn(NO_RESPONSE, listener.faults.counts())
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
