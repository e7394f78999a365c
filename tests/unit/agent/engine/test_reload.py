"""The handovers for which a reload of the edge waits, and for how long."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.reload import PATIENCE, ReloadGate
from nova_cachemig.model.phase import EdgeState


class ReloadGateTest(unittest.TestCase):
    def setUp(self) -> None:
        self.gate = ReloadGate()

    def blocking(self, now: float, **states: EdgeState) -> list[str]:
        return self.gate.blocking(states, ["shop", "blog"], now)

    def test_it_waits_for_every_handover_at_first(self) -> None:
        found = self.blocking(0.0, shop=EdgeState.ARMED, blog=EdgeState.SHIELDED)
        self.assertEqual(["shop", "blog"], found)
        self.assertEqual([], self.blocking(1.0))

    def test_a_service_without_a_route_has_no_clients(self) -> None:
        self.assertEqual([], self.blocking(0.0, removed=EdgeState.SHIELDED))

    def test_overlapping_handovers_do_not_delay_it_without_end(self) -> None:
        self.blocking(0.0, shop=EdgeState.ARMED)
        self.assertEqual(["blog"], self.blocking(PATIENCE - 1, blog=EdgeState.ARMED))
        self.assertEqual([], self.blocking(PATIENCE, shop=EdgeState.ARMED))

    def test_it_waits_longer_for_held_requests_of_a_short_blackout(self) -> None:
        self.blocking(0.0, shop=EdgeState.ARMED)
        self.gate.record("shop", EdgeState.SHIELDED, PATIENCE - 1)
        self.gate.record("shop", EdgeState.REPLAY, PATIENCE)
        self.assertEqual(["shop"], self.blocking(PATIENCE + 1, shop=EdgeState.REPLAY))
        self.assertEqual([], self.blocking(2 * PATIENCE, shop=EdgeState.REPLAY))

    def test_the_next_blackout_of_a_service_counts_anew(self) -> None:
        self.gate.record("shop", EdgeState.SHIELDED, 0.0)
        self.gate.record("shop", EdgeState.PASS, 1.0)
        self.blocking(0.0, blog=EdgeState.ARMED)
        self.gate.record("shop", EdgeState.SHIELDED, PATIENCE)
        self.assertEqual(["shop"], self.blocking(PATIENCE + 1, shop=EdgeState.SHIELDED))

    def test_a_blackout_from_before_a_restart_counts_from_now(self) -> None:
        self.blocking(0.0, shop=EdgeState.SHIELDED)
        self.assertEqual(["shop"], self.blocking(PATIENCE, shop=EdgeState.SHIELDED))
        self.assertEqual([], self.blocking(2 * PATIENCE, shop=EdgeState.SHIELDED))

    def test_after_a_reload_the_next_one_waits_again(self) -> None:
        self.blocking(0.0, shop=EdgeState.ARMED)
        self.gate.reloaded()
        self.assertEqual(["shop"], self.blocking(PATIENCE, shop=EdgeState.ARMED))
