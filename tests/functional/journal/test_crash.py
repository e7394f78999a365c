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
    def verdict(self, *, honours_keys: bool) -> Verdict:
        plan = Plan(kills=12, writes=200, honours_keys=honours_keys, seed=int(time.time()))
        _, verdict = asyncio.run(execute(plan))
        wrong = (verdict.lost, verdict.doubled, verdict.reordered, verdict.refused_but_applied,
                 verdict.in_doubt_unlisted)  # fmt: skip
        self.assertEqual(((), (), (), (), ()), wrong, f"seed {plan.seed}")
        self.assertGreater(verdict.acknowledged, 20)
        return verdict

    def test_keys_are_honoured(self) -> None:
        self.assertEqual(0, self.verdict(honours_keys=True).in_doubt_listed)

    def test_keys_are_not_honoured(self) -> None:
        self.verdict(honours_keys=False)


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
