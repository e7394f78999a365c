"""The verdict must find planted faults in the logs of clients, guest and journal."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import sqlalchemy as sa

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.record import to_row
from nova_cachemig.agent.journal.schema import METADATA, WRITES
from nova_cachemig.model.write import AcceptedWrite, Body, WriteState
from tests.crashing.guest import Applied
from tests.crashing.oplog import Read, Sent
from tests.crashing.verdict import Evidence, verdict_of


class VerdictTest(unittest.TestCase):
    """Writes a, b and c have the positions 1 to 3; the guest applies one a second."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.engine = database.create_engine(database.url_for(None, self.directory))
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        self.sent = {
            name: Sent(name, name, "POST", 0.0, acknowledged_at=9.0, url=f"/{name}")
            for name in "abc"
        }

    def keep(self, name: str, state: WriteState) -> None:
        """Leave a write in the journal."""
        write = AcceptedWrite(
            "shop", 1, 1.0, "POST", "/", "h", (("x-write", name),), Body.of(b""), "c"
        )
        with self.engine.begin() as connection:
            connection.execute(sa.insert(WRITES), to_row(write) | {"state": state.value})

    def faults(
        self, applied: str = "abc", *, direct: str = "", killed: float | None = None, **facts: Any
    ) -> dict[str, tuple[str, ...]]:
        client = mock.Mock(oplog=list(self.sent.values()), **{"reads": [], "crossed": []} | facts)
        received = facts.get("received", {name: at for at, name in enumerate(applied)})
        log = [
            Applied(name, name in direct, received[name], received[name] + 0.1) for name in applied
        ]
        guest = mock.Mock(log=log, applied=list(applied), received=set("abc"), honours_keys=False)
        notes = self.directory / "notes"
        both = [(f"append {n} {w}", f"durable {n} {w}") for n, w in enumerate("abc", 1)]
        notes.write_text("\n".join(line for pair in both for line in pair))
        killed_at = [] if killed is None else [killed]
        outcomes = facts.get("outcomes", {})
        evidence = Evidence([client], guest, notes, outcomes, killed_at)
        return verdict_of(evidence, None, self.directory).faults

    def test_no_fault(self) -> None:
        self.assertEqual({}, self.faults())
        self.assertEqual({}, self.faults(reads=[Read("/a", 9.5, "a")], outcomes={"a": "a"}))

    def test_adjacent_writes_swapped(self) -> None:
        self.assertEqual({"overtaken": ("b at 2 by c at 3",)}, self.faults("acb"))
        self.assertEqual({}, self.faults("acb", direct="c"))

    def test_an_old_read(self) -> None:
        found = self.faults(reads=[Read("/a", 9.5, None)])
        self.assertEqual({"old_reads": ("/a showed None without a",)}, found)

    def test_responses_crossed(self) -> None:
        self.assertEqual({"crossed": ("a: got b",)}, self.faults(crossed=["a: got b"]))

    def test_quarantined_and_not_listed(self) -> None:
        self.sent["c"].acknowledged_at = None
        self.assertEqual({"in_doubt_unlisted": ("c",)}, self.faults("ab"))
        self.sent["c"].told_in_doubt = True
        self.assertEqual({"in_doubt_unlisted": ("c",)}, self.faults("abc"))
        self.keep("c", WriteState.IN_DOUBT)
        self.assertEqual({}, self.faults("ab"))

    def test_what_is_in_doubt_is_overtaken_only_behind_a_crash(self) -> None:
        self.keep("b", WriteState.IN_DOUBT)
        received = {"a": 0.0, "b": 1.0, "c": 2.0}
        self.assertEqual({}, self.faults("acb", received=received))
        self.assertEqual({}, self.faults("acb", received=received, killed=0.5))
        found = self.faults("acb", received=received, killed=1.5)
        self.assertEqual({"overtaken": ("b at 2 by c at 3",)}, found)

    def test_left_in_the_journal(self) -> None:
        self.keep("a", WriteState.ACCEPTED)
        self.assertEqual({"never_sent": ("a",)}, self.faults())

    def test_another_outcome_at_the_status_url(self) -> None:
        self.assertEqual({"wrong_outcomes": ("a: b",)}, self.faults(outcomes={"a": "b"}))
