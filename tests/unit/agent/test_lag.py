"""The lag of the event loop."""

from __future__ import annotations

import asyncio
import time
import unittest

from nova_cachemig.agent.lag import LoopLag


class LoopLagTest(unittest.IsolatedAsyncioTestCase):
    async def until(self, lag: LoopLag, number: int) -> None:
        async with asyncio.timeout(5):
            while sum(lag.lags.copy().counts) < number:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def test_a_loop_that_is_late_is_noticed(self) -> None:
        lag = LoopLag(interval=0.001)
        watch = asyncio.create_task(lag.watch())
        await self.until(lag, 1)
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass  # the loop hangs
        await self.until(lag, sum(lag.lags.copy().counts) + 1)
        watch.cancel()
        counts = lag.lags.copy()
        self.assertGreaterEqual(counts.total, 0.02)
        self.assertGreaterEqual(sum(counts.counts[4:]), 1)  # longer than 25 ms
