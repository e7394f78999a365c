"""The alembic revisions lead to the tables of ``schema.py``."""

from __future__ import annotations

import unittest

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova_cachemig.agent.journal import migrate, queries
from nova_cachemig.agent.journal.cipher import Cipher
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.schema import METADATA
from nova_cachemig.model.write import WriteState
from tests.unit.agent.journal import former


class MigrateTest(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)

    def revision(self) -> str | None:
        with self.engine.begin() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def test_the_head_has_the_tables_of_the_schema(self) -> None:
        migrate.upgrade(self.engine)
        self.assertEqual(migrate.HEAD, self.revision())
        with self.engine.begin() as connection:
            context = MigrationContext.configure(connection)
            self.assertEqual([], compare_metadata(context, METADATA))

    def test_a_second_upgrade_changes_nothing(self) -> None:
        migrate.upgrade(self.engine)
        migrate.upgrade(self.engine)
        self.assertEqual(migrate.HEAD, self.revision())

    def test_tables_of_a_newer_version_are_left_alone(self) -> None:
        migrate.upgrade(self.engine)
        with self.engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        with self.assertRaisesRegex(JournalError, "does not know the version"):
            migrate.upgrade(self.engine)
        self.assertEqual("9999", self.revision())

    def found(self, position: int) -> queries.StoredWrite:
        with self.engine.connect() as connection:
            found = queries.find(connection, "shop", position, Cipher({"k": former.KEY}, "k"))
        assert found is not None
        self.assertIsNone(found.unreadable)
        return found

    def test_a_former_journal_keeps_its_writes_and_responses(self) -> None:
        former.make(self.engine)
        migrate.upgrade(self.engine)
        states = [self.found(position).state for position in range(1, 6)]
        responded = [WriteState.RESPONDED] * 3
        self.assertEqual([WriteState.ACCEPTED, *responded, WriteState.IN_DOUBT], states)
        self.assertEqual([former.RESPONSE] * 2, [self.found(n).response for n in (2, 3)])
        for position in (1, 5):
            write = self.found(position).write
            assert write is not None
            self.assertEqual(("/orders", b"x"), (write.url, write.body.data))
        with self.engine.connect() as connection:
            self.assertEqual({former.SPOOLED}, queries.spool_names(connection))

    def test_an_upgrade_that_a_crash_interrupted_is_completed(self) -> None:
        former.make(self.engine)
        with self.engine.begin() as connection:
            for name in ("headers", "body"):
                change = f"ALTER TABLE writes RENAME COLUMN answer_{name} TO response_{name}"
                connection.execute(sa.text(change))
        migrate.upgrade(self.engine)
        self.assertEqual(former.RESPONSE, self.found(2).response)
        self.assertEqual(migrate.HEAD, self.revision())
