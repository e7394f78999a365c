import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import nova_conf

ALL = "nova.scheduler.weights.all_weighers"
WEIGHER = "nova_cachemig.scheduler.weights.PredictedLoadWeigher"
FILTER = "nova_cachemig.scheduler.filters.PredictedOverloadFilter"


class NovaConfTest(unittest.TestCase):
    def test_the_driver(self) -> None:
        for drivers in ([], ["messagingv2"], ["cachmig"]):
            verdict = nova_conf.driver(drivers, [])
            self.assertEqual(Status.FAILED, verdict.status)
            self.assertIn("Kolla-Ansible", verdict.remedy)
        self.assertEqual(Status.OK, nova_conf.driver(["messagingv2", "cachemig"], ["x"]).status)
        alone = nova_conf.driver(["cachemig"], [])
        self.assertEqual(Status.OK, alone.status)
        self.assertIn("messagingv2", alone.remedy)
        missing = nova_conf.driver(["cachemig"], ["instance_usage_audit", "topics"])
        self.assertEqual(Status.WARNING, missing.status)
        self.assertIn("instance_usage_audit and topics", missing.what)
        self.assertIn("messagingv2", missing.remedy)

    def test_the_monitor(self) -> None:
        on = nova_conf.monitors(["cpu.virt_driver"], report_load=True)
        self.assertEqual(Status.OK, on.status)
        for found, report in (([], True), (["cpu.virt_driver"], False)):
            verdict = nova_conf.monitors(found, report_load=report)
            self.assertEqual(Status.SKIPPED, verdict.status)

    def test_the_weighers(self) -> None:
        for classes, multiplier, status in (
            ([ALL], 10.0, Status.SKIPPED),
            ([ALL, WEIGHER], 10.0, Status.OK),
            ([ALL, WEIGHER], 0.0, Status.WARNING),
            ([WEIGHER], 10.0, Status.WARNING),
        ):
            self.assertEqual(status, nova_conf.weighers(classes, {"m": multiplier}).status)

    def test_the_filter(self) -> None:
        enabled = ["PredictedOverloadFilter"]
        for filters, available, status in (
            ([], [], Status.SKIPPED),
            (enabled, ["nova.scheduler.filters.all_filters"], Status.FAILED),
            (enabled, [FILTER], Status.OK),
        ):
            self.assertEqual(status, nova_conf.filters(filters, available).status)

    def test_topics_must_agree(self) -> None:
        self.assertEqual([Status.OK], [v.status for v in nova_conf.topics({"a": ("x", "x")})])
        [verdict] = nova_conf.topics({"a and b": ("x", "y"), "c": ("z", "z")})
        self.assertEqual("a and b differ: 'x' and 'y'", verdict.what)


if __name__ == "__main__":
    unittest.main()
