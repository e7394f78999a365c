"""Reads of the journal, also while its database is away."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sqlalchemy as sa

from nova_cachemig.agent.journal import queries, reader
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import Body
from tests.functional.replay.path import conf_for

REFUSED = sa.exc.OperationalError("", {}, OSError("refused"))


class ReaderTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.journal = Journal(conf_for(self.directory))
        await self.journal.open()
        self.addAsyncCleanup(self.journal.close)

    async def test_a_read_waits_for_the_database(self) -> None:
        tries = iter([REFUSED, REFUSED])

        def query(_connection: sa.Connection) -> str:
            for error in tries:
                raise error
            return "found"

        self.assertEqual("found", await self.journal.read(query))

    async def test_a_read_gives_up(self) -> None:
        with (
            mock.patch.object(reader, "_GIVE_UP", 0.0),
            mock.patch.object(queries, "unfinished", side_effect=REFUSED),
            self.assertRaisesRegex(JournalError, "cannot read the journal's database"),
        ):
            await self.journal.unfinished()

    async def test_the_sender_does_not_wait(self) -> None:
        with (
            mock.patch.object(queries, "waiting", side_effect=REFUSED) as waiting,
            self.assertRaises(JournalError),
        ):
            await self.journal.waiting("shop", 0, 10)
        self.assertEqual(1, waiting.call_count)

    async def test_a_body_that_no_record_needs(self) -> None:
        path = Path(self.directory) / "spool" / "abc"
        path.touch()
        self.journal.remove_body(Body(b"", "abc", 0))
        await self.journal.read(lambda _connection: None)
        self.assertFalse(path.exists())
