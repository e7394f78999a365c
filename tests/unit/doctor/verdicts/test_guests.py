import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import guests
from nova_cachemig.doctor.verdicts.guests import Guest
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Target


def guest(reach: Reach, name: str = "shop") -> Guest:
    return Guest(name, "u-1", Target("10.0.0.5", 8080), Attempt(reach, "192.0.2.9"))


class GuestsTest(unittest.TestCase):
    def test_each_outcome_has_its_remedy(self) -> None:
        for found, status, part in (
            (guest(Reach.NO_ROUTE), Status.FAILED, "Add a route"),
            (guest(Reach.NO_NEIGHBOUR), Status.FAILED, "the route leads"),
            (guest(Reach.SILENT), Status.FAILED, "--dst-port 8080 --remote-ip 192.0.2.9"),
            (guest(Reach.OTHER), Status.FAILED, "network"),
            (guest(Reach.REFUSED), Status.WARNING, "application"),
            (Guest("shop", "u-1", None, error="no such instance"), Status.FAILED, "network"),
            (Guest("shop", "u-1", None), Status.WARNING, "again"),
        ):
            with self.subTest(part):
                [verdict] = guests.guests([found])
                self.assertEqual(status, verdict.status)
                self.assertIn(part, verdict.remedy)

    def test_the_reachable_ones_are_one_line(self) -> None:
        found = guests.guests([guest(Reach.REACHABLE), guest(Reach.SILENT, "b")] * 2)
        self.assertEqual([Status.FAILED, Status.FAILED, Status.OK], [v.status for v in found])
        self.assertEqual("2 of 4 guests are reachable from this node", found[-1].what)


if __name__ == "__main__":
    unittest.main()
