"""Work is done in its order, in another thread, and none of it ends the thread."""

from __future__ import annotations

import logging
import threading
import unittest
from unittest import mock

from nova_cachemig.compute.announce import worker
from nova_cachemig.rpc.faults import Faults


class WorkerTest(unittest.TestCase):
    def setUp(self) -> None:
        logger = logging.getLogger("nova_cachemig.rpc.faults")
        self.enterContext(mock.patch.object(logger, "disabled", True))
        self.faults = Faults()
        self.worker = worker.Worker(self.faults)
        self.addCleanup(self.worker.stop, 5.0)

    def test_in_the_order_of_the_times(self) -> None:
        done: list[str] = []
        gate, over = threading.Event(), threading.Event()
        self.worker.put(lambda: gate.wait(5))
        self.worker.put(over.set, 0.02)
        self.worker.put(lambda: done.append("later"), 0.01)
        self.worker.put(lambda: done.append("first"))
        self.worker.put(lambda: done.append("second"))
        gate.set()
        self.assertTrue(over.wait(5))
        self.assertEqual(["first", "second", "later"], done)

    def test_an_error_is_noted_and_the_next_work_is_done(self) -> None:
        over = threading.Event()
        self.worker.put(lambda: 1 / 0)
        self.worker.put(over.set)
        self.assertTrue(over.wait(5))
        self.assertEqual({"announcing a guest failed (ZeroDivisionError)": 1}, self.faults.counts())

    def test_more_than_the_limit_is_dropped(self) -> None:
        with mock.patch.object(worker, "LIMIT", 2):
            for _ in range(3):
                self.worker.put(lambda: None, 60.0)
        self.assertEqual({"an announcement was dropped": 1}, self.faults.counts())

    def test_what_waits_is_dropped_at_the_end(self) -> None:
        done = threading.Event()
        self.worker.put(done.set, 60.0)
        self.assertTrue(self.worker.stop(5.0))
        self.assertFalse(done.is_set())
