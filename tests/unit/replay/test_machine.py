"""The machine as a whole: its clock, and that it forgets what is over."""

import unittest

from nova_cachemig.replay.actions import Record
from tests.unit.replay.bench import Bench


class MachineTest(unittest.TestCase):
    def test_nothing_is_due_without_work(self):
        self.assertEqual(float("inf"), Bench().machine.due)

    def test_a_tick_too_early_changes_nothing(self):
        bench = Bench(hold_timeout=5.0)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        due = bench.machine.due
        self.assertEqual([], bench.machine.tick(due - 0.001))
        self.assertEqual(5.0, due)

    def test_it_forgets_what_is_over(self):
        bench = Bench(keep_patience=0.1)
        bench.replay()
        for _ in range(50):
            bench.accept()
            bench.respond()
        bench.wait(200.0)
        state = bench.state
        for name in ("pending", "ready", "blocking", "recording", "releasing", "clients",
                     "departing", "arriving", "holding", "timers", "kept", "owed"):  # fmt: skip
            with self.subTest(name):
                self.assertFalse(getattr(state, name))
        self.assertEqual((0, 0, 50), (state.waiting, state.waiting_bytes, state.responded))

    def test_unknown_connections_are_ignored(self):
        bench = Bench(Record)
        bench.replay()
        self.assertEqual([], bench.machine.lost("?", 0.0, "late news"))
        self.assertEqual([], bench.machine.response("?", None, 0.0))
