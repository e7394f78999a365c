"""The budget of memory for the bodies of responses."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.upload import MemoryBudget
from nova_cachemig.agent.replay.bodies import ResponseBodies


class ResponseBodiesTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.budget = MemoryBudget(20_000)
        self.bodies = ResponseBodies(Spool(Path(directory.name)), 65_536, self.budget)

    def fitting(self) -> list[bool]:
        """Return which lengths may be in memory: a tiny one, the threshold, one byte more."""
        return [self.bodies.fits(length) for length in (4096, 65_536, 65_537)]

    def test_a_body_counts_as_long_as_it_is_used(self) -> None:
        body = self.bodies.in_memory(b"x" * 10_000)
        self.assertEqual((10_000, 10_000), (body.length, self.budget.used))
        del body
        self.assertEqual(0, self.budget.used)

    def test_tiny_bodies_do_not_count(self) -> None:
        body = self.bodies.in_memory(b"x" * 4096)
        self.assertEqual((4096, 0), (body.length, self.budget.used))

    def test_beyond_the_budget_only_tiny_bodies_stay_in_memory(self) -> None:
        self.assertEqual([True, True, False], self.fitting())
        kept = [self.bodies.in_memory(b"x" * 10_000) for _ in range(3)]
        self.assertEqual([True, False, False], self.fitting())
        kept.pop()
        self.assertEqual([True, True, False], self.fitting())
