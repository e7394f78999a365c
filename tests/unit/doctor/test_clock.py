import unittest

from nova_cachemig.doctor import clock
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from tests.unit.doctor.cloud import Cloud
from tests.unit.doctor.files import Case


class ClockTest(Case):
    def status(self, name: str, text: str = "") -> Status:
        [verdict] = self.run_check(clock, name, Context(self.agent(text), None))
        return verdict.status

    def test_the_kernel_is_asked(self) -> None:
        self.assertIn(self.status("clock.ntp"), {Status.OK, Status.WARNING})

    def test_novas_clock(self) -> None:
        cloud = Cloud(self)
        self.assertEqual(Status.OK, self.status("clock.nova", cloud.account()))
        cloud.date = "Sun, 29 Nov 2020 03:00:00 GMT"
        self.assertEqual(Status.WARNING, self.status("clock.nova", cloud.account()))
        down = cloud.account("http://127.0.0.1:9/v3")
        self.assertEqual(Status.SKIPPED, self.status("clock.nova", down))


if __name__ == "__main__":
    unittest.main()
