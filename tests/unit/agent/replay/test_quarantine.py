"""A write is quarantined on disk before the queue goes on without it."""

from __future__ import annotations

import asyncio
import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.queries import UnreadableWrite
from nova_cachemig.agent.replay import quarantine
from nova_cachemig.agent.replay.quarantine import Quarantine
from nova_cachemig.model.write import NO_BODY, AcceptedWrite, WriteState

WRITE = AcceptedWrite("shop", 7, 1.0, "POST", "/", "h", (), NO_BODY, "c")


class QuarantineTest(unittest.IsolatedAsyncioTestCase):
    def make(self, *results: BaseException | None) -> Quarantine:
        self.events: list[tuple[Any, ...]] = []
        left = list(results)

        async def to_disk(service: str, position: int, state: WriteState, why: str) -> None:
            self.events.append(("disk", service, position, state, why))
            if left and (error := left.pop(0)) is not None:
                raise error

        queue = mock.Mock()
        queue.finish_quarantined = lambda write, why: self.events.append(("queue", write, why))

        def on_response(write: AcceptedWrite, response: None, release: Any) -> None:
            self.events.append(("response", write, response))

        return Quarantine(mock.Mock(quarantine=to_disk), queue, on_response)

    async def test_in_the_background(self) -> None:
        made = self.make()
        made.start(WRITE, "lost: EPIPE", "lost")
        self.assertEqual([], self.events)
        while len(self.events) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        self.assertEqual(
            [("disk", "shop", 7, WriteState.IN_DOUBT, "lost: EPIPE"), ("queue", WRITE, "lost"),
             ("response", WRITE, None)],
            self.events,
        )  # fmt: skip

    async def test_tried_again_until_it_is_on_disk(self) -> None:
        made = self.make(JournalError("away"), None)
        with mock.patch.object(quarantine, "_RETRY_PAUSE", 0), self.assertLogs(quarantine.LOG):
            await made.put_damaged(WRITE, "why")
        self.assertEqual(["disk", "disk", "queue", "response"], [e[0] for e in self.events])

    async def test_an_unreadable_write_has_no_client(self) -> None:
        unreadable = UnreadableWrite("shop", 3, "checksum")
        await self.make().put_damaged(unreadable, "checksum")
        self.assertEqual(["disk", "queue"], [event[0] for event in self.events])

    async def test_stop_cancels(self) -> None:
        made = self.make(*[JournalError("away")] * 9)
        made.start(WRITE, "lost: EPIPE", "lost")
        with self.assertLogs(quarantine.LOG):
            while not self.events:  # noqa: ASYNC110
                await asyncio.sleep(0)
            await made.stop()
        self.assertEqual(["disk"], [event[0] for event in self.events])
        self.assertEqual(set(), made._tasks)
