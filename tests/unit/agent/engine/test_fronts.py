"""The map of front addresses."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine import fronts
from nova_cachemig.model.service import Route, Service


def route(name: str, trusted_proxies: tuple[str, ...] | None = None) -> Route:
    service = Service(name, "i", 80, ("10.0.0.1", 80), trusted_proxies=trusted_proxies)
    return Route(service, None)


class EntriesTest(unittest.TestCase):
    def test_a_service_replaces_the_default(self) -> None:
        routes = [route("a b"), route("own", ("10.0.0.0/24", "::/0")), route("none", ())]
        self.assertEqual({"own": "10.0.0.0/24+::/0"}, fronts.entries(routes, []))
        self.assertEqual(
            {"a%20b": "10.9.0.0/16", "own": "10.0.0.0/24+::/0"},
            fronts.entries(routes, ["10.9.0.0/16"]),
        )
