"""Which connection a write goes on."""

import unittest

from nova_cachemig.model.write import GuestResponse
from nova_cachemig.replay.actions import Close, Connect, Send, StopConnecting
from nova_cachemig.replay.state import Timer
from tests.unit.replay.bench import Bench, write


class ConnectionsTest(unittest.TestCase):
    def connections(self, bench):
        return [action.connection for action in bench.of(Send)]

    def test_writes_follow_each_other_on_one_connection(self):
        bench = Bench()
        bench.replay()
        for _ in range(3):
            bench.accept()
            bench.respond()
        self.assertEqual([1, 1, 1], self.connections(bench))

    def test_no_connection_is_used_that_was_idle_for_long(self):
        bench = Bench(reuse_idle=1.0)
        bench.replay()
        bench.accept()
        bench.respond()
        bench.wait(2.0)
        bench.accept()
        self.assertEqual([1, 2], self.connections(bench))
        self.assertEqual([1], [action.connection for action in bench.of(Close)])

    def test_half_of_the_guest_s_keep_alive_counts(self):
        bench = Bench(reuse_idle=10.0)
        bench.replay()
        bench.accept()
        bench.respond(idle_timeout=2.0)
        bench.wait(1.5)
        bench.accept()
        self.assertEqual([1, 2], self.connections(bench))

    def test_no_connection_is_used_again_before_the_guest_was_seen_to_keep_one_open(self):
        bench = Bench(kept_idle=0.0)
        bench.replay()
        for _ in range(3):
            bench.accept()
            bench.respond()
            bench.wait(0.01)
        self.assertEqual([1, 2, 3], self.connections(bench))
        self.assertEqual([2], [action.connection for action in bench.of(Close)])  # not 1
        bench.wait(0.05)
        for _ in range(2):
            bench.accept()
            bench.respond()
        self.assertEqual([1, 2, 3, 4, 4], self.connections(bench))
        bench.wait(0.04)  # the guest was seen to keep one open for 0.05 s only
        bench.accept()
        self.assertEqual(5, self.connections(bench)[-1])

    def test_observing_an_idle_connection_takes_one_timer(self):
        bench = Bench(kept_idle=0.1)
        bench.replay()
        for _ in range(200):
            bench.accept()
            bench.respond()
            bench.wait(0.001)
        proofs = [timer for _, _, timer, _ in bench.state.timers if timer is Timer.PROOF]
        self.assertEqual(1, len(proofs))
        bench.wait(0.3)
        self.assertLess(0.1, bench.state.kept_idle)

    def test_a_guest_that_closes_unannounced_gets_a_connection_for_each_write(self):
        bench = Bench(kept_idle=0.0)
        bench.replay()
        for number in range(1, 4):
            bench.accept()
            bench.respond()
            bench.wait(0.001)
            bench.do(bench.machine.lost(number, bench.now, "closed by the guest"))
            bench.wait(5.0)
        self.assertEqual([1, 2, 3], self.connections(bench))
        self.assertFalse(bench.of(Close))

    def test_a_guest_that_closes_some_connections_unannounced(self):
        bench = Bench()
        bench.replay()
        for _ in range(2):
            bench.accept()
            bench.respond()
            bench.accept()
            bench.lose()  # it had closed it after the first response
            bench.wait(5.0)
            bench.respond()
            bench.wait(5.0)
        before = len(bench.of(Send))
        for _ in range(3):
            bench.accept()
            bench.respond()
        used = self.connections(bench)[before:]
        self.assertEqual(3, len(set(used)))

    def test_a_guest_that_serves_one_connection_at_a_time_does_not_wait_for_an_idle_one(self):
        bench = Bench(kept_idle=0.0)
        bench.replay()
        bench.accept()
        bench.respond()
        bench.accept()  # on another connection, which this guest does not serve yet
        bench.wait(0.1)
        self.assertEqual([1], [action.connection for action in bench.of(Close)])

    def test_after_a_failure_the_guest_may_close_the_connection(self):
        for status, expected in ((500, 2), (413, 2), (404, 1)):
            with self.subTest(status):
                bench = Bench()
                bench.replay()
                bench.accept()
                bench.respond(GuestResponse(status))
                bench.accept()
                self.assertEqual([1, expected], self.connections(bench))
                closed = [action.why for action in bench.of(Close)]
                self.assertEqual([f"after a {status}"] * (expected == 2), closed)

    def test_a_guest_that_closes_gets_a_connection_for_each_write(self):
        bench = Bench()
        bench.replay()
        for _ in range(2):
            bench.accept()
            bench.respond(keep_alive=False)
        self.assertEqual([1, 2], self.connections(bench))

    def test_only_a_quick_guest_gets_pipelined_writes(self):
        for delay, expected in ((0.001, 2), (0.1, 1)):
            with self.subTest(delay):
                bench = Bench()
                bench.replay()
                bench.accept()
                bench.wait(delay)
                bench.respond()
                bench.accept()
                bench.accept()
                self.assertEqual(expected, len(bench.state.blocking))

    def test_after_a_loss_of_several_one_at_a_time_until_the_next_pause(self):
        bench = Bench()
        bench.replay()
        bench.accept()
        bench.respond()
        bench.accept()
        bench.accept()
        bench.lose()
        self.assertFalse(bench.state.pipelining)
        bench.replay()
        self.assertTrue(bench.state.pipelining)

    def test_a_silent_guest_is_connected_to_no_longer(self):
        bench = Bench(Connect)
        bench.replay()
        bench.accept()
        bench.do(bench.machine.shield(0.0))
        self.assertEqual((1, 1), (len(bench.of(Connect)), len(bench.of(StopConnecting))))

    def test_connections_to_an_earlier_place_are_not_used(self):
        bench = Bench()
        bench.replay()
        bench.accept(write())
        bench.respond()
        bench.do(bench.machine.replay("elsewhere", 0.0))
        bench.accept(write())
        self.assertEqual([1, 2], self.connections(bench))
