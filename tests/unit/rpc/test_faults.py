import unittest

from nova_cachemig.rpc import faults

LOGGER = "nova_cachemig.rpc.faults"


class FaultsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.faults = faults.Faults(lambda: self.now)

    def test_a_cause_is_logged_once_and_counted_always(self) -> None:
        with self.assertLogs(LOGGER, "WARNING") as logged:
            for _ in range(5):
                self.faults.note("the bus is down", "refused")
            self.faults.note("another")
        self.assertEqual(2, len(logged.records))
        self.assertEqual({"the bus is down": 5, "another": 1}, self.faults.counts())

    def test_it_is_logged_again_after_a_while_with_its_count(self) -> None:
        with self.assertLogs(LOGGER, "WARNING") as logged:
            self.faults.note("cause")
            self.now = faults.QUIET - 1
            self.faults.note("cause")
            self.now = faults.QUIET
            self.faults.note("cause")
        self.assertEqual(2, len(logged.records))
        self.assertIn("3 so far", logged.output[1])

    def test_after_a_recovery_it_is_logged_at_once(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            self.faults.note("cause")
            self.faults.recovered("cause")
            self.faults.note("cause")
        self.assertEqual(["WARNING", "INFO", "WARNING"], [r.levelname for r in logged.records])

    def test_what_was_right_does_not_recover(self) -> None:
        with self.assertNoLogs(LOGGER, "INFO"):
            self.faults.recovered("never seen")
