"""A few power cuts; ``tests/crash --power-cuts`` does the hundreds."""

from __future__ import annotations

import asyncio
import time
import unittest

from tests.crashing.oplog import Verdict
from tests.crashing.run import Plan, execute


def run(seed: int, *, honours_keys: bool = False, planted: str | None = None) -> Verdict:
    """Cut the power several times under load."""
    plan = Plan(kills=8, writes=150, honours_keys=honours_keys, seed=seed, power=True,
                planted=planted)  # fmt: skip
    return asyncio.run(execute(plan))[1]


class PowerTest(unittest.TestCase):
    def test_acknowledged_writes_survive(self) -> None:
        for honours_keys in (True, False):
            with self.subTest(honours_keys=honours_keys):
                seed = int(time.time())
                verdict = run(seed, honours_keys=honours_keys)
                self.assertEqual({}, verdict.faults, f"seed {seed}")
                self.assertGreater(verdict.acknowledged, 20)

    def test_the_judge_finds_commits_that_are_not_synced(self) -> None:
        verdict = run(7, planted="unsynced")
        self.assertTrue(verdict.faults)
