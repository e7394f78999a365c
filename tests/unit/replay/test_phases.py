"""Shield, replay, drain, release, deadline."""

import unittest

from nova_cachemig.replay.actions import (
    Abandon,
    Drained,
    NotReleased,
    Record,
    Released,
    ResetReads,
    Told,
)
from nova_cachemig.replay.state import Limits, Phase, State
from tests.unit.replay.bench import OK, Bench, write


class PhasesTest(unittest.TestCase):
    def test_drained_once_everything_is_durable(self):
        bench = Bench(Record)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        bench.respond()
        self.assertEqual([], bench.of(Drained))
        bench.do(bench.machine.recorded(1, 0.0))
        self.assertEqual(1, len(bench.of(Drained)))
        bench.do(bench.machine.release(0.0))
        self.assertIs(Phase.ARMED, bench.state.phase)

    def test_a_write_that_comes_while_the_edge_switches_prevents_the_release(self):
        bench = Bench()
        bench.replay()
        bench.accept()
        bench.do(bench.machine.release(0.0))
        self.assertEqual((1, 0), (len(bench.of(NotReleased)), len(bench.of(Released))))
        bench.respond()
        self.assertEqual(2, len(bench.of(Drained)))

    def test_an_upload_holds_up_the_drain_for_a_while_only(self):
        bench = Bench(arrivals_patience=5.0)
        bench.do(bench.machine.arrive("upload"))
        bench.replay()
        bench.wait(4.0)
        self.assertEqual([], bench.of(Drained))
        bench.wait(2.0)
        self.assertEqual(1, len(bench.of(Drained)))

    def test_a_write_in_flight_for_long_holds_up_neither_others_nor_the_drain(self):
        bench = Bench()
        bench.replay()
        bench.accept(write("ann", "/long", "POST"))
        bench.do(bench.machine.release(0.0))
        other = bench.accept(write("bob", "/quick", "POST"))
        bench.wait(2.0)
        self.assertEqual([1, 2], bench.sent())
        quick = next(c for c in bench.state.connections.values() if c.in_flight[0].position == 2)
        bench.do(bench.machine.response(quick.id, OK, bench.now))
        self.assertIs(Told.RESPONSE, bench.told[other])
        self.assertEqual(2, len(bench.of(Drained)))

    def test_a_write_that_was_told_202_holds_up_the_drain_however_long_it_takes(self):
        bench = Bench()
        bench.replay()
        bench.accept(write("ann", "/long", "POST", early=True))
        bench.accept(write("bob", "/quick", "POST"))
        bench.wait(5.0)
        self.assertEqual([1], bench.sent())
        self.assertEqual(1, len(bench.of(Drained)))  # before they came

    def test_after_a_crash_the_gate_opens_later_unless_the_guest_falls_silent(self):
        bench = Bench(state=State(Limits(), resume_delay=1.0))
        bench.replay()
        self.assertFalse(bench.state.gate_open)
        bench.do(bench.machine.shield(0.5))
        bench.wait(2.0)
        self.assertFalse(bench.state.gate_open)
        bench.do(bench.machine.replay("guest", 2.0))
        bench.wait(1.0)
        self.assertTrue(bench.state.gate_open)

    def test_a_pause_does_not_count_for_the_delay_after_a_crash(self):
        bench = Bench(state=State(Limits(), resume_delay=1.0))
        bench.replay()
        bench.do(bench.machine.shield(0.5))
        bench.do(bench.machine.replay("guest", 0.6))
        bench.wait(1.1)  # the timer of the first return has fired
        self.assertFalse(bench.state.gate_open)
        bench.wait(0.6)
        self.assertTrue(bench.state.gate_open)

    def test_the_guest_may_be_seen_twice_in_the_delay_after_a_crash(self):
        bench = Bench(state=State(Limits(), resume_delay=1.0))
        bench.replay()
        bench.do(bench.machine.replay("guest", 0.9))
        bench.wait(1.0)
        self.assertTrue(bench.state.gate_open)


class DeadlineTest(unittest.TestCase):
    def test_the_deadline_leaves_to_the_operator_what_is_not_applied_and_releases(self):
        bench = Bench(Abandon)
        bench.replay()
        tokens = [bench.accept() for _ in range(3)]
        bench.do(bench.machine.abandon())
        self.assertEqual({}, bench.told)
        late = bench.accept(write(early=True))
        bench.do(bench.machine.abandoned(0.0))
        self.assertEqual(dict.fromkeys(tokens, Told.IN_DOUBT), bench.told)
        self.assertEqual((1, 1), (len(bench.of(Released)), len(bench.of(ResetReads))))
        bench.respond()
        self.assertIs(Told.RESPONSE, bench.told[late])
        self.assertEqual(4, bench.sent()[-1])

    def test_it_is_repeated_until_it_is_durable(self):
        bench = Bench(Abandon)
        bench.replay()
        bench.accept()
        bench.do(bench.machine.abandon())
        bench.do(bench.machine.abandon_failed(0.0))
        bench.wait(1.0)
        self.assertEqual(2, len(bench.of(Abandon)))
        self.assertEqual([], bench.of(Released))
