"""The piece of work that tells how slow the machine is."""

from __future__ import annotations

import asyncio
import unittest

from tools.measurement.speed import Speedometer, piece, waited


class SpeedometerTest(unittest.TestCase):
    def test_a_piece_takes_time(self) -> None:
        self.assertGreater(piece(), 0)

    def test_samples_until_it_is_cancelled(self) -> None:
        meter = Speedometer()

        async def scenario() -> None:
            zero = asyncio.get_running_loop().time()
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await meter.run(zero)

        asyncio.run(scenario())
        self.assertGreaterEqual(len(meter.samples), 2)
        self.assertLess(meter.samples[0][0], meter.samples[-1][0])

    def test_what_the_kernel_says_grows(self) -> None:
        before, after = waited(), waited()
        self.assertEqual(before is None, after is None)
        self.assertLessEqual(before or 0.0, after or 0.0)
