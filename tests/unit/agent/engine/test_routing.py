"""The binds and maps of a set of routes."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.routing import routing
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Route, Service, Target

GUEST = Target("10.1.0.5", 8080)


def route(name: str, target: Target | None = GUEST, **fields: object) -> Route:
    values = {"instance": "i", "port": 80, "listen": ("10.0.0.1", 80), **fields}
    return Route(Service(name=name, **values), target)  # type: ignore[arg-type]


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
            {"10.0.0.1:80|a.example": "a%20b", "10.0.0.1:80|c.example": "c", "10.0.0.2:80": "d"},
            found.routes,
        )
        self.assertEqual({"a%20b": "10.1.0.5|8080", "d": "10.1.0.5|8080"}, found.targets)
        self.assertEqual({"a%20b": "sid"}, found.cookies)

    def test_conflicts_name_the_services(self) -> None:
        with self.assertRaisesRegex(ComponentError, "services a and b both claim 10.0.0.1:80"):
            routing([route("a"), route("b")])
        with self.assertRaisesRegex(ComponentError, "service a is defined twice"):
            routing([route("a"), route("a", listen=("10.0.0.2", 80))])
        with self.assertRaisesRegex(ComponentError, "service b has no host names but shares"):
            routing([route("a", hosts=("x.example",)), route("b")])

    def test_a_cookie_that_is_no_word_is_refused(self) -> None:
        for cookie in ("", "a b", "a;b", 'a"b'):
            with self.assertRaisesRegex(ComponentError, "service a: .* is not a cookie's name"):
                routing([route("a", client_cookie=cookie)])
