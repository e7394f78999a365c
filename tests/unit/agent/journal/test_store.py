"""The journal as one: accept, record, restart, delete."""

from __future__ import annotations

import asyncio
import functools
import tempfile
import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent.journal import committer, store
from nova_cachemig.agent.journal.errors import (
    AcceptanceUnknown,
    JournalError,
    JournalLocked,
    NotAccepted,
)
from nova_cachemig.agent.journal.failpoints import Failpoints
from nova_cachemig.agent.journal.queries import POSITION
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse, WriteState
from tests.functional.replay.path import conf_for

RESPONSE = GuestResponse(201, (("x", "1"),), Body.of(b"made"))


def write(position: int, method: str = "POST", body: Body | None = None) -> AcceptedWrite:
    body = Body.of(b"x") if body is None else body
    return AcceptedWrite("shop", position, 1.0, method, "/", "h", (), body, "c")


class JournalTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    async def opened(self, *armed: str, **options: Any) -> Journal:
        self.journal = Journal(conf_for(self.directory, **options), Failpoints(armed))
        self.recovered = await self.journal.open()
        self.addAsyncCleanup(self.journal.close)
        await self.journal.queue_state("shop")
        return self.journal

    async def wait(self, start: Any, *args: Any, **options: Any) -> None:
        """Call a method that takes a callback, and wait for that."""
        future: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        start(*args, **options, done=future.set_result)
        if (error := await future) is not None:
            raise error

    async def accept(self, one: AcceptedWrite) -> None:
        await self.wait(self.journal.append, one, None, None)

    async def respond(self, one: AcceptedWrite, *, keep: bool) -> None:
        self.journal.log_sent(one)
        self.assertTrue(self.journal.log_response(one, RESPONSE))
        await self.wait(self.journal.record_response, one, RESPONSE, keep=keep, can_wait=False)

    async def test_one_agent_at_a_time(self) -> None:
        await self.opened()
        with self.assertRaises(JournalLocked):
            await Journal(conf_for(self.directory)).open()
        await self.journal.close()
        await self.opened()

    async def test_an_open_that_fails_unlocks(self) -> None:
        with self.assertRaisesRegex(JournalError, "key_file is not set"):
            await Journal(conf_for(self.directory, encryption="file")).open()
        await self.opened()

    async def test_a_refused_append(self) -> None:
        await self.opened("appended=fail@2")  # the first is queue_state()
        with self.assertRaises(NotAccepted):
            await self.accept(write(1))
        self.assertEqual({}, await self.journal.unfinished())

    async def test_an_append_whose_outcome_stays_unknown_is_withdrawn(self) -> None:
        """Its spool file stays until the row is certainly not there."""
        await self.opened("synced=fail@2")
        spooled = self.journal.spool.create().seal()
        path = self.journal.spool.directory / str(spooled.spool)
        told: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        there: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        one = write(1, body=spooled)
        withdrawn = functools.partial(there.set_result, True)
        with mock.patch.object(committer, "_GIVE_UP_APPENDS", 0.0):
            self.journal.append(one, None, None, told.set_result, withdrawn)
            self.assertIsInstance(await told, AcceptanceUnknown)
            self.assertTrue(await there)
        self.assertIsNone(await self.journal.find("shop", 1))
        await self.accept(write(2))
        await self.journal.close()
        self.assertFalse(path.exists())

    async def test_abandoned_writes_are_the_operators(self) -> None:
        await self.opened()
        for position in (1, 2, 3, 4):
            await self.accept(write(position, "PUT"))
        await self.respond(write(1, "PUT"), keep=True)
        self.journal.log_sent(write(2, "PUT"))
        await self.wait(self.journal.abandon, "shop", 3, "too late", (2,))
        states = []
        for position in (1, 2, 3, 4):
            found = await self.journal.find("shop", position)
            assert found is not None
            states.append(found.state)
        doubt = WriteState.IN_DOUBT
        self.assertEqual([WriteState.RESPONDED, doubt, doubt, WriteState.ACCEPTED], states)
        await self.journal.close()
        await self.opened()
        self.assertEqual(((), 1), (self.recovered.resent, self.recovered.waiting))

    async def test_responses_are_kept_or_the_write_is_deleted(self) -> None:
        await self.opened()
        for position, keep in ((1, True), (2, False)):
            await self.accept(write(position))
            await self.respond(write(position), keep=keep)
        found = await self.journal.find("shop", 1)
        assert found is not None
        self.assertEqual((WriteState.RESPONDED, RESPONSE), (found.state, found.response))
        self.assertIsNone(await self.journal.find("shop", 2))
        self.assertEqual(0, await self.journal.delete_expired(1.0))
        self.assertIsNotNone(await self.journal.find("shop", 1))
        await self.journal.delete_expired(1e12)
        self.assertIsNone(await self.journal.find("shop", 1))

    async def test_the_oldest_kept_responses_lose_their_bodies(self) -> None:
        await self.opened(max_kept=1000)
        body = Body.of(b"x" * 300)
        for position in range(1, 11):
            await self.accept(write(position))
            response = GuestResponse(201, (("x", "1"),), body)
            self.journal.log_sent(write(position))
            self.journal.log_response(write(position), response)
            record = self.journal.record_response
            await self.wait(record, write(position), response, keep=True, can_wait=False)
        await self.journal.run(lambda _connection: None)  # which the last deletion precedes
        found = [await self.journal.find("shop", position) for position in range(1, 11)]
        kept = [one.response.body.length for one in found if one and one.response]
        self.assertEqual(10, len(kept))
        self.assertTrue(0 < sum(kept) <= 1000, kept)
        self.assertEqual(sorted(kept), kept)
        assert found[0] is not None and found[0].response is not None
        self.assertEqual((201, "1"), (found[0].response.status, found[0].response.header("x")))
        self.assertIn("no longer kept", found[0].response.header("cachemig-write") or "")
        await self.journal.close()
        await self.opened(max_kept=1000)
        self.assertEqual({"shop": sum(kept)}, dict(self.journal._kept._bytes))

    async def test_a_crash_leaves_the_state_in_the_progress_log(self) -> None:
        await self.opened()
        for position, method in enumerate(("POST", "PUT", "POST", "POST"), 1):
            await self.accept(write(position, method))
        for position in (1, 2, 3):
            self.journal.log_sent(write(position))
        self.journal.log_response(write(3), RESPONSE)
        await self.journal.close()  # like a kill: nothing of this is in the database
        await self.opened()
        found = self.recovered
        self.assertEqual(
            (("shop/1",), ("shop/2",), 1, 2),
            (found.in_doubt, found.resent, found.responded, found.waiting),
        )
        self.assertTrue(found.may_be_in_flight("shop"))
        rows = await self.journal.waiting("shop", 0, 9)
        self.assertEqual([2, 4], [row[POSITION] for row in rows])

    async def test_a_second_crash_still_finds_what_the_guest_may_process(self) -> None:
        await self.opened()
        for position in (1, 2):
            await self.accept(write(position, "PUT"))
        self.journal.log_sent(write(1, "PUT"))
        for _crash in range(2):
            await self.journal.close()
            with self.assertLogs(store.LOG, "INFO") as logs:
                await self.opened()
            self.assertEqual((("shop/1",), 2), (self.recovered.resent, self.recovered.waiting))
            self.assertIn("Found 2 writes without a response; 1 of them", logs.output[-1])
            self.assertTrue(self.recovered.may_be_in_flight("shop"))

    async def test_orphaned_spool_files_are_deleted_at_the_start(self) -> None:
        await self.opened()
        files = [self.journal.spool.create() for _ in range(2)]
        for file in files:
            file.write(b"content")
        kept, _orphan = (file.seal() for file in files)
        await self.accept(write(1, "PUT", kept))
        await self.journal.close()
        await self.opened()
        left = await asyncio.to_thread(lambda: [*self.journal.spool.directory.iterdir()])
        self.assertEqual([kept.spool], [path.name for path in left])

    async def test_quarantine(self) -> None:
        await self.opened()
        await self.accept(write(1))
        await self.journal.quarantine("shop", 1, WriteState.IN_DOUBT, "lost")
        found = await self.journal.find("shop", 1)
        assert found is not None
        self.assertEqual((WriteState.IN_DOUBT, "lost"), (found.state, found.note))

    async def test_a_response_that_cannot_be_logged_leaves_doubt(self) -> None:
        await self.opened()
        full = OSError(28, "full")
        with (
            mock.patch.object(self.journal._progress, "log_response", side_effect=full),
            self.assertLogs(store.LOG, "WARNING") as logs,
        ):
            self.assertFalse(self.journal.log_response(write(1), RESPONSE))
        self.assertIn("shop/1", logs.output[0])
