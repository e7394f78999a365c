import logging
import threading
import unittest
from typing import Any

from nova_cachemig.rpc.courier import Courier
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


class CourierTest(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("nova_cachemig.rpc.faults").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("nova_cachemig.rpc.faults").setLevel, logging.NOTSET)
        self.bus = Bus()
        self.faults = Faults()

    def courier(self, **options: Any) -> Courier:
        courier = Courier(self.bus.send, self.faults, **options)
        self.addCleanup(courier.stop)
        return courier

    def test_messages_arrive_in_their_order(self) -> None:
        courier = self.courier()
        parcels = [courier.post(str(number), {}) for number in range(100)]
        self.assertTrue(parcels[-1].delivered(5))
        self.assertEqual([str(number) for number in range(100)], self.bus.taken)
        self.assertEqual(100, courier.counts().sent)

    def test_posting_never_waits_for_a_bus_that_hangs(self) -> None:
        self.bus.gate.clear()
        courier = self.courier()
        parcel = courier.post("begin", {})
        self.assertTrue(self.bus.busy.wait(5))
        for _ in range(50):
            courier.post("event", {})  # comes back, or the test never ends
        self.assertFalse(parcel.delivered(0.01))
        self.assertIsNone(parcel.error)
        self.bus.gate.set()
        self.assertTrue(parcel.delivered(5))

    def test_who_waits_learns_at_once_that_it_failed_and_it_is_tried_again(self) -> None:
        self.bus.error = ConnectionError("refused")
        courier = self.courier()
        parcel = courier.post("begin", {})
        self.assertFalse(parcel.delivered(30))
        self.assertIn("refused", str(parcel.error))
        self.bus.error = None
        later = courier.post("event", {})
        self.assertTrue(later.delivered(5))
        self.assertTrue(parcel.sent)
        self.assertEqual(["begin", "event"], self.bus.taken)
        self.assertEqual(1, sum(self.faults.counts().values()))

    def test_of_a_full_queue_the_oldest_is_dropped_and_counted(self) -> None:
        self.bus.gate.clear()
        courier = self.courier(limit=3)
        first = courier.post("0", {})
        self.assertTrue(self.bus.busy.wait(5))
        parcels = [courier.post(str(number), {}) for number in range(1, 6)]
        self.assertEqual(3, courier.counts().waiting)
        self.assertEqual(3, courier.counts().dropped)
        self.bus.gate.set()
        self.assertTrue(parcels[-1].delivered(5))
        # The first was in the sender's hands and went all the same.
        self.assertEqual(["0", "3", "4", "5"], self.bus.taken)
        self.assertFalse(parcels[0].delivered(0))
        self.assertIn("full", str(parcels[0].error))
        self.assertTrue(first.settled.is_set())

    def test_what_cannot_be_sent_for_long_is_dropped(self) -> None:
        self.bus.error = ConnectionError("refused")
        courier = self.courier(max_age=0.0)
        parcel = courier.post("begin", {})
        self.assertFalse(parcel.delivered(5))
        self.bus.error = None
        self.assertTrue(courier.post("event", {}).delivered(5))
        self.assertEqual(["event"], self.bus.taken)
        self.assertEqual(1, courier.counts().dropped)

    def test_the_thread_survives_what_is_no_exception(self) -> None:
        self.bus.error = SystemExit("from a library")
        courier = self.courier(max_age=0.0)
        self.assertFalse(courier.post("begin", {}).delivered(5))
        self.bus.error = None
        self.assertTrue(courier.post("event", {}).delivered(5))

    def test_stopping_sends_what_waits(self) -> None:
        self.bus.gate.clear()
        courier = self.courier()
        courier.post("a", {})
        courier.post("b", {})
        self.bus.gate.set()
        courier.stop(5)
        self.assertEqual(["a", "b"], self.bus.taken)

    def test_stopping_does_not_wait_for_a_bus_that_is_down(self) -> None:
        self.bus.error = ConnectionError("refused")
        courier = self.courier()
        parcel = courier.post("a", {})
        self.assertFalse(parcel.delivered(5))
        courier.stop(5)
        names = [thread.name for thread in threading.enumerate() if thread is courier._thread]
        self.assertEqual([], names)
