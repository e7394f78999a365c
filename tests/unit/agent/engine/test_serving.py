"""All maps of a set of routes together."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.serving import Defaults, serving
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.model.service import Limits
from tests.unit.agent.engine.test_routing import route

DEFAULTS = Defaults(("10.9.0.0/16",), Limits(held=7))


class ServingTest(unittest.TestCase):
    def test_each_map_has_the_entries_of_the_served_services(self) -> None:
        policy = Policy(own=(Rule(paths=("/x",), never=True),))
        routes = [
            route("a", client_cookie="sid", policy=policy),
            route("b", listen=("10.0.0.2", 80)),
        ]
        found = serving(routes, {"10.0.0.2:80": "taken"}, {}, {}, DEFAULTS)
        self.assertEqual(({"a"}, {"b"}), (found.served.keys(), found.refused.keys()))
        self.assertEqual({"a": "10.1.0.5|8080"}, found.maps["targets"])
        self.assertEqual({"a": "sid"}, found.maps["cookies"])
        self.assertEqual({"a": "10.9.0.0/16|0|7|0"}, found.maps["fronts"])
        self.assertIn("a", found.maps["policies"])
        self.assertEqual({"10.0.0.1:80": "a"}, found.maps["routes"])

    def test_a_service_gets_its_settings_before_its_requests(self) -> None:
        self.assertEqual("routes", list(serving([], {}, {}, {}, DEFAULTS).maps)[-1])

    def test_a_service_that_failed_keeps_its_route(self) -> None:
        before = {"a": route("a")}
        found = serving([route("a", port=81)], {}, before, {"a": "no certificate"}, DEFAULTS)
        self.assertEqual((before, {"a": "no certificate"}), (found.served, found.refused))
