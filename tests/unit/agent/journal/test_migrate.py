"""The alembic revisions lead to the tables of ``schema.py``."""

from __future__ import annotations

import unittest

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova_cachemig.agent.journal import migrate
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.schema import METADATA


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
