"""Which guests a change loses and finds: pure."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.services import changes
from nova_cachemig.model.service import Route, Service, Target

SERVICE = Service("a", "u1", 80, ("192.0.2.1", 80))
NONE = Route(SERVICE, None)
KNOWN = Route(SERVICE, Target("10.0.0.5", 80))
ONE = Route(SERVICE, KNOWN.target, "fa:16:3e:00:00:01")
TWO = Route(SERVICE, KNOWN.target, "fa:16:3e:00:00:02")
MOVED = Route(SERVICE, Target("10.0.0.6", 80), ONE.mac)
OTHER = Route(Service("a", "u2", 80, ("192.0.2.1", 80)), KNOWN.target)


class ChangesTest(unittest.TestCase):
    def test_each_change(self) -> None:
        for before, now, lost, found in (
            (ONE, ONE, False, False),
            (KNOWN, ONE, False, False),  # the port is learned
            (ONE, KNOWN, False, False),
            (NONE, NONE, False, False),
            (NONE, ONE, False, True),
            (ONE, NONE, True, False),
            (ONE, TWO, True, True),
            (ONE, MOVED, True, True),
            (KNOWN, OTHER, True, True),
        ):
            with self.subTest(before=before, now=now):
                self.assertEqual([before] * lost, changes.lost({"a": before}, {"a": now}))
                self.assertEqual([now] * found, changes.found({"a": before}, {"a": now}))

    def test_a_new_service_is_found_and_a_removed_one_is_not_lost(self) -> None:
        self.assertEqual([ONE], changes.found({}, {"a": ONE}))
        self.assertEqual([], changes.lost({"a": ONE}, {}))

    def test_a_changed_service_keeps_the_address_of_the_same_guest(self) -> None:
        named = Service("a", "u1", 80, ("192.0.2.1", 80), hosts=("b",))
        self.assertEqual(Route(named, ONE.target, ONE.mac), changes.updated(named, ONE))
        self.assertEqual(Route(OTHER.service, None), changes.updated(OTHER.service, ONE))
        self.assertEqual(Route(named, None), changes.updated(named, None))

    def test_a_doubt_names_the_instance(self) -> None:
        self.assertIn("Nova has changed instance u1", str(changes.DoubtError("u1")))
