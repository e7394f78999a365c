"""Shield, replay, drain, release, deadline."""

import unittest

from nova_cachemig.replay.actions import (
    Abandon,
    CaughtUp,
    NotReleased,
    Record,
    Released,
    ResetReads,
    Told,
)
from nova_cachemig.replay.state import Limits, Phase, State
from tests.unit.replay.bench import OK, Bench, write


class PhasesTest(unittest.TestCase):
    def test_released_once_everything_is_durable(self):
        bench = Bench(Record)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        bench.respond()
        self.assertEqual([], bench.of(CaughtUp))
        bench.do(bench.machine.recorded(1, 0.0))
        self.assertEqual(1, len(bench.of(CaughtUp)))
        bench.do(bench.machine.release(0.0))
        self.assertIs(Phase.ARMED, bench.state.phase)

    def test_it_has_caught_up_when_only_new_writes_are_left(self):
        bench = Bench(Record, pipeline=1)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        bench.accept()
        for position in (1, 2):
            self.assertEqual([], bench.of(CaughtUp))
            bench.respond()
            bench.do(bench.machine.recorded(position, bench.now))
        self.assertEqual(1, len(bench.of(CaughtUp)))
        self.assertIs(Phase.CAUGHT_UP, bench.state.phase)
        bench.do(bench.machine.release(bench.now))
        self.assertEqual([], bench.of(Released))
        bench.respond()
        bench.do(bench.machine.recorded(3, bench.now))
        self.assertEqual(1, len(bench.of(Released)))

    def test_the_edge_holds_no_writes_for_a_rest_that_takes_too_long(self):
        bench = Bench(pipeline=1, drain_time=2.5)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        for _ in range(3):
            bench.accept()
        bench.wait(0.9)
        bench.respond()  # 0.9 s for one, and three are left
        self.assertEqual([], bench.of(CaughtUp))
        bench.respond()
        bench.respond()
        self.assertEqual([], bench.of(CaughtUp))  # the next lap is of all three
        bench.respond()
        self.assertEqual(1, len(bench.of(CaughtUp)))

    def test_writes_are_held_for_a_limited_time_and_less_and_less_often(self):
        bench = Bench(drain_time=2.0, drain_pause=1.0, drain_pause_max=3.0)
        bench.replay()
        bench.accept(write(method="PUT"))
        for failed, pause in enumerate((1.0, 2.0, 3.0, 3.0), start=1):
            bench.do(bench.machine.release(bench.now))
            bench.wait(1.9)
            self.assertEqual(failed - 1, len(bench.of(NotReleased)))
            bench.wait(0.1)
            self.assertEqual(failed, len(bench.of(NotReleased)))
            self.assertEqual((Phase.REPLAYING, bench.now + pause),
                             (bench.state.phase, bench.state.lap_at))  # fmt: skip
        bench.respond()
        self.assertEqual(1, len(bench.of(CaughtUp)))  # before the write came
        bench.wait(3.0)
        self.assertEqual(2, len(bench.of(CaughtUp)))
        bench.do(bench.machine.release(bench.now))
        self.assertEqual(1, len(bench.of(Released)))

    def test_the_release_ends_under_steady_writes_of_many_clients(self):
        """Twenty clients write without a pause: the queue is never empty."""
        bench = Bench(pipeline=1)
        bench.do(bench.machine.shield(0.0))
        for number in range(20):
            bench.accept(write(f"c{number}", f"/{number}", "POST"))
        bench.do(bench.machine.replay("guest", 0.0))
        held, released = 0, bench.of(Released)
        while not released and bench.now < 60.0:
            self.assertTrue(bench.state.blocking)
            bench.wait(0.1)
            bench.respond()
            if bench.state.phase is Phase.CAUGHT_UP:
                bench.do(bench.machine.release(bench.now))
            if bench.state.phase is Phase.REPLAYING:
                bench.accept(write(f"c{held}", f"/{held}", "POST"))
            else:
                held += 1  # by the edge
            released = bench.of(Released)
        self.assertEqual((1, 0), (len(released), len(bench.of(NotReleased))))
        self.assertAlmostEqual(4.0, bench.now, delta=0.3)
        self.assertEqual(sorted(bench.sent()), bench.sent())

    def test_no_direct_write_overtakes_a_slow_one_from_before_a_restart(self):
        """Its client may have got a 202 from the former agent."""
        found = State(Limits(), next=2, newest=1, on_disk=True, waiting=1, serialized_through=1)
        bench = Bench(state=found)
        bench.replay()
        bench.do(bench.machine.loaded([write(method="POST")], bench.now))
        bench.wait(2.0)
        self.assertEqual([1], bench.sent())
        self.assertEqual([], bench.of(CaughtUp))
        bench.do(bench.machine.release(bench.now))
        self.assertEqual([], bench.of(Released))
        bench.respond()
        self.assertEqual(1, len(bench.of(Released)))

    def test_a_silence_ends_the_drain_and_its_pauses(self):
        bench = Bench()
        bench.replay()
        bench.accept()
        bench.do(bench.machine.release(0.0))
        bench.do(bench.machine.shield(1.0))
        bench.wait(60.0)
        self.assertEqual(([], []), (bench.of(Released), bench.of(NotReleased)))
        bench.do(bench.machine.release(bench.now))
        self.assertEqual((Phase.SHIELDED, 1), (bench.state.phase, len(bench.of(NotReleased))))

    def test_an_upload_holds_up_the_release_for_a_while_only(self):
        bench = Bench()
        bench.do(bench.machine.arrive("upload"))
        bench.replay()
        bench.do(bench.machine.release(0.0, 5.0))
        bench.wait(4.0)
        self.assertEqual([], bench.of(Released))
        bench.wait(2.0)
        self.assertEqual(1, len(bench.of(Released)))

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
        self.assertEqual(1, len(bench.of(Released)))

    def test_a_write_that_was_told_202_holds_up_the_drain_however_long_it_takes(self):
        bench = Bench()
        bench.replay()
        bench.accept(write("ann", "/long", "POST", early=True))
        bench.accept(write("bob", "/quick", "POST"))
        bench.do(bench.machine.release(0.0))
        bench.wait(5.0)
        self.assertEqual([1], bench.sent())
        self.assertEqual([], bench.of(Released))

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
