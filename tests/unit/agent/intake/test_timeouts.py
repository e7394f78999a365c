"""Timeouts that share one timer."""

from __future__ import annotations

import asyncio
import unittest
from unittest import mock

from nova_cachemig.agent.intake.timeouts import AcceptanceTimeouts
from nova_cachemig.agent.replay.entries import Request


class AcceptanceTimeoutsTest(unittest.IsolatedAsyncioTestCase):
    """The loop's clock and timers are the test's."""

    async def asyncSetUp(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timeouts = AcceptanceTimeouts()
        self.timers: list[float] = []
        self.time = 0.0

        def call_at(when: float, *_callback: object) -> mock.Mock:
            self.timers.append(when)
            return mock.Mock(spec=asyncio.TimerHandle)

        def call_later(delay: float, *callback: object) -> mock.Mock:
            return call_at(self.time + delay, *callback)

        for name, fake in (
            ("time", lambda: self.time),
            ("call_at", call_at),
            ("call_later", call_later),
        ):
            patch = mock.patch.object(self.loop, name, fake)
            patch.start()
            self.addCleanup(patch.stop)

    def started_at(self, time: float) -> Request:
        """Begin a wait of 15 s."""
        self.time = time
        request = Request(self.loop.create_future(), self.loop.create_future())
        self.timeouts.start(request, 15.0)
        return request

    async def test_each_wait_ends_at_its_own_time(self) -> None:
        first, second = self.started_at(0.0), self.started_at(5.0)
        self.assertEqual([15.0], self.timers)
        self.time = 15.0
        self.timeouts._ring()
        self.assertEqual((True, False), (first.accepted.done(), second.accepted.done()))
        self.assertFalse(first.accepted.result())
        self.assertEqual([15.0, 20.0], self.timers)
        self.time = 20.0
        self.timeouts._ring()
        self.assertFalse(second.accepted.result())
        self.assertEqual([15.0, 20.0], self.timers)

    async def test_a_wait_that_is_over_does_not_end_again(self) -> None:
        over, other = self.started_at(0.0), self.started_at(1.0)
        self.timeouts.stop(over)
        self.time = 15.0
        self.timeouts._ring()
        self.assertEqual((False, False), (over.accepted.done(), other.accepted.done()))
        self.assertEqual([15.0, 16.0], self.timers)

    async def test_after_a_quiet_time_there_is_a_timer_again(self) -> None:
        self.timeouts.stop(self.started_at(0.0))
        self.time = 15.0
        self.timeouts._ring()
        late = self.started_at(30.0)
        self.assertEqual([15.0, 45.0], self.timers)
        self.time = 45.0
        self.timeouts._ring()
        self.assertTrue(late.accepted.done())
