"""The operator's decisions, and the facts that the operator sees."""

from __future__ import annotations

import base64
import json
import tempfile
import unittest
from pathlib import Path

import sqlalchemy as sa

from nova_cachemig.agent.journal import quarantine
from nova_cachemig.agent.journal.cipher import Cipher
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import METADATA
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import Append, SetState, perform
from nova_cachemig.model.write import AcceptedWrite, Body, WriteState

CIPHER = Cipher({"k": b"\1" * 32}, "k")


class QuarantineTest(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        for position, state in enumerate(WriteState, 1):
            self.append(position, state)

    def append(self, position: int, state: WriteState, body: Body | None = None,
               cipher: Cipher | None = None, service: str = "shop") -> None:  # fmt: skip
        body = body or Body.of(b"\0body")
        write = AcceptedWrite(service, position, 1.0, "POST", "/a", "h", (("x", "1"),), body, "c")
        with self.engine.begin() as connection:
            perform(connection, [Append(write, to_row(write, cipher or Cipher()))])
            perform(connection, [SetState(service, position, state, 5, "why")])

    def state(self, name: str) -> WriteState:
        return quarantine.show(self.engine, name).state

    def name_of(self, state: WriteState) -> str:
        return f"shop/{list(WriteState).index(state) + 1}"

    def test_listed_by_state_and_service(self) -> None:
        self.append(9, WriteState.IN_DOUBT, service="other")
        found = [(s.service, s.state) for s in quarantine.find_all(self.engine)]
        self.assertEqual(
            [("other", WriteState.IN_DOUBT), ("shop", WriteState.IN_DOUBT),
             ("shop", WriteState.DAMAGED)],
            found,
        )  # fmt: skip
        (only,) = quarantine.find_all(self.engine, (WriteState.RESEND,), "shop")
        self.assertEqual(WriteState.RESEND, only.state)

    def test_which_states_each_decision_needs(self) -> None:
        for decide, allowed, result in (
            (quarantine.resend, {WriteState.IN_DOUBT}, WriteState.RESEND),
            (quarantine.discard, {WriteState.IN_DOUBT, WriteState.DAMAGED}, WriteState.DISCARDED),
        ):
            self.setUp()
            for state in WriteState:
                with self.subTest(decision=decide.__name__, state=state):
                    name = self.name_of(state)
                    if state in allowed:
                        decide(self.engine, name, "the customer agrees", "alice")
                        self.assertEqual(result, self.state(name))
                        note = quarantine.show(self.engine, name).note or ""
                        self.assertTrue(note.startswith("why; "), note)
                        self.assertRegex(note, "alice .* the customer agrees")
                    else:
                        with self.assertRaisesRegex(JournalError, f"is {state.value}; expected"):
                            decide(self.engine, name, "", "alice")
                        self.assertEqual(state, self.state(name))

    def test_names(self) -> None:
        for name in ("shop", "/1", "shop/x", "shop/"):
            with self.subTest(name), self.assertRaisesRegex(JournalError, "is not the name"):
                quarantine.show(self.engine, name)
        with self.assertRaisesRegex(JournalError, "has no write shop/99"):
            quarantine.show(self.engine, "shop/99")

    def test_facts_are_json(self) -> None:
        stored = quarantine.show(self.engine, self.name_of(WriteState.IN_DOUBT))
        facts = json.loads(json.dumps(quarantine.facts(stored)))
        expected = {"write": "shop/3", "state": "in_doubt", "headers": [["x", "1"]]}
        self.assertEqual(expected, {name: facts[name] for name in expected})
        self.assertEqual(b"\0body", base64.b64decode(facts["body"]))
        self.assertNotIn("body", quarantine.facts(stored, body=False))

    def test_encrypted_writes_need_their_key(self) -> None:
        self.append(20, WriteState.IN_DOUBT, cipher=CIPHER)
        without = quarantine.facts(quarantine.show(self.engine, "shop/20"))
        self.assertIn("key 'k', which is not available", without["unreadable"])
        self.assertEqual("POST", without["method"])
        self.assertNotIn("url", without)
        self.assertEqual(
            "/a", quarantine.facts(quarantine.show(self.engine, "shop/20", CIPHER))["url"]
        )

    def test_bodies(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            spool = Spool(Path(directory))
            file = spool.create()
            file.write(b"large")
            self.append(21, WriteState.IN_DOUBT, file.seal())
            self.append(22, WriteState.IN_DOUBT, Body(spool="absent", length=1, digest=b"d"))
            stored = {n: quarantine.show(self.engine, f"shop/{n}") for n in (3, 21, 22)}
            for number, expected in ((3, b"\0body"), (21, b"large")):
                self.assertEqual(expected, quarantine.chunk(stored[number], spool, 0))
                self.assertEqual(b"", quarantine.chunk(stored[number], spool, 1))
            with self.assertRaisesRegex(JournalError, "cannot read the body of shop/22"):
                quarantine.chunk(stored[22], spool, 0)
