"""Snapshots in memory: the newest one, as long as it is fresh."""

from __future__ import annotations

import dataclasses
import math
import unittest

from nova_cachemig.rpc.faults import Faults
from nova_cachemig.scheduler.holder import DAMAGED, SnapshotHolder
from tests.unit.scheduler.fakes import snapshot


class Holding(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.faults = Faults()
        self.holder = SnapshotHolder(self.faults, lambda: self.now)

    def put(self, **fields: object) -> None:
        self.holder.put(dataclasses.replace(snapshot({"a": 1.0}), **fields).to_wire())  # type: ignore[arg-type]

    def sequence(self, max_age: float = 60.0) -> int | None:
        held = self.holder.fresh(max_age)
        return None if held is None else held.sequence

    def test_it_gets_stale_by_our_own_clock(self) -> None:
        self.assertIsNone(self.sequence())
        self.put(made_at=9e9)
        self.now += 60.0
        self.assertEqual(1, self.sequence())
        self.now += 0.1
        self.assertIsNone(self.sequence())
        self.put(sequence=2)
        self.assertEqual(2, self.sequence())

    def test_an_older_one_of_the_same_run_changes_nothing(self) -> None:
        self.put(sequence=5)
        self.now += 59.0
        self.put(sequence=5)
        self.put(sequence=4)
        self.now += 2.0
        self.assertIsNone(self.sequence(), "its age was renewed")
        self.put(run="after a restart", sequence=1)
        self.assertEqual(1, self.sequence())

    def test_nonsense_is_counted_and_the_old_one_kept(self) -> None:
        self.put()
        wire = snapshot({"a": 1.0}, sequence=2).to_wire()
        for bad in (
            None,
            {},
            wire | {"version": 2},
            wire | {"mean": [math.nan]},
            wire | {"mean": 1},
        ):
            self.holder.put(bad)
        self.assertEqual(1, self.sequence())
        self.assertEqual(5, self.faults.counts()[DAMAGED])

    def test_waiting(self) -> None:
        self.assertFalse(self.holder.wait_for(lambda held: True, 0.01))
        self.put(sequence=3)
        self.assertTrue(self.holder.wait_for(lambda held: held.sequence == 3, 0.0))
