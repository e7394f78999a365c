"""The wanted entries reach HAProxy, whatever is cancelled, lost, refused or wanted meanwhile."""

from __future__ import annotations

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.ledger import (
    Batch,
    Edit,
    EditQueue,
    MapLedger,
    Priority,
    Ticket,
    cost,
)

_KEYS, _VALUES = st.sampled_from("abcd"), st.sampled_from([None, "1", "2"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("want"), _KEYS, _VALUES, st.sampled_from(list(Priority))),
        st.tuples(st.just("take"), st.integers(1, 200)),
        st.tuples(st.just("finish")),
        st.tuples(st.just("lose"), st.integers(0, 4)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("haproxy"), _KEYS, st.sampled_from("12")),
    ),
    max_size=40,
)


class Haproxy:
    """Keeps rows as HAProxy does: ``add`` does not look for a former entry."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def run(self, text: str) -> str:
        verb, _, _, key, *value = text.split(" ")
        known = any(k == key for k, _ in self.rows)
        if verb == "add":
            self.rows.append((key, value[0]))
        elif not known:
            return "entry not found."
        elif verb == "set":
            self.rows = [(k, value[0] if k == key else v) for k, v in self.rows]
        else:
            self.rows = [(k, v) for k, v in self.rows if k != key]
        return ""

    def show(self) -> str:
        return "\n".join(f"0x{n:x} {k} {v}" for n, (k, v) in enumerate(self.rows))


class Owner:
    """Does what the writer does, one step at a time."""

    def __init__(self) -> None:
        self.haproxy = Haproxy()
        self.ledger = MapLedger("/m")
        self.queue = EditQueue()
        self.batch: Batch | None = None
        self.done: list[AdminError | None] = []
        self.asked = 0

    def want(self, key: str, value: str | None, priority: Priority) -> None:
        if value is None:
            self.ledger.wanted.pop(key, None)
        else:
            self.ledger.wanted[key] = value
        self.asked += 1
        self.queue.add(Edit(self.ledger, key, priority, key, [Ticket(1, self.done.append)]))

    def take(self, size: int) -> None:
        if self.batch is None:
            self.batch = Batch(self.queue.take(size, cost))

    def finish(self) -> None:
        if self.batch is None:
            return
        self._read()
        outputs = [self.haproxy.run(text) for text in self.batch.commands()]
        for edit in self.batch.finish(outputs):
            self.queue.add(edit)
        self.batch = None

    def lose(self, executed: int) -> None:
        """The connection breaks after some commands, and HAProxy stays away."""
        if self.batch is None:
            return
        self._read()
        for text in self.batch.commands()[:executed]:
            self.haproxy.run(text)
        for edit in self.batch.fail(AdminError("away")):
            self.queue.add(edit)
        self.batch = None

    def restart(self) -> None:
        """HAProxy reads the file that the agent has written."""
        self.haproxy.rows = list(self.ledger.wanted.items())
        self.ledger.forget()

    def _read(self) -> None:
        if not self.ledger.is_known:
            for key in self.ledger.read(self.haproxy.show()):
                self.queue.add(Edit(self.ledger, key, Priority.MARK, ""))

    def settle(self) -> None:
        for _ in range(100):
            self.take(60)
            self.finish()
            if not self.queue:
                return
        raise AssertionError("it does not end")


class LedgerTest(unittest.TestCase):
    @settings(deadline=None, max_examples=300)
    @given(_STEPS)
    def test_haproxy_gets_what_is_wanted(self, steps: list[tuple[object, ...]]) -> None:
        owner = Owner()
        for name, *arguments in steps:
            if name == "haproxy":  # another program edits the map
                owner.haproxy.rows = [r for r in owner.haproxy.rows if r[0] != arguments[0]]
                owner.ledger.forget()
            else:
                getattr(owner, str(name))(*arguments)
        owner.settle()
        if not owner.ledger.is_known:
            owner.queue.add(Edit(owner.ledger, "a", Priority.MARK, ""))
            owner.settle()
        self.assertEqual(sorted(owner.ledger.wanted.items()), sorted(owner.haproxy.rows))
        self.assertEqual(owner.asked, len(owner.done))

    def test_an_unknown_entry_is_read_before_the_next_edit(self) -> None:
        owner = Owner()
        owner.want("a", "1", Priority.MARK)
        owner.take(99)
        owner.finish()
        owner.haproxy.rows = []  # without the agent's knowledge
        owner.want("a", "2", Priority.MARK)
        owner.settle()
        self.assertEqual([("a", "2")], owner.haproxy.rows)
        self.assertEqual([None, None], owner.done)

    def test_an_edit_that_is_refused_again_and_again_is_an_error(self) -> None:
        owner = Owner()
        owner.want("a", "1", Priority.MARK)
        for _ in range(3):
            owner.take(99)
            assert owner.batch is not None
            owner._read()
            again = owner.batch.finish(["No memory"] * len(owner.batch.commands()))
            owner.batch = None
            for edit in again:
                owner.queue.add(edit)
        self.assertEqual([], again)
        self.assertRegex(str(owner.done[0]), "refused a command: No memory")

    def test_a_shared_map_keeps_the_entries_of_haproxy(self) -> None:
        ledger = MapLedger("/m", shared=True)
        ledger.wanted = {"a": "1", "b": "2"}
        self.assertEqual(["b"], ledger.read("0x1 a open\n0x2 c 3"))
        self.assertEqual("open", ledger.present("a"))

    def test_an_entry_that_haproxy_has_added_gets_no_second_one(self) -> None:
        for rows in ([], [("a", "by HAProxy")]):
            owner = Owner()
            owner.ledger.shared = True
            owner.haproxy.rows = list(rows)
            owner.want("a", "1", Priority.MARK)
            owner.settle()
            self.assertEqual([("a", "1")], owner.haproxy.rows)
            self.assertEqual([None], owner.done)


class QueueTest(unittest.TestCase):
    def setUp(self) -> None:
        self.ledger = MapLedger("/m")
        self.queue = EditQueue()

    def add(self, key: str, priority: Priority, group: str = "g") -> None:
        self.queue.add(Edit(self.ledger, key, priority, group))

    def take(self, number: int) -> list[str]:
        return [edit.key for edit in self.queue.take(number, lambda _edit: 1)]

    def test_flips_come_before_marks(self) -> None:
        for number in range(100):
            self.add(f"m{number}", Priority.MARK)
        self.add("release", Priority.RELEASE)
        self.add("flip", Priority.FLIP)
        self.assertEqual(["flip", "release", "m0"], self.take(3))

    def test_services_take_turns(self) -> None:
        for number in range(1000):
            self.add(f"many{number}", Priority.MARK, "busy")
        self.add("one", Priority.MARK, "quiet")
        self.assertIn("one", self.take(40))

    def test_a_later_wish_takes_the_last_place(self) -> None:
        for key in ("pending", "epoch", "pending"):
            self.add(key, Priority.MARK)
        self.assertEqual(["epoch", "pending"], self.take(9))

    def test_a_later_wish_keeps_the_haste_of_the_former(self) -> None:
        self.add("a", Priority.FLIP)
        self.add("b", Priority.RELEASE)
        self.add("a", Priority.ARM)
        self.assertEqual(["a", "b"], self.take(9))

    def test_the_edits_of_one_map(self) -> None:
        other = MapLedger("/n")
        self.add("a", Priority.MARK)
        self.queue.add(Edit(other, "a", Priority.MARK, "g"))
        self.assertEqual(["/n"], [e.ledger.path for e in self.queue.take_map(other)])
        self.assertEqual((["a"], 0), (self.take(9), len(self.queue)))
