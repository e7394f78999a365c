"""The sender's gate, its resume delay and the send limit. The writes in flight are elsewhere."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay import sender as sender_module
from nova_cachemig.agent.replay import sockets
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.agent.replay.sender import Sender
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import AcceptedWrite, Body
from tests.functional.replay.path import conf_for, service

HERE = Target("192.0.2.1", 80)


class SenderTest(unittest.IsolatedAsyncioTestCase):
    async def begin(self, window: int = 4, resume_delay: float = 0.0) -> Sender:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        conf = conf_for(directory.name)
        self.journal = Journal(conf)
        await self.journal.open()
        self.addAsyncCleanup(self.journal.close)
        state = await self.journal.queue_state("shop")
        self.queue = WriteQueue(self.journal, service(), state, window)
        self.connecting = asyncio.Event()
        patched = mock.patch.object(sockets, "connect", self.connect)
        patched.start()
        self.addCleanup(patched.stop)
        sender = Sender(
            self.journal, self.queue, conf, lambda _write, _response, then: then(), resume_delay
        )
        sender.start()
        self.addAsyncCleanup(sender.stop, 0.0)
        return sender

    async def connect(self, target: Target, **_options: Any) -> Any:
        self.connecting.set()
        await asyncio.Event().wait()  # the guest never accepts

    async def accept(self) -> AcceptedWrite:
        position = self.queue.take_position()
        write = AcceptedWrite("shop", position, 1.0, "POST", "/", "h", (), Body.of(b"x"), "c")
        accepted, _ = self.queue.append(write, None)
        await accepted
        return write

    async def stored_limit(self) -> int:
        return (await self.journal.queue_state("shop")).send_limit

    async def test_nothing_before_the_guest_is_reachable(self) -> None:
        await self.begin()
        await self.accept()
        self.assertEqual(0, await self.stored_limit())  # two turns of the database's threads
        self.assertFalse(self.connecting.is_set())

    async def test_the_send_limit_is_on_disk_before_anything_is_sent(self) -> None:
        """While it is synced, the agent connects."""
        sender = await self.begin(window=4)
        await self.accept()
        sender.send_to(HERE)
        self.assertEqual(HERE, sender.target)
        await self.connecting.wait()
        while self.queue.send_limit == 0:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self.assertEqual((4, 4), (self.queue.send_limit, await self.stored_limit()))
        self.assertEqual(0, self.queue.in_flight)

    async def test_a_limit_that_is_not_on_disk_allows_nothing(self) -> None:
        sender = await self.begin(window=4)

        def fail(_service: str, _limit: int, done: Any) -> None:
            done(NotAccepted("rejected"))

        with (
            mock.patch.object(sender_module, "_ERROR_PAUSE", 0.01),
            mock.patch.object(self.journal, "raise_send_limit", side_effect=fail),
            self.assertLogs(sender_module.LOG, "ERROR"),
        ):
            await sender._raise_send_limit(1)
        self.assertEqual((0, 0), (self.queue.send_limit, await self.stored_limit()))
        await sender._raise_send_limit(1)
        self.assertEqual((4, 4), (self.queue.send_limit, await self.stored_limit()))

    async def test_hold_stops_the_attempts_to_connect(self) -> None:
        sender = await self.begin()
        await self.accept()
        sender.send_to(HERE)
        await self.connecting.wait()
        sender.hold()
        self.assertFalse(self.queue.gate_open)
        with mock.patch.object(sockets, "connect", side_effect=AssertionError("connected")):
            await sender.stop(0.0)
        self.assertEqual(1, self.queue.waiting)

    async def test_the_resume_delay_counts_once_and_hold_cancels_it(self) -> None:
        sender = await self.begin(resume_delay=3600.0)
        sender.send_to(HERE)
        self.assertFalse(self.queue.gate_open)
        timer = sender._resume_timer
        assert timer is not None
        sender.hold()
        self.assertTrue(timer.cancelled())
        sender.send_to(HERE)
        sender._resume(HERE)  # as the timer does
        self.assertTrue(self.queue.gate_open)
        sender.hold()
        sender.send_to(HERE)
        self.assertTrue(self.queue.gate_open)

    async def test_a_second_request_for_a_limit_shares_the_first(self) -> None:
        sender = await self.begin(window=4)
        first = sender._raise_send_limit(1)
        self.assertIs(first, sender._raise_send_limit(4))
        self.assertIsNot(first, sender._raise_send_limit(5))
        await first
        while self.queue.send_limit < 8:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self.assertEqual(8, await self.stored_limit())
