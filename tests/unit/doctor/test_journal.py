import base64
import logging
import os
import unittest
from pathlib import Path

import sqlalchemy as sa

from nova_cachemig.agent.journal import keyring
from nova_cachemig.agent.journal.database import create_engine
from nova_cachemig.agent.journal.migrate import upgrade
from nova_cachemig.agent.journal.schema import CIPHER_KEYS
from nova_cachemig.doctor import journal
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status, Verdict
from tests.unit.doctor.files import Case


class JournalTest(Case):
    def setUp(self) -> None:
        super().setUp()
        (self.here / "state").mkdir()

    def make(self, *statements: sa.Executable) -> None:
        engine = create_engine(f"sqlite:///{self.here}/state/journal.sqlite")
        upgrade(engine)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)
        engine.dispose()

    def found(self, name: str, text: str = "") -> Verdict:
        [verdict] = self.run_check(journal, name, Context(self.agent(text), None))
        return verdict

    def test_before_the_first_start(self) -> None:
        self.assertEqual(Status.SKIPPED, self.found("journal.schema").status)
        self.assertFalse((self.here / "state" / "journal.sqlite").exists())

    def test_the_newest_tables(self) -> None:
        self.make()
        self.assertEqual(Status.OK, self.found("journal.schema").status)
        self.assertEqual(Status.OK, self.found("journal.keys").status)

    def test_tables_of_a_newer_version(self) -> None:
        self.make(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        self.assertEqual(Status.FAILED, self.found("journal.schema").status)

    def test_a_file_that_is_no_database(self) -> None:
        logger = logging.getLogger("oslo_db")  # it logs the error with a traceback
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)
        (self.here / "state" / "journal.sqlite").write_text("hello " * 1000)
        verdict = self.found("journal.schema")
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("cannot be opened", verdict.what)

    def test_keys(self) -> None:
        key = base64.b64encode(os.urandom(32)).decode()
        path = self.write("keys", f"a {key}\n")
        Path(path).chmod(0o600)
        text = f"[journal]\nencryption = file\nkey_file = {path}\n"
        proof = keyring.load(self.agent(text)).proof()
        self.make(
            sa.insert(CIPHER_KEYS).values(key_id="a", proof=proof),
        )
        self.assertEqual(Status.OK, self.found("journal.keys", text).status)
        self.write("keys", f"b {key}\n")
        self.assertIn("not configured: a", self.found("journal.keys", text).what)
        self.write("keys", f"a {base64.b64encode(os.urandom(32)).decode()}\n")
        self.assertIn("are not the ones", self.found("journal.keys", text).what)
        Path(path).chmod(0o644)
        self.assertIn("mode 0644", self.found("journal.keys", text).what)


if __name__ == "__main__":
    unittest.main()
