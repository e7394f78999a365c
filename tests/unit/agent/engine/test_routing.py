"""The binds and maps of a set of routes."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.routing import binds_of, routing
from nova_cachemig.model.service import Route, Service, Target, Tls

GUEST = Target("10.1.0.5", 8080)


def route(name: str, target: Target | None = GUEST, **fields: object) -> Route:
    values = {"instance": "i", "port": 80, "listen": ("10.0.0.1", 80), **fields}
    return Route(Service(name=name, **values), target)  # type: ignore[arg-type]


class Counted(str):
    """An address that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


class RoutingTest(unittest.TestCase):
    def test_maps_and_binds(self) -> None:
        found = routing(
            [
                route("a b", hosts=("a.example",), client_cookie="sid"),
                route("c", None, hosts=("c.example",)),
                route("d", listen=("10.0.0.2", 80)),
            ]
        )
        self.assertEqual({"10.0.0.1:80", "10.0.0.2:80"}, found.binds)
        self.assertEqual(
            {"a.example|10.0.0.1:80": "a%20b", "c.example|10.0.0.1:80": "c", "10.0.0.2:80": "d"},
            found.routes,
        )
        self.assertEqual({"a%20b": "10.1.0.5|8080", "d": "10.1.0.5|8080"}, found.targets)
        self.assertEqual({"a%20b": "sid"}, found.cookies)

    def test_the_cost_grows_with_the_services_not_with_their_square(self) -> None:
        routes = [
            route(f"s{n}", listen=(Counted("10.0.0.1"), 80), hosts=(f"s{n}.example",))
            for n in range(300)
        ]
        Counted.compared = 0
        self.assertEqual(300, len(routing(routes).served))
        self.assertLess(Counted.compared, 20 * len(routes))

    def test_only_the_owner_of_an_address_needs_no_host(self) -> None:
        one, two = route("a", hosts=("a.example",)), route("b", hosts=("b.example",))
        self.assertEqual("a", routing([one]).routes["|10.0.0.1:80"])
        self.assertNotIn("|10.0.0.1:80", routing([one, two]).routes)

    def test_a_service_may_choose_whether_the_clients_address_is_sent(self) -> None:
        found = routing([route("a", forwarded_for=False)])
        self.assertEqual({"a": "10.1.0.5|8080|no-xff"}, found.targets)

    def test_of_two_services_that_conflict_the_first_is_served(self) -> None:
        for routes, message in (
            ([route("a"), route("b")], "services a and b both claim 10.0.0.1:80"),
            ([route("a"), route("a", listen=("10.0.0.2", 80))], "service a is defined twice"),
            ([route("a", hosts=("x.example",)), route("b")], "service b has no host names but"),
            ([route("a"), route("b", hosts=("x.example",))], "service a has no host names but"),
        ):
            with self.subTest(message):
                found = routing([*routes, route("z", listen=("10.0.0.9", 80))])
                self.assertIn("a", found.served)
                self.assertIn("z", found.served)
                (refused,) = found.refused.values()
                self.assertIn(message, refused)

    def test_a_service_that_failed_is_refused_and_keeps_its_route(self) -> None:
        routes = [route("a"), route("b", listen=("10.0.0.2", 80))]
        found = routing(routes, failed={"a": "no certificate"})
        self.assertEqual(({"a": "no certificate"}, ["b"]), (found.refused, list(found.served)))
        found = routing(routes, before={"a": route("a")}, failed={"a": "no certificate"})
        self.assertEqual({"a", "b"}, set(found.served))

    def test_an_address_expects_the_proxy_protocol_for_all_services_or_none(self) -> None:
        one = route("a", hosts=("a.example",), accept_proxy=True)
        found = routing([one, route("b", hosts=("b.example",))])
        self.assertIn("either both have accept_proxy", found.refused["b"])

    def test_tls_and_plain_http_do_not_share_an_address(self) -> None:
        one = route("a", hosts=("a.example",), tls=Tls(("/a.pem",)))
        found = routing([one, route("b", hosts=("b.example",))])
        self.assertIn("either both have tls, or none", found.refused["b"])

    def test_a_malformed_service_is_refused_alone(self) -> None:
        for bad in (
            route("bad", listen=("shop.example", 80)),
            route("bad", listen=("fe80::1%eth0", 80)),
            route("bad", listen=("10.0.0.2", 0)),
            route("bad", Target("not an address", 80)),
            route("bad", hosts=("a b",)),
            route(""),
            *(route("bad", client_cookie=cookie) for cookie in ("", "a b", "a;b", 'a"b', "a" * 65)),
        ):
            with self.subTest(bad):
                found = routing([bad, route("good")])
                self.assertEqual({"good": route("good")}, found.served)
                self.assertEqual([bad.service.name], list(found.refused))
                self.assertEqual({"10.0.0.1:80": "good"}, found.routes)

    def test_any_token_may_name_the_cookie(self) -> None:
        found = routing([route("a", client_cookie="my+cookie")])
        self.assertEqual(({"a": "my+cookie"}, {}), (found.cookies, found.refused))

    def test_an_address_that_cannot_be_used_is_refused_alone(self) -> None:
        found = routing(
            [route("a"), route("b", listen=("10.0.0.2", 80))], {"10.0.0.2:80": "cannot listen"}
        )
        self.assertEqual(({"10.0.0.1:80"}, ["b"]), (found.binds, list(found.refused)))

    def test_a_refused_change_leaves_the_present_route_of_the_same_instance(self) -> None:
        before = {"a": route("a")}
        bad = route("a", listen=("10.0.0.2", 80))
        found = routing([bad], {"10.0.0.2:80": "cannot listen"}, before)
        self.assertEqual((before, ["a"]), (found.served, list(found.refused)))
        other = route("a", listen=("10.0.0.2", 80), instance="another")
        self.assertEqual({}, routing([other], {"10.0.0.2:80": "cannot listen"}, before).served)
        taken = route("b")
        found = routing([bad, taken], {"10.0.0.2:80": "cannot listen"}, before)
        self.assertEqual({"b": taken}, found.served)

    def test_binds(self) -> None:
        routes = [route("a"), route("b", listen=("bad", 80))]
        self.assertEqual({"10.0.0.1:80"}, binds_of(routes))
