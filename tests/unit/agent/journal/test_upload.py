"""Bodies that are received piece by piece."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal.spool import Spool, SpoolFile
from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.model.write import Body

THRESHOLD = 20


class UploadTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.spool = Spool(Path(directory.name) / "spool")
        self.spool.prepare()
        self.budget = MemoryBudget(1000)

    def files(self) -> list[Path]:
        return list(self.spool.directory.iterdir())

    async def receive(self, pieces: list[bytes]) -> Body:
        upload = Upload(self.spool, THRESHOLD, self.budget)
        for piece in pieces:
            if upload.add(piece):
                await upload.flush()
        self.assertEqual(sum(map(len, pieces)), upload.length)
        return await upload.seal()

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(max_size=30), max_size=6))
    def test_the_body_is_complete_wherever_it_is(self, pieces: list[bytes]) -> None:
        whole = b"".join(pieces)
        body = asyncio.run(self.receive(pieces))
        self.assertEqual(len(whole), body.length)
        if body.spool is None:
            self.assertEqual(whole, body.data)
        else:
            self.assertEqual(whole, b"".join(self.spool.read(body.spool)))
            self.assertTrue(self.spool.intact(body))
        self.assertEqual(len(whole) > THRESHOLD, body.spool is not None)
        self.assertEqual(0, self.budget.used)

    def test_a_cancelled_upload_leaves_no_file(self) -> None:
        async def cancelled() -> None:
            upload = Upload(self.spool, THRESHOLD, self.budget)
            self.assertTrue(upload.add(b"x" * 30))
            await upload.flush()
            self.assertEqual(1, len(self.files()))
            await upload.cancel()

        asyncio.run(cancelled())
        self.assertEqual([], self.files())

    def test_above_the_budget_bodies_go_to_files_early(self) -> None:
        async def run() -> tuple[list[bool], int]:
            agent = MemoryBudget(30_000)
            uploads = [Upload(self.spool, 1 << 20, MemoryBudget(25_000, agent)) for _ in range(10)]
            due = [upload.add(b"x" * 5000) for upload in uploads]
            self.assertEqual(50_000, agent.used)
            for upload, one in zip(uploads, due, strict=True):
                if one:
                    await upload.flush()
            used = agent.used
            for upload in uploads:
                await upload.cancel()
            self.assertEqual(0, agent.used)
            return due, used

        self.assertEqual(([False] * 6 + [True] * 4, 30_000), asyncio.run(run()))
        self.assertEqual([], self.files())

    def test_a_service_has_its_own_budget(self) -> None:
        agent = MemoryBudget(1000)
        one, other = MemoryBudget(100, agent), MemoryBudget(100, agent)
        one.add(101)
        self.assertEqual((True, False, False), (one.exceeded, other.exceeded, agent.exceeded))
        agent.add(900)
        self.assertTrue(other.exceeded)

    def test_a_file_that_cannot_be_synced_is_deleted_with_the_body(self) -> None:
        async def run() -> None:
            upload = Upload(self.spool, THRESHOLD, self.budget)
            upload.add(b"x" * 30)
            with self.assertRaisesRegex(OSError, "full"):
                await upload.seal()
            await upload.cancel()

        with mock.patch.object(SpoolFile, "seal", side_effect=OSError("full")):
            asyncio.run(run())
        self.assertEqual(([], 0), (self.files(), self.budget.used))

    def test_what_cannot_be_kept_can_be_read_once(self) -> None:
        """The disk is full at the second flush. Nothing of it stays there."""

        async def run() -> bytes:
            upload = Upload(self.spool, 10, self.budget)
            upload.add(b"a" * 30)
            await upload.flush()
            upload.add(b"b" * 40)
            with mock.patch.object(SpoolFile, "write", side_effect=OSError("full")) as full:
                with self.assertRaises(OSError):
                    await upload.flush()
                taken = await upload.take()
                self.assertEqual(2, full.call_count)
            self.assertEqual([], self.files())
            return b"".join(taken)

        self.assertEqual(b"a" * 30 + b"b" * 40, asyncio.run(run()))
        self.assertEqual(0, self.budget.used)
