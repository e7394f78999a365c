"""Reading the journal without the agent."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.journal import database, migrate, offline
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from tests.functional.replay.path import conf_for
from tests.unit.agent.journal import former


class OfflineTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.path = Path(directory.name) / "journal.sqlite"

    async def test_no_journal(self) -> None:
        conf = conf_for(self.directory)
        with self.assertRaisesRegex(JournalError, "has the agent run on this node"):
            offline.engine_of(conf)
        self.assertFalse(self.path.exists())

    async def test_a_journal_that_the_user_must_not_read(self) -> None:
        conf = conf_for(self.directory)
        refusal = PermissionError(13, "Permission denied")
        with (
            mock.patch.object(Path, "exists", side_effect=refusal),
            self.assertRaisesRegex(JournalError, f"read {self.path}: Permission denied. Run the"),
        ):
            offline.engine_of(conf)

    async def test_tables_of_another_version_are_named_and_left_alone(self) -> None:
        conf = conf_for(self.directory)
        engine = database.create_engine(database.url_for(None, self.path.parent))
        self.addCleanup(engine.dispose)
        with self.assertRaisesRegex(JournalError, "revision none"):
            offline.upgraded_engine_of(conf)
        former.make(engine)
        with self.assertRaisesRegex(JournalError, "revision 0003, .* when it starts"):
            offline.upgraded_engine_of(conf)
        self.assertEqual(1, offline.count_waiting(conf))
        migrate.upgrade(engine)
        self.assertEqual(engine.url, offline.upgraded_engine_of(conf).url)
        self.assertEqual(1, offline.count_waiting(conf))

    async def test_handovers_beside_a_running_agent(self) -> None:
        conf = conf_for(self.directory)
        journal = Journal(conf)
        await journal.open()
        self.addAsyncCleanup(journal.close)
        store = JournalHandoverStore(journal)
        records = [
            HandoverRecord(HandoverId("uuid", f"req-{n}"), ("shop",), "a", "b", Phase.WARMING,
                           started=float(n))
            for n in range(3)
        ]  # fmt: skip
        for record in records:
            await store.save(record)
        self.assertEqual(records[:0:-1], offline.newest_handovers(conf, 2))

    async def test_a_key_that_cannot_be_loaded_leaves_plaintext_readable(self) -> None:
        conf = conf_for(self.directory, encryption="file", key_file="/nonexistent")
        with self.assertLogs(offline.LOG, "WARNING") as logs:
            spool = offline.spool_of(conf)
        self.assertIn("/nonexistent", logs.output[0])
        self.assertEqual(set(), set(spool.cipher.key_ids))
