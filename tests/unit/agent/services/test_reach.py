"""Which guests were reached: pure."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.services.reach import Change, ReachTable
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Route, Service, Target

SILENT, REFUSED, REACHABLE, OTHER = map(
    Attempt, (Reach.SILENT, Reach.REFUSED, Reach.REACHABLE, Reach.OTHER)
)


def route(name: str = "shop", address: str = "10.0.0.5", port: int = 80) -> Route:
    service = Service(name, "uuid", port, ("192.0.2.1", 80))
    return Route(service, Target(address, port) if address else None)


class ReachTableTest(unittest.TestCase):
    def setUp(self) -> None:
        self.table = ReachTable()

    def record(self, *attempts: Attempt) -> list[Change]:
        return [self.table.record(route(), attempt) for attempt in attempts]

    def test_only_the_first_failure_and_the_first_success_after_it_count(self) -> None:
        self.assertEqual(
            [Change.UNREACHABLE, Change.NONE, Change.REACHED, Change.NONE],
            self.record(SILENT, SILENT, REACHABLE, REACHABLE),
        )

    def test_a_success_at_once_is_no_news(self) -> None:
        self.assertEqual([Change.NONE], self.record(REACHABLE))
        self.assertTrue(self.table.reached(route()))

    def test_a_refused_connection_comes_from_the_guest(self) -> None:
        self.record(REFUSED)
        self.assertEqual((True, None), (
            self.table.reached(route()), self.table.unreachable(route())
        ))  # fmt: skip

    def test_an_error_of_this_node_says_nothing_new_about_the_guest(self) -> None:
        self.record(SILENT, OTHER)
        self.assertIn("it does not respond", self.table.unreachable(route()) or "")

    def test_what_is_shown(self) -> None:
        shown = [self.table.describe(route())]
        for attempt in (SILENT, REACHABLE):
            self.record(attempt)
            shown.append(self.table.describe(route()))
        self.assertEqual(["unknown", "no", "yes"], shown)

    def test_each_guest_is_tried_once_until_it_is_reached(self) -> None:
        routes = [route(), route("b"), route("c", port=81), route("d", address="")]
        self.assertEqual(
            [80, 81], [one.target.port for one in self.table.to_try(routes) if one.target]
        )
        self.record(REACHABLE)
        self.assertEqual([routes[2]], self.table.to_try(routes))

    def test_a_guest_without_an_address_is_not_reached(self) -> None:
        unknown = route(address="")
        self.assertIs(Change.NONE, self.table.record(unknown, REACHABLE))
        self.assertEqual((False, None), (
            self.table.reached(unknown), self.table.unreachable(unknown)
        ))  # fmt: skip

    def test_a_guest_that_is_not_in_use_is_forgotten(self) -> None:
        self.record(REACHABLE)
        self.table.keep([route(), route("b", "10.0.0.6")])
        self.assertTrue(self.table.reached(route()))
        self.table.keep([route("b", "10.0.0.6")])
        self.assertFalse(self.table.reached(route()))

    def test_an_earlier_agent_has_reached_it(self) -> None:
        self.table.assume_reached([route(), route(address="")])
        self.assertTrue(self.table.reached(route()))
        self.assertEqual([], self.table.to_try([route()]))
        self.assertIsNone(self.table.unreachable(route()))
