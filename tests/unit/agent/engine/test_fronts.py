"""The map of front addresses."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine import fronts
from nova_cachemig.model.service import NO_LIMITS, Limits, Route, Service


def route(
    name: str,
    trusted_proxies: tuple[str, ...] | None = None,
    limits: Limits = NO_LIMITS,
    listen: tuple[str, int] | None = None,
) -> Route:
    where = listen or (f"10.0.0.{len(name)}", 80)
    service = Service(name, "i", 80, where, trusted_proxies=trusted_proxies, limits=limits)
    return Route(service, None)


class ExpectedTest(unittest.TestCase):
    def test_the_networks_of_all_services_on_an_address(self) -> None:
        one, two = ("10.0.0.1", 80), ("10.0.0.2", 80)
        own = Service("a", "i", 80, one, trusted_proxies=("10.1.0.0/16",), accept_proxy=True)
        others = [Service("b", "i", 80, one, accept_proxy=True), Service("c", "i", 80, two)]
        routes = [Route(service, None) for service in (own, *others)]
        found = fronts.expected(routes, ["10.9.0.0/16"])
        self.assertEqual({one: "10.1.0.0/16 10.9.0.0/16"}, found)
        self.assertEqual({one: "10.1.0.0/16"}, fronts.expected(routes, []))


class EntriesTest(unittest.TestCase):
    def test_a_service_replaces_the_default(self) -> None:
        routes = [route("a b c"), route("own", ("10.0.0.0/24", "::/0")), route("none", ())]
        self.assertEqual({"own": "10.0.0.0/24+::/0|0|0|0"}, fronts.entries(routes, [], NO_LIMITS))
        self.assertEqual(
            {"a%20b%20c": "10.9.0.0/16|0|0|0", "own": "10.0.0.0/24+::/0|0|0|0"},
            fronts.entries(routes, ["10.9.0.0/16"], NO_LIMITS),
        )

    def test_limits(self) -> None:
        routes = [route("one"), route("four", limits=Limits(5, 6, 0, 8))]
        self.assertEqual(
            {"one": "|20|30|40", "10.0.0.3:80": "10|", "four": "|6|0|8", "10.0.0.4:80": "5|"},
            fronts.entries(routes, [], Limits(10, 20, 30, 40)),
        )

    def test_services_that_share_an_address_have_the_sum_of_their_connections(self) -> None:
        listen = ("10.0.0.9", 80)
        routes = [route("one", limits=Limits(5), listen=listen), route("two", listen=listen)]
        self.assertEqual({"10.0.0.9:80": "0|shared"}, fronts.entries(routes, [], Limits(0)))
        self.assertEqual({"10.0.0.9:80": "12|shared"}, fronts.entries(routes, [], Limits(7)))
