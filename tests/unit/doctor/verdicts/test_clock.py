import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import clock

DATE = "Sun, 29 Nov 2026 03:00:00 GMT"
AT = 1795921200.0


class ClockTest(unittest.TestCase):
    def test_the_kernels_status(self) -> None:
        self.assertEqual(Status.OK, clock.synchronized(0x2001).status)
        self.assertEqual(Status.WARNING, clock.synchronized(0x40).status)

    def test_skew(self) -> None:
        for before, after, status in (
            (AT, AT, Status.OK),
            (AT + 0.9, AT + 1.2, Status.OK),  # the header has no fractions
            (AT - 3, AT + 9, Status.OK),  # a slow response
            (AT + 10, AT + 10, Status.WARNING),
            (AT - 10, AT - 10, Status.WARNING),
        ):
            with self.subTest(before=before - AT):
                self.assertEqual(status, clock.skew(DATE, before, after).status)

    def test_without_a_date(self) -> None:
        for date in (None, "", "yesterday"):
            self.assertEqual(Status.SKIPPED, clock.skew(date, AT, AT).status)


if __name__ == "__main__":
    unittest.main()
