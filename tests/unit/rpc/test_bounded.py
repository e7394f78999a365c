import threading
import time
import unittest

from nova_cachemig.rpc import bounded


class BoundedCallsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.calls = bounded.BoundedCalls()
        self.gate = threading.Event()
        self.addCleanup(self.gate.set)

    def _hang(self) -> str:
        self.gate.wait(30)
        return "late"

    def test_the_result_is_that_of_the_work(self) -> None:
        self.assertEqual(42, self.calls.run(lambda: 42, 5))

    def test_an_exception_is_that_of_the_work(self) -> None:
        with self.assertRaisesRegex(KeyError, "nothing"):
            self.calls.run(lambda: {}["nothing"], 5)

    def test_what_is_no_exception_does_not_pass(self) -> None:
        def leave() -> None:
            raise SystemExit

        with self.assertRaises(bounded.OverdueError):
            self.calls.run(leave, 5)

    def test_the_caller_is_free_when_its_time_is_up(self) -> None:
        began = time.monotonic()
        with self.assertRaises(bounded.OverdueError):
            self.calls.run(self._hang, 0.1)
        self.assertLess(time.monotonic() - began, 0.1 + 1.0)

    def test_while_one_is_stuck_no_other_is_begun(self) -> None:
        with self.assertRaises(bounded.OverdueError):
            self.calls.run(self._hang, -bounded.GRACE)
        with self.assertRaisesRegex(bounded.OverdueError, "still waits"):
            self.calls.run(lambda: self.fail("it was begun"), 5)

    def test_when_the_stuck_one_comes_free_all_is_well_again(self) -> None:
        with self.assertRaises(bounded.OverdueError):
            self.calls.run(self._hang, -bounded.GRACE)
        [stuck] = self.calls._running
        self.gate.set()
        self.assertTrue(stuck.over.wait(5))
        self.assertEqual("well", self.calls.run(lambda: "well", 5))

    def test_several_run_at_once(self) -> None:
        together = threading.Barrier(3)
        results: list[int] = []

        def call() -> None:
            results.append(self.calls.run(lambda: together.wait(5), 5))

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual([0, 1, 2], sorted(results))
