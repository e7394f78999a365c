"""A snapshot as columns: one row per host, and one for unknown hosts."""

from __future__ import annotations

import unittest

import numpy as np

from nova_cachemig.model.snapshot import Snapshot
from nova_cachemig.scheduler.columns import Columns
from tests.unit.scheduler.fakes import snapshot


class Rows(unittest.TestCase):
    def test_hosts_are_found_and_others_have_no_number(self) -> None:
        held = Columns.of(snapshot({"a": 5.0, "b": 7.0}, {"b": (50.0, 70.0, 90.0)}))
        rows = held.rows(["b", "x", "a"])
        self.assertEqual([7.0, 5.0], held.mean[rows[[0, 2]]].tolist())
        self.assertTrue(np.isnan(held.mean[rows[1]]))
        chances = held.peak.exceedance(rows, np.array([70.0, 70.0, 70.0]))
        self.assertAlmostEqual(0.5, chances[0])
        self.assertTrue(np.isnan(chances[1]))
        self.assertEqual(0.0, chances[2])

    def test_the_empty_one(self) -> None:
        held = Columns.of(Snapshot.empty())
        self.assertTrue(np.isnan(held.mean[held.rows(["a"])]).all())
