import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import nova
from nova_cachemig.doctor.verdicts.nova import Fault


class NovaTest(unittest.TestCase):
    def test_each_fault_has_a_remedy(self) -> None:
        for fault in Fault:
            for verdict in (
                nova.token_failed(fault, "why"),
                nova.request_failed("GET /x", fault, "why"),
            ):
                self.assertEqual(Status.FAILED, verdict.status)
                self.assertTrue(verdict.what.endswith("why"))
                self.assertTrue(verdict.remedy)

    def test_401_of_nova_names_the_access_rules(self) -> None:
        verdict = nova.request_failed("GET /os-migrations", Fault.UNAUTHORIZED, "401")
        self.assertIn("/v2.1/os-migrations", verdict.remedy)

    def test_an_instance_that_is_not_shown(self) -> None:
        self.assertIn("u-1", nova.instance_unknown("u-1").what)


if __name__ == "__main__":
    unittest.main()
