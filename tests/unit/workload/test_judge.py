"""The judge of the workload notices each fault that is planted in its facts."""

from __future__ import annotations

import dataclasses
import unittest

from tests.workload.judge import Judge
from tests.workload.records import Facts, GuestLog, Outcome, Read, Reception, Try, Write


def tried(
    sent_at: float, done_at: float, outcome: Outcome = Outcome.GUEST, status: int = 200
) -> Try:
    return Try(sent_at, done_at, outcome, status, whole=outcome is not Outcome.LEFT)


def write(name: str, *tries: Try, method: str = "POST", **more: object) -> Write:
    found = Write(name, "alice", "shop", method, "/p/1", tries=list(tries))
    return dataclasses.replace(found, **more)  # type: ignore[arg-type]


class JudgeTest(unittest.TestCase):
    """Two writes to one page: "a" from 1 to 2, "b" from 3 to 4."""

    def setUp(self) -> None:
        self.writes = [write("a", tried(1, 2)), write("b", tried(3, 4))]
        self.log = GuestLog([], [], [], set())
        self.reads: list[Read] = []
        self.quarantined: set[str] = set()
        self.away: list[tuple[float, float]] = []
        self.honours_keys = False
        self.total_order = True

    def receive(self, name: str, at: float, *, applied: bool = True, **more: object) -> Reception:
        """The guest gets a write, and applies it a tenth of a second later."""
        one = Reception(f"{at}", name, at, "journal", True, "plain", said_at=at + 0.2)
        one = dataclasses.replace(one, **more)  # type: ignore[arg-type]
        self.log.receptions.append(one)
        if applied:
            one.changes, one.applied_at = [("/p/1", len(self.log.applied) + 1)], at + 0.1
            self.log.applied.append(one)
        return one

    def read(self, version: int, sent_at: float, done_at: float, client: str = "bob") -> None:
        self.reads.append(Read(client, "shop", "/p/1", sent_at, done_at, version))

    def faults(self) -> dict[str, list[str]]:
        facts = Facts(self.writes, self.reads, self.log, frozenset(self.quarantined),
                      self.honours_keys, self.total_order, self.away)  # fmt: skip
        found = Judge(facts).verdict()
        return {
            fault: [text.partition(":")[0] for text in texts]
            for fault, texts in found.items()
            if texts
        }

    def both(self) -> None:
        self.receive("a", 1.1)
        self.receive("b", 3.1)

    def test_no_fault(self) -> None:
        self.both()
        self.read(1, 2.5, 2.6)
        self.read(2, 4.5, 4.6)
        self.assertEqual({}, self.faults())

    def test_lost(self) -> None:
        self.receive("b", 3.1)
        self.assertEqual({"lost": ["a"]}, self.faults())
        self.quarantined.add("a")
        self.assertEqual({}, self.faults())

    def test_the_guest_may_refuse_a_write(self) -> None:
        self.receive("a", 1.1, applied=False)
        self.receive("b", 3.1)
        self.log.early.add("c")
        self.writes.append(write("c", tried(5, 6, status=413)))
        self.assertEqual({}, self.faults())

    def test_doubled(self) -> None:
        self.both()
        self.receive("b", 4.1)
        self.assertEqual({"doubled": ["b"], "resent": ["b"]}, self.faults())

    def test_an_idempotent_write_may_be_applied_again_before_any_other(self) -> None:
        for one in self.writes:
            one.method = "PUT"
        self.receive("a", 1.1, said_at=None)
        self.receive("a", 1.5)
        self.receive("b", 3.1)
        self.assertEqual({}, self.faults())
        self.receive("a", 3.3)
        self.assertEqual({"doubled": ["a"], "resent": ["a"]}, self.faults())

    def test_in_parallel_other_urls_have_no_order_with_a_page_that_they_change(self) -> None:
        self.writes[0].method = "PUT"
        self.writes[1].url = "/act/1"
        self.receive("a", 1.1, said_at=None)
        self.receive("b", 1.2)
        self.receive("a", 1.5)
        self.assertEqual({"doubled": ["a"]}, self.faults())
        self.total_order = False
        self.assertEqual({}, self.faults())

    def test_a_client_may_repeat_a_write_unless_the_guest_honours_keys(self) -> None:
        self.writes[1] = write("b", tried(3, 4, Outcome.LEFT), tried(5, 6), keyed=True)
        self.both()
        self.receive("b", 5.1)
        self.assertEqual({}, self.faults())
        self.honours_keys = True
        self.assertEqual({"doubled": ["b"]}, self.faults())

    def test_resent(self) -> None:
        for change, faults in (
            ({"way": "die-before", "said_at": None}, {"resent": ["b"]}),  # a POST
            ({"via": "edge"}, {"resent": ["b"]}),
        ):
            with self.subTest(change):
                self.log = GuestLog([], [], [], set())
                self.receive("a", 1.1)
                self.receive("b", 3.1, applied=False, **change)
                self.receive("b", 3.5)
                self.assertEqual(faults, self.faults())

    def test_after_a_crash_of_the_agent_a_put_may_be_sent_again(self) -> None:
        self.writes[1].method = "PUT"
        self.both()
        self.receive("b", 3.8)
        self.assertEqual({"resent": ["b"]}, self.faults())
        self.away.append((3.3, 3.7))
        self.assertEqual({}, self.faults())

    def test_overtaken(self) -> None:
        self.writes[0] = write("a", tried(1, 2, Outcome.ACCEPTED, 202))
        self.receive("b", 3.1)
        self.receive("a", 3.3)
        self.assertEqual({"overtaken": ["a"]}, self.faults())

    def test_refused_but_applied(self) -> None:
        self.both()
        self.writes[0].tries = [tried(1, 2, Outcome.REFUSED, 503)]
        self.assertEqual({"refused_but_applied": ["a"]}, self.faults())

    def test_partly_sent(self) -> None:
        self.both()
        self.writes[0].tries = [tried(1, 2, Outcome.LEFT, 0)]
        self.assertEqual({"partly_sent_but_applied": ["a"]}, self.faults())

    def test_altered(self) -> None:
        self.receive("a", 1.1, intact=False)
        self.receive("b", 3.1)
        self.receive("nobody's", 3.3)
        self.assertEqual({"altered": ["a", "nobody's"]}, self.faults())

    def test_in_doubt_and_not_listed(self) -> None:
        self.receive("a", 1.1)
        self.receive("b", 3.1, applied=False, said_at=None)
        self.writes[1].tries = [tried(3, 4, Outcome.DOUBT, 502)]
        self.writes[1].state = "in_doubt"
        self.assertEqual({"unlisted": ["b"]}, self.faults())
        self.quarantined.add("b")
        self.assertEqual({}, self.faults())

    def test_a_status_url_without_the_outcome(self) -> None:
        self.both()
        self.writes[0] = write("a", tried(1, 2, Outcome.ACCEPTED, 202), promised=True)
        for state in (None, "accepted", "unknown"):
            self.writes[0].state = state
            self.assertEqual({"unresolved": ["a"]}, self.faults())
        self.writes[0].state = "responded"
        self.assertEqual({}, self.faults())

    def test_stuck_and_dropped(self) -> None:
        self.both()
        self.writes[0].tries = [tried(1, 2, Outcome.STUCK, 0)]
        self.writes[1].tries = [tried(3, 4, Outcome.DROPPED, 0)]
        self.assertEqual({"stuck": ["a"], "dropped": ["b"]}, self.faults())
        self.away.append((3.5, 3.6))
        self.assertEqual({"stuck": ["a"]}, self.faults())

    def test_old_reads(self) -> None:
        self.both()
        self.read(0, 1.5, 2.5)  # while "a" has no response yet
        self.read(0, 2.1, 2.2)
        self.read(1, 4.1, 4.2)
        self.assertEqual({"old_reads": ["a", "b"]}, self.faults())

    def test_a_read_older_than_a_202(self) -> None:
        self.writes[0] = write("a", tried(1, 2, Outcome.ACCEPTED, 202))
        self.receive("a", 2.9)
        self.receive("b", 3.1)
        self.read(0, 2.1, 2.2)
        self.assertEqual({"old_reads": ["a"]}, self.faults())

    def test_a_read_that_was_held_for_a_dead_agent(self) -> None:
        self.both()
        self.away.append((2.0, 9.0))
        self.read(0, 2.1, 8.2)
        self.assertEqual({}, self.faults())

    def test_other_pages_of_a_202_concern_its_own_client(self) -> None:
        self.writes[0] = write("a", tried(1, 2, Outcome.ACCEPTED, 202), url="/act/1")
        self.both()
        self.read(0, 2.1, 2.2)
        self.assertEqual({}, self.faults())
        self.read(0, 2.1, 2.2, client="alice")
        self.assertEqual({"old_reads": ["a"]}, self.faults())
