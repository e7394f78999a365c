"""A state machine of the write path: after any crash, order holds and no write is lost."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nova_cachemig.agent.journal import progress as progress_module
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.agent.journal.queries import POSITION
from nova_cachemig.agent.journal.record import response_to_row, to_row
from nova_cachemig.agent.journal.recovery import Recovered, recover
from nova_cachemig.agent.journal.schema import METADATA, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import Append, RaiseSendLimit, RecordResponse, perform
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

WINDOW = 4


def make(position: int, method: str, *, honours: bool = False) -> AcceptedWrite:
    return AcceptedWrite("shop", position, 1.0, method, f"/{position}", "h", (), Body.of(b"x"),
                     "c", key='"k"', honours_keys=honours)  # fmt: skip


class Protocol(RuleBasedStateMachine):
    """Plays the sender over a real database and a real progress log; the guest is a list."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name)
        self.boot = path / "boot_id"
        self.boot.write_text("0")
        self.patch = mock.patch.multiple(progress_module, _BOOT_ID=self.boot, _SIZE=1 << 16)
        self.patch.start()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        METADATA.create_all(self.engine)
        self.log = ProgressLog(path / "progress.log")
        self.spool = Spool(path / "spool")
        self.spool.prepare()
        self.guest: list[int] = []  # positions, in the order of application
        self.writes: dict[int, AcceptedWrite] = {}
        self.doubtful: set[int] = set()
        self.unrecorded: list[int] = []  # with a response, not yet committed
        self.recorded: set[int] = set()
        self.start()

    def teardown(self) -> None:
        self.log.close()
        self.patch.stop()
        self.engine.dispose()
        self.directory.cleanup()

    def start(self) -> Recovered:
        found = self.log.open()
        with self.engine.begin() as connection:
            recovered = recover(connection, found, self.spool)
            self.state = queries.queue_state(connection, "shop")
        self.log.reset()
        self.send_limit = self.state.send_limit
        self.next = self.state.next
        self.in_flight: int | None = None
        self.unrecorded = []
        return recovered

    def waiting(self) -> list[int]:
        with self.engine.begin() as connection:
            rows = queries.waiting(connection, "shop", 0, 1000)
        taken = {self.in_flight, *self.unrecorded}
        return [row[POSITION] for row in rows if row[POSITION] not in taken]

    @rule(method=st.sampled_from(["PUT", "POST", "DELETE"]), honours=st.booleans(),
          gate_open=st.booleans())  # fmt: skip
    def accept(self, method: str, honours: bool, gate_open: bool) -> None:
        write = make(self.next, method, honours=honours)
        send_limit = self.next if gate_open else None
        with self.engine.begin() as connection:
            perform(connection, [Append(write, to_row(write), send_limit)])
        self.writes[self.next] = write
        if send_limit is not None:
            self.send_limit = max(self.send_limit, send_limit)
        self.next += 1

    @precondition(lambda self: self.in_flight is None)
    @rule(applied=st.booleans())
    def send(self, applied: bool) -> None:
        waiting = self.waiting()
        if not waiting:
            return
        position = waiting[0]
        if position > self.send_limit:
            self.send_limit = position + WINDOW - 1
            with self.engine.begin() as connection:
                perform(connection, [RaiseSendLimit("shop", self.send_limit)])
        self.log.log_sent("shop", position)
        self.in_flight = position
        if applied:
            self.guest.append(position)

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def respond(self) -> None:
        assert self.in_flight is not None
        if self.guest[-1:] != [self.in_flight]:
            self.guest.append(self.in_flight)
        self.log.log_response("shop", self.in_flight, GuestResponse(200))
        self.unrecorded.append(self.in_flight)
        self.in_flight = None

    @rule(keep=st.booleans())
    def record_response(self, keep: bool) -> None:
        with self.engine.begin() as connection:
            row = response_to_row(GuestResponse(200), "shop", 1, 1) if keep else None
            perform(connection, [RecordResponse("shop", p, row) for p in self.unrecorded])
        for position in self.unrecorded:
            self.log.forget("shop", position)
        self.recorded |= set(self.unrecorded)
        self.unrecorded = []

    @rule()
    def kill(self) -> None:
        in_flight = self.in_flight
        self.log.close()
        self.after(self.start(), {in_flight} - {None})

    @rule(lost=st.integers(0, 400))
    def power_failure(self, lost: int) -> None:
        """The end of the progress log never reached the disk; the database's commits did."""
        size = self.log._size
        path = self.log._path
        self.log.close()
        raw = bytearray(path.read_bytes())
        raw[max(0, size - lost) : size] = b"\0" * min(lost, size)
        path.write_bytes(raw)
        self.boot.write_text(self.boot.read_text() + "1")
        before = set(self.waiting()) | {self.in_flight, *self.unrecorded} - {None}
        self.after(self.start(), {p for p in before if p is not None and p <= self.send_limit})

    def after(self, recovered: Recovered, may_be_in_doubt: set[int | None]) -> None:
        new = {int(name.split("/")[1]) for name in recovered.in_doubt}
        assert new <= may_be_in_doubt, (new, may_be_in_doubt)
        assert all(not self.writes[position].resendable for position in new)
        self.doubtful |= new

    @invariant()
    def nothing_that_was_applied_is_sent_again_with_harm(self) -> None:
        for position in self.waiting():
            if position in self.guest:
                assert self.writes[position].resendable, position

    @invariant()
    def the_guest_saw_the_accepted_order(self) -> None:
        assert list(dict.fromkeys(self.guest)) == sorted(set(self.guest))
        # After a power failure idempotent writes can be repeated. Nothing that was applied after
        # one of them may be left behind it: it is sent again too, or the operator is asked.
        last = {position: turn for turn, position in enumerate(self.guest)}
        again = {*self.waiting(), self.in_flight, *self.doubtful}
        for position, turn in last.items():
            if any(last[earlier] > turn for earlier in last if earlier < position):
                assert position in again, (position, self.guest)
        once = [p for p in self.guest if not self.writes[p].resendable]
        assert len(once) == len(set(once))

    @invariant()
    def every_write_is_somewhere(self) -> None:
        there = set(self.waiting()) | {self.in_flight} | set(self.unrecorded) | self.doubtful
        for position in self.writes:
            assert position in there or position in self.guest, position


ProtocolTest = Protocol.TestCase
ProtocolTest.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)


class DamageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.addCleanup(self.engine.dispose)
        METADATA.create_all(self.engine)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.spool = Spool(Path(directory.name) / "spool")
        self.spool.prepare()

    def recover(self, *, complete: bool = True) -> Recovered:
        with self.engine.begin() as connection:
            return recover(connection, progress_module.Progress(complete), self.spool)

    def append(self, *writes: AcceptedWrite) -> None:
        with self.engine.begin() as connection:
            perform(connection, [Append(write, to_row(write)) for write in writes])

    def test_a_damaged_record_is_quarantined_with_a_note(self) -> None:
        self.append(make(1, "PUT"), make(2, "PUT"), make(3, "PUT"))
        with self.engine.begin() as connection:
            change = sa.update(WRITES).where(WRITES.c.position == 2).values(body=b"y")
            connection.execute(change)
        recovered = self.recover()
        self.assertEqual((("shop/2",), 2), (recovered.damaged, recovered.waiting))
        with self.engine.begin() as connection:
            note = queries.find(connection, "shop", 2)
        assert note is not None
        self.assertEqual("damaged", note.state.value)
        self.assertIn("checksum", note.note or "")

    def test_a_damaged_spool_file_is_found(self) -> None:
        file = self.spool.create()
        file.write(b"content")
        body = file.seal()
        write = AcceptedWrite("shop", 1, 1.0, "PUT", "/", "h", (), body, "c")
        self.append(write)
        self.assertEqual(1, self.recover().waiting)
        (self.spool.directory / str(body.spool)).write_bytes(b"c0ntent")
        self.assertEqual(("shop/1",), self.recover().damaged)

    def test_an_incomplete_log_of_a_service_that_has_sent(self) -> None:
        with self.engine.begin() as connection:
            for name, limit in (("shop", 64), ("blog", 0)):
                queries.queue_state(connection, name)
                perform(connection, [RaiseSendLimit(name, limit)])
        self.assertFalse(self.recover().may_be_in_flight("shop"))
        found = self.recover(complete=False)
        self.assertEqual([True, False], [found.may_be_in_flight(name) for name in ("shop", "blog")])

    def test_many(self) -> None:
        self.append(*(make(position, "PUT") for position in range(1, 1203)))
        self.assertEqual(1202, self.recover().waiting)


class MayBeInFlightTest(unittest.TestCase):
    def test_names_of_services_may_contain_slashes(self) -> None:
        found = Recovered(resent=("a/b/1", "shop/7"), in_doubt=("shop/8",))
        self.assertEqual([("a/b", 1), ("shop", 7)], found.sent_before())
        self.assertEqual([("shop", 8)], found.ended_before())

    def test_writes_that_an_earlier_crash_has_left(self) -> None:
        left = frozenset({("shop", 3), ("shop", 5), ("blog", 1)})
        found = Recovered(resent=("shop/5",), unanswered=left)
        self.assertEqual([("blog", 1), ("shop", 3)], found.ended_before())
        self.assertTrue(found.may_be_in_flight("blog"))

    def test_the_newest_of_each_service(self) -> None:
        found = Recovered(unanswered=frozenset(("shop", place) for place in range(1, 99)))
        self.assertEqual([("shop", 98)], found.ended_before())

    def test_of_this_service_only(self) -> None:
        found = Recovered(resent=("a/b/1",), in_doubt=("shop/7",))
        for name, wanted in (("a/b", True), ("shop", True), ("a", False), ("sho", False)):
            with self.subTest(name):
                self.assertEqual(wanted, found.may_be_in_flight(name))
