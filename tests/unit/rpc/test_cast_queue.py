import logging
import threading
import unittest
from typing import Any

from nova_cachemig.rpc.cast_queue import CastQueue
from nova_cachemig.rpc.faults import Faults


class Bus:
    """Takes what it is given, when it is up."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.error: BaseException | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.busy = threading.Event()

    def send(self, method: str, arguments: dict[str, Any]) -> None:
        self.busy.set()
        self.gate.wait(10)
        if self.error is not None:
            raise self.error
        self.taken.append(method)


class CastQueueTest(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("nova_cachemig.rpc.faults").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("nova_cachemig.rpc.faults").setLevel, logging.NOTSET)
        self.bus = Bus()
        self.faults = Faults()

    def queue(self, **options: Any) -> CastQueue:
        queue = CastQueue(self.bus.send, self.faults, **options)
        self.addCleanup(queue.stop)
        return queue

    def test_messages_arrive_in_their_order(self) -> None:
        queue = self.queue()
        casts = [queue.put(str(number), {}) for number in range(100)]
        self.assertTrue(casts[-1].delivered(5))
        self.assertEqual([str(number) for number in range(100)], self.bus.taken)
        self.assertEqual(100, queue.counts().sent)

    def test_posting_never_waits_for_a_bus_that_hangs(self) -> None:
        self.bus.gate.clear()
        queue = self.queue()
        cast = queue.put("begin", {})
        self.assertTrue(self.bus.busy.wait(5))
        for _ in range(50):
            queue.put("event", {})  # comes back, or the test never ends
        self.assertFalse(cast.delivered(0.01))
        self.assertIsNone(cast.error)
        self.bus.gate.set()
        self.assertTrue(cast.delivered(5))

    def test_who_waits_learns_at_once_that_it_failed_and_it_is_tried_again(self) -> None:
        self.bus.error = ConnectionError("refused")
        queue = self.queue()
        cast = queue.put("begin", {})
        self.assertFalse(cast.delivered(30))
        self.assertIn("refused", str(cast.error))
        self.bus.error = None
        later = queue.put("event", {})
        self.assertTrue(later.delivered(5))
        self.assertTrue(cast.sent)
        self.assertEqual(["begin", "event"], self.bus.taken)
        self.assertEqual(1, sum(self.faults.counts().values()))

    def test_of_a_full_queue_the_oldest_is_dropped_and_counted(self) -> None:
        self.bus.gate.clear()
        queue = self.queue(limit=3)
        first = queue.put("0", {})
        self.assertTrue(self.bus.busy.wait(5))
        casts = [queue.put(str(number), {}) for number in range(1, 6)]
        self.assertEqual(3, queue.counts().waiting)
        self.assertEqual(3, queue.counts().dropped)
        self.bus.gate.set()
        self.assertTrue(casts[-1].delivered(5))
        # The first was being sent already, and arrives.
        self.assertEqual(["0", "3", "4", "5"], self.bus.taken)
        self.assertFalse(casts[0].delivered(0))
        self.assertIn("full", str(casts[0].error))
        self.assertTrue(first.tried.is_set())

    def test_what_cannot_be_sent_for_long_is_dropped(self) -> None:
        self.bus.error = ConnectionError("refused")
        queue = self.queue(max_age=0.0)
        cast = queue.put("begin", {})
        self.assertFalse(cast.delivered(5))
        self.bus.error = None
        self.assertTrue(queue.put("event", {}).delivered(5))
        self.assertEqual(["event"], self.bus.taken)
        self.assertEqual(1, queue.counts().dropped)

    def test_the_thread_survives_what_is_no_exception(self) -> None:
        self.bus.error = SystemExit("from a library")
        queue = self.queue(max_age=0.0)
        self.assertFalse(queue.put("begin", {}).delivered(5))
        self.bus.error = None
        self.assertTrue(queue.put("event", {}).delivered(5))

    def test_stopping_sends_what_waits(self) -> None:
        self.bus.gate.clear()
        queue = self.queue()
        queue.put("a", {})
        queue.put("b", {})
        self.bus.gate.set()
        queue.stop(5)
        self.assertEqual(["a", "b"], self.bus.taken)

    def test_stopping_does_not_wait_for_a_bus_that_is_down(self) -> None:
        self.bus.error = ConnectionError("refused")
        queue = self.queue()
        cast = queue.put("a", {})
        self.assertFalse(cast.delivered(5))
        queue.stop(5)
        names = [thread.name for thread in threading.enumerate() if thread is queue._thread]
        self.assertEqual([], names)
