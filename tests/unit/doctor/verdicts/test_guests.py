import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import guests
from nova_cachemig.doctor.verdicts.guests import Guest, Outcome


def guest(outcome: Outcome, name: str = "shop") -> Guest:
    return Guest(name, "u-1", "10.0.0.5:80", outcome)


class GuestsTest(unittest.TestCase):
    def test_each_outcome_has_its_remedy(self) -> None:
        for outcome, status, part in (
            (Outcome.NO_ROUTE, Status.FAILED, "route"),
            (Outcome.NO_NEIGHBOUR, Status.FAILED, "route"),
            (Outcome.SILENT, Status.FAILED, "security group"),
            (Outcome.NO_ADDRESS, Status.FAILED, "network"),
            (Outcome.OTHER, Status.FAILED, "network"),
            (Outcome.REFUSED, Status.WARNING, "application"),
            (Outcome.NOT_TRIED, Status.WARNING, "again"),
        ):
            with self.subTest(outcome):
                [verdict] = guests.guests([guest(outcome)])
                self.assertEqual(status, verdict.status)
                self.assertIn(part, verdict.remedy)

    def test_the_reachable_ones_are_one_line(self) -> None:
        found = guests.guests([guest(Outcome.REACHABLE), guest(Outcome.SILENT, "b")] * 2)
        self.assertEqual([Status.FAILED, Status.FAILED, Status.OK], [v.status for v in found])
        self.assertEqual("2 of 4 guests are reachable from this node", found[-1].what)


if __name__ == "__main__":
    unittest.main()
