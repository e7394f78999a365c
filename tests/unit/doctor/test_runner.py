import threading
import unittest
from collections.abc import Iterator

from nova_cachemig.doctor import runner
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Status, Verdict, failed, ok, skipped, warning


def check(name: str, *verdicts: Verdict, needs: tuple[str, ...] = ()) -> Check:
    return Check(name, lambda: verdicts, needs)


class RunnerTest(unittest.TestCase):
    def statuses(self, *checks: Check, deadline: float = 5.0) -> list[tuple[str, str]]:
        return [(f.check, f.verdict.status.value) for f in runner.run(checks, deadline)]

    def test_checks_go_on_after_a_failure(self) -> None:
        found = self.statuses(check("a", failed("x", "y")), check("b", ok("x"), ok("y")))
        self.assertEqual([("a", "failed"), ("b", "ok"), ("b", "ok")], found)

    def test_a_check_without_its_condition_is_skipped(self) -> None:
        found = runner.run(
            [check("a", ok("x"), failed("y", "z")), check("b", ok("x"), needs=("a",))]
        )
        self.assertEqual(skipped("a has not passed"), found[-1].verdict)

    def test_a_skipped_check_is_no_condition_and_a_warning_is(self) -> None:
        found = self.statuses(
            check("a", skipped("x")),
            check("b", ok("x"), needs=("a",)),
            check("c", warning("x", "y")),
            check("d", ok("x"), needs=("c",)),
        )
        self.assertEqual([("b", "skipped"), ("d", "ok")], [found[1], found[3]])

    def test_an_unforeseen_error_keeps_what_was_found(self) -> None:
        def breaks() -> Iterator[Verdict]:
            yield ok("first")
            raise LookupError("second")

        found = runner.run([Check("a", breaks)])
        self.assertEqual([Status.OK, Status.FAILED], [f.verdict.status for f in found])
        self.assertIn("LookupError: second", found[1].verdict.what)

    def test_a_check_ends_at_its_deadline(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)

        def hangs() -> list[Verdict]:
            gate.wait()
            return []

        found = runner.run([Check("a", hangs), check("b", ok("x"))], deadline=0.01)
        self.assertEqual(Status.FAILED, found[0].verdict.status)
        self.assertIn("no result after 0.01 s", found[0].verdict.what)
        self.assertEqual(Status.OK, found[1].verdict.status)


if __name__ == "__main__":
    unittest.main()
