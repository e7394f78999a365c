"""The guest's address, and two guests at one address: pure."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.instance import Instance
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import resolve
from nova_cachemig.model.service import Route, Service, Target


def route(name: str, address: str = "10.0.0.5", port: int = 80, **fields: object) -> Route:
    values = {"instance": name, "port": port, "listen": ("192.0.2.1", 80), **fields}
    return Route(Service(name=name, **values), Target(address, port))  # type: ignore[arg-type]


class AddressTest(unittest.TestCase):
    def instance(self, fixed: str) -> Instance:
        return Instance("u", {"n": (fixed,)}, {"n": ("203.0.113.5",)})

    def test_fixed_or_floating(self) -> None:
        instance = self.instance("2001:DB8::05")
        self.assertEqual("2001:db8::5", resolve.address_in(route("a").service, instance))
        floating = route("a", floating=True).service
        self.assertEqual("203.0.113.5", resolve.address_in(floating, instance))

    def test_what_is_not_an_address_is_an_error(self) -> None:
        with self.assertRaisesRegex(ComponentError, "is not an IP address"):
            resolve.address_in(route("a").service, self.instance("web"))

    def test_the_way_is_told_apart(self) -> None:
        services = (
            route("a"),
            route("a", network="n"),
            route("a", floating=True),
            route("a", floating=True, network="n"),
        )
        given = Service("a", "u", 80, ("192.0.2.1", 80), address="10.0.0.5")
        ways = [resolve.way(one.service) for one in services] + [resolve.way(given)]
        self.assertEqual(["fixed", "fixed on n", "floating", "floating on n", "service file"], ways)


class ContradictsTest(unittest.TestCase):
    def test_another_address_or_another_port_contradicts(self) -> None:
        known = Route(route("a").service, Target("10.0.0.5", 80), "fa:16:3e:00:00:01")
        for addresses, mac, expected in (
            ({"n": ("10.0.0.5",)}, "fa:16:3e:00:00:01", False),
            ({"n": ("10.0.0.5",)}, "fa:16:3e:00:00:02", True),
            ({"n": ("10.0.0.5",)}, "", False),
            ({"n": ("10.0.0.6",)}, "", True),
            ({}, "", False),  # Nova's cache can be empty for a while
        ):
            with self.subTest(addresses=addresses, mac=mac):
                instance = Instance("a", addresses, {}, {"10.0.0.5": mac})
                self.assertEqual(expected, resolve.contradicts(known, instance))

    def test_what_was_not_noted_contradicts_nothing(self) -> None:
        instance = Instance("a", {"n": ("10.0.0.5",)}, {}, {"10.0.0.5": "fa:16:3e:00:00:02"})
        self.assertFalse(resolve.contradicts(route("a"), instance))
        self.assertFalse(resolve.contradicts(Route(route("a").service, None), instance))

    def test_a_given_address_is_the_operators_word(self) -> None:
        given = Route(Service("a", "a", 80, ("192.0.2.1", 80), address="10.0.0.5"), Target("x", 80))
        self.assertFalse(resolve.contradicts(given, Instance("a", {"n": ("10.0.0.6",)})))


class EqualAddressesTest(unittest.TestCase):
    def refused(self, *found: Route, known: tuple[Route, ...] = (), **held: str) -> list[str]:
        refused = resolve.equal_addresses(
            known, {one.service.name: one for one in found}, lambda s: held.get(s.name)
        )
        return sorted(refused)

    def given(self, name: str, port: int) -> Route:
        service = Service(name, name, port, ("192.0.2.1", 80), address="10.0.0.5")
        return Route(service, Target("10.0.0.5", port))

    def test_two_new_ones_are_both_refused(self) -> None:
        self.assertEqual(["a", "b"], self.refused(route("a"), route("b"), route("c", "10.0.0.6")))

    def test_one_that_is_served_stays(self) -> None:
        self.assertEqual(["b"], self.refused(route("b"), known=(route("a"),), b="10.0.0.5"))

    def test_one_that_was_served_before_stays(self) -> None:
        self.assertEqual(["b"], self.refused(route("a"), route("b"), a="10.0.0.5", b="10.0.0.9"))
        both = self.refused(route("a"), route("b"), a="10.0.0.5", b="10.0.0.5")
        self.assertEqual(["a", "b"], both)

    def test_two_ports_of_one_instance_are_one_guest(self) -> None:
        two = route("b", port=81, instance="a")
        self.assertEqual([], self.refused(route("a"), two))

    def test_another_port_of_novas_address_is_no_other_guest(self) -> None:
        self.assertEqual(["a", "b"], self.refused(route("a"), route("b", port=81)))

    def test_an_operators_address_may_lead_to_a_guest_for_each_port(self) -> None:
        self.assertEqual([], self.refused(self.given("a", 80), self.given("b", 81)))
        same = self.refused(self.given("a", 80), self.given("b", 80))
        self.assertEqual(["a", "b"], same)

    def test_the_error_says_which_and_what_to_do(self) -> None:
        found = {"a": route("a"), "b": route("b")}
        error = resolve.equal_addresses((), found, lambda s: None)["a"]
        self.assertEqual(
            "instance a of service a has the address 10.0.0.5, as instance b of service b has, and "
            "this node reaches only one of them there: set 'floating: true' or 'address: ADDRESS' "
            "in one of the two services",
            str(error),
        )
