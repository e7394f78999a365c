"""The sentences about a guest that is not reachable."""

from __future__ import annotations

import unittest

from nova_cachemig.model import reach
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Target

V4, V6 = Target("10.0.0.5", 80), Target("2001:db8::5", 8080)


class ReachTest(unittest.TestCase):
    def test_every_problem_has_a_remedy(self) -> None:
        for found in Reach:
            attempt = Attempt(found, "192.0.2.9")
            reachable = found is Reach.REACHABLE
            self.assertEqual(reachable, not reach.problem(attempt), found)
            self.assertEqual(reachable, not reach.remedy(V4, attempt), found)

    def test_packets_came_back(self) -> None:
        reached = {found for found in Reach if Attempt(found).reached}
        self.assertEqual({Reach.REACHABLE, Reach.REFUSED}, reached)

    def test_the_rule_of_the_security_group(self) -> None:
        self.assertIn(
            "openstack security group rule create --protocol tcp --dst-port 80 --remote-ip "
            "192.0.2.9 GROUP",
            reach.remedy(V4, Attempt(Reach.SILENT, "192.0.2.9")),
        )
        rule = reach.security_group_rule(V6, None)
        self.assertIn("--ethertype IPv6 --protocol tcp --dst-port 8080", rule)
        self.assertIn("ADDRESS-OF-THIS-NODE", rule)

    def test_the_detail_of_an_unknown_error(self) -> None:
        self.assertEqual(
            "the connection failed (EPERM)", reach.problem(Attempt(Reach.OTHER, detail="EPERM"))
        )

    def test_addresses_with_ports(self) -> None:
        self.assertEqual(
            ["10.0.0.5:80", "[2001:db8::5]:8080"], [*map(reach.address_and_port, (V4, V6))]
        )
