"""The bodies of responses: kept in files, or for their clients only."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Iterator
from typing import Any
from unittest import mock

from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.agent.replay import keeping
from nova_cachemig.agent.replay.keeping import Keeper
from nova_cachemig.agent.replay.reports import Complete, Reports
from nova_cachemig.agent.replay.wire import Wire
from nova_cachemig.model.write import Body, GuestResponse

DATA = b"all of it"


class KeeperTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.wire = mock.Mock(spec=Wire)
        self.reports = Reports()
        self.keeper = Keeper("test", self.wire, self.reports, MemoryBudget(1 << 20))
        self.reported: asyncio.Future[GuestResponse] = asyncio.get_running_loop().create_future()
        self.upload = mock.AsyncMock(spec=Upload, length=len(DATA))
        self.upload.seal.return_value = Body.of(DATA)
        self.upload.take.side_effect = self.take

    async def take(self) -> Iterator[bytes]:
        return iter((DATA[:4], DATA[4:]))

    def add(self) -> Complete:
        response = GuestResponse(201, (), Body.of(b""))
        made = Complete(self.reported.set_result, response, sealed=False)
        self.reports.add(made)
        return made

    async def rest(self, response: GuestResponse) -> bytes:
        assert response.tail is not None
        got = b""
        while part := await response.tail.read():
            got += part
        return got

    async def test_a_body_in_a_file(self) -> None:
        self.keeper.seal(self.add(), self.upload)
        found = await self.reported
        self.assertEqual((201, DATA, None), (found.status, found.body.data, found.tail))

    async def test_a_body_that_cannot_be_kept_is_for_its_client(self) -> None:
        self.upload.seal.side_effect = OSError(28, "no room")
        with self.assertLogs(keeping.LOG):
            self.keeper.seal(self.add(), self.upload)
            found = await self.reported
        self.assertTrue(found.body_is_lost)
        self.assertEqual(DATA, await self.rest(found))

    async def test_a_body_that_cannot_be_read_either(self) -> None:
        self.upload.flush.side_effect = self.upload.take.side_effect = OSError(5, "broken")
        with self.assertLogs(keeping.LOG):
            self.keeper.seal(self.add(), self.upload)
            found = await self.reported
        self.assertEqual((True, None), (found.body_is_lost, found.tail))

    async def test_the_guest_waits_while_a_part_is_written(self) -> None:
        written = asyncio.Event()
        self.upload.flush.side_effect = written.wait
        self.keeper.flush(self.upload, self.fail)
        self.keeper.seal(self.add(), self.upload)
        await asyncio.sleep(0)
        self.assertEqual([mock.call(False)], self.wire.read_on.call_args_list)
        self.assertFalse(self.upload.seal.called)
        written.set()
        await self.reported
        self.assertEqual(mock.call(True), self.wire.read_on.call_args_list[-1])

    async def test_a_part_that_cannot_be_written(self) -> None:
        self.upload.flush.side_effect = OSError(28, "no room")
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self.assertLogs(keeping.LOG):
            self.keeper.flush(self.upload, found.set_result)
            self.assertIs(self.upload, await found)
        await asyncio.sleep(0)
        self.wire.read_on.assert_called_with(True)

    async def test_the_part_in_a_file_comes_before_what_arrives_later(self) -> None:
        complete, live = self.add(), self.keeper.live_body()
        self.keeper.take_part(complete, self.upload, live)
        live.feed(b"!")
        await self.reported
        self.assertEqual([DATA[:4], DATA[4:], b"!"], [await live.next() for _ in range(3)])
