"""Attempts to connect to a guest that may not be reachable yet."""

from __future__ import annotations

import asyncio
import unittest
from unittest import mock

from nova_cachemig.agent.replay import connector
from nova_cachemig.agent.replay.connection import GuestConnection

Outcome = asyncio.Future[GuestConnection]


class ConnectTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        for name in ("_FIRST_ATTEMPT", "_LAST_ATTEMPT", "REFUSED_PAUSE"):
            self.enterContext(mock.patch.object(connector, name, 0))
        self.attempts: list[Outcome] = []
        self.most = 0  # open at a time

    def made(self) -> mock.Mock:
        return mock.Mock(spec=GuestConnection)

    async def attempt(self) -> GuestConnection:
        self.attempts.append(asyncio.get_running_loop().create_future())
        self.most = max(self.most, sum(not one.done() for one in self.attempts))
        return await self.attempts[-1]

    async def begin(self, attempts: int) -> asyncio.Task[GuestConnection]:
        """Return when so many attempts were made, the last of which is open."""
        task = asyncio.create_task(connector.connect(self.attempt))
        async with asyncio.timeout(5):
            while len(self.attempts) < attempts:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return task

    async def test_an_attempt_that_hangs_is_followed_by_others(self) -> None:
        task = await self.begin(7)
        connection = self.made()
        chosen = self.attempts[-1]
        chosen.set_result(connection)
        self.assertIs(connection, await task)
        self.assertEqual(4, self.most)
        self.assertTrue(all(one.cancelled() for one in self.attempts if one is not chosen))
        connection.close.assert_not_called()

    async def test_an_old_attempt_may_be_the_first_to_succeed(self) -> None:
        task = await self.begin(3)
        self.attempts[0].set_result(connection := self.made())
        self.assertIs(connection, await task)

    async def test_a_refused_attempt_is_repeated(self) -> None:
        task = await self.begin(1)
        self.attempts[0].set_exception(ConnectionRefusedError())
        async with asyncio.timeout(5):
            while len(self.attempts) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        self.attempts[-1].set_result(connection := self.made())
        self.assertIs(connection, await task)

    async def test_a_second_connection_is_closed(self) -> None:
        task = await self.begin(3)
        connections = [self.made(), self.made()]
        for attempt, connection in zip(self.attempts[-2:], connections, strict=True):
            attempt.set_result(connection)
        chosen = await task
        for connection in connections:
            self.assertEqual(connection is not chosen, connection.close.called)

    async def test_a_cancelled_connect_leaves_nothing_open(self) -> None:
        task = await self.begin(3)
        self.attempts[-1].set_result(connection := self.made())
        await asyncio.sleep(0)  # the attempt is about to return it
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        connection.close.assert_called_once()
        self.assertTrue(all(one.done() for one in self.attempts))
