"""A few kills of a real process; ``tests/crash`` does the thousands."""

from __future__ import annotations

import asyncio
import tempfile
import time
import unittest

from nova_cachemig.agent.journal.errors import JournalLocked
from nova_cachemig.agent.writes import Writes
from tests.crashing.oplog import Verdict
from tests.crashing.run import Plan, execute
from tests.functional.replay.path import conf_for


class CrashTest(unittest.TestCase):
    def verdict(self, *, honours_keys: bool, edge: bool = False) -> Verdict:
        plan = Plan(12, 200, honours_keys=honours_keys, seed=int(time.time()), edge=edge)
        _, verdict = asyncio.run(execute(plan))
        self.assertEqual({}, verdict.faults, f"seed {plan.seed}")
        self.assertGreater(verdict.acknowledged, 20)
        return verdict

    def test_keys_are_honoured(self) -> None:
        self.assertEqual(0, self.verdict(honours_keys=True).in_doubt_listed)

    def test_keys_are_not_honoured(self) -> None:
        self.verdict(honours_keys=False)

    def test_behind_an_edge(self) -> None:
        for honours_keys in (True, False):
            with self.subTest(honours_keys=honours_keys):
                verdict = self.verdict(honours_keys=honours_keys, edge=True)
                self.assertGreater(verdict.reads, 20)
                self.assertGreater(verdict.handovers, 2)


class OneAgentTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_second_agent_is_refused_and_the_first_goes_on(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            first, second = Writes(conf_for(directory)), Writes(conf_for(directory))
            await first.start()
            with self.assertRaises(JournalLocked):
                await second.start()
            self.assertEqual({}, await first.unfinished())
            await first.stop()
            await second.start()
            await second.stop()
