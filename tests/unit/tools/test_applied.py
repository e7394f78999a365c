from __future__ import annotations

import base64
import tempfile
import unittest
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nova_cachemig.agent.journal.cipher import CLEAR, Cipher
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import METADATA, WRITES
from nova_cachemig.model.write import AcceptedWrite, Body
from tools.measurement.applied import AppliedError, of_journal


class AppliedTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = Path(folder.name, "agent.conf")
        self.config.write_text(f"[agent]\nstate_dir = {folder.name}\n")
        self.database = sa.create_engine(f"sqlite:///{folder.name}/journal.sqlite")
        self.addCleanup(self.database.dispose)

    def write(
        self,
        name: str,
        position: int,
        service: str = "shop",
        cipher: Cipher = CLEAR,
        **columns: Any,
    ) -> None:
        headers = (("accept", "*/*"), ("x-request-id", name)) if name else ()
        body = Body.of(b"x")
        write = AcceptedWrite(
            service, position, 100.0 + position, "PUT", "/a", "shop", headers, body, "10.0.0.1"
        )
        row = to_row(write, cipher) | {"state": "responded", "ended_us": 200_500_000} | columns
        with self.database.begin() as connection:
            connection.execute(sa.insert(WRITES), [row])

    def test_the_responses_since_a_time(self) -> None:
        METADATA.create_all(self.database)
        self.write("early", 1)
        self.write("a", 2)
        self.write("", 3)
        self.write("waits", 4, state="accepted", ended_us=None)
        self.write("encrypted", 5, cipher=Cipher({"k1": b"k" * 32}, "k1"))
        self.write("other", 2, service="forum")
        self.write("b", 6, ended_us=201_000_000)
        applied = of_journal(str(self.config), "shop", 102.0)
        self.assertEqual({"a": 200.5, "b": 201.0}, applied)

    def test_encrypted_with_a_key_that_is_available(self) -> None:
        METADATA.create_all(self.database)
        keys = Path(self.config.parent, "keys")
        keys.touch(mode=0o600)
        keys.write_text(f"k1 {base64.b64encode(b'k' * 32).decode()}\n")
        with self.config.open("a") as file:
            file.write(f"[journal]\nkey_file = {keys}\n")
        self.write("encrypted", 5, cipher=Cipher({"k1": b"k" * 32}, "k1"))
        self.assertEqual({"encrypted": 200.5}, of_journal(str(self.config), "shop", 0))

    def test_no_journal(self) -> None:
        with self.assertRaisesRegex(AppliedError, "no journal at"):
            of_journal(str(self.config), "shop", 0)
