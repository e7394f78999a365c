import unittest

from nova_cachemig.doctor.verdict import Finding, Status, exit_code, failed, ok, skipped, warning


class VerdictTest(unittest.TestCase):
    def test_only_a_failure_makes_the_exit_code_1(self) -> None:
        fine = [Finding("a", v) for v in (ok("x"), warning("x", "y"), skipped("z"))]
        self.assertEqual(0, exit_code(fine))
        self.assertEqual(1, exit_code([*fine, Finding("b", failed("x", "y"))]))

    def test_a_skipped_check_says_why(self) -> None:
        verdict = skipped("bus.connection has not passed")
        self.assertEqual(Status.SKIPPED, verdict.status)
        self.assertEqual("because bus.connection has not passed", verdict.what)


if __name__ == "__main__":
    unittest.main()
