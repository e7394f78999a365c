"""Acceptance: positions, refusals, unknown outcomes, responses to clients."""

import unittest

from nova_cachemig.replay.actions import Append, HoldReads, Keep, Move, Record, ReleaseReads, Told
from tests.unit.replay.bench import Bench, write


class AcceptanceTest(unittest.TestCase):
    def test_the_guest_s_response_is_told_when_it_is_durable_and_reads_are_released(self):
        bench = Bench(Record, ReleaseReads)
        bench.replay()
        token = bench.accept()
        bench.respond()
        self.assertNotIn(token, bench.told)
        bench.do(bench.machine.recorded(1, bench.now))
        self.assertNotIn(token, bench.told)
        bench.do(bench.machine.reads_released(1))
        self.assertIs(Told.RESPONSE, bench.told[token])

    def test_a_client_that_has_left_before_the_append_leaves_nothing(self):
        bench = Bench(HoldReads)
        bench.do(bench.machine.shield(0.0))
        token = bench.accept()
        bench.do(bench.machine.leave(token, 0.0))
        bench.do(bench.machine.reads_held(token, 0.0))
        self.assertEqual([], bench.of(Append))
        self.assertEqual(1, len(bench.of(ReleaseReads)))

    def test_an_unknown_outcome_is_never_told_as_a_refusal_and_holds_back_later_writes(self):
        bench = Bench(Append)
        bench.replay()
        first, second = bench.accept(), bench.accept()
        bench.do(bench.machine.unknown(1))
        bench.do(bench.machine.appended(2, 0.0))
        self.assertIs(Told.UNKNOWN, bench.told[first])
        self.assertEqual([], bench.sent())
        bench.do(bench.machine.known(1, True, 0.0))
        bench.respond()
        bench.respond()
        self.assertEqual([1, 2], bench.sent())
        self.assertIs(Told.RESPONSE, bench.told[second])

    def test_a_write_that_is_certainly_absent_lets_the_later_ones_go(self):
        bench = Bench(Append)
        bench.replay()
        bench.accept()
        bench.accept()
        bench.do(bench.machine.unknown(1))
        bench.do(bench.machine.appended(2, 0.0))
        bench.do(bench.machine.known(1, False, 0.0))
        self.assertEqual([2], bench.sent())

    def test_202_on_demand_only_while_the_journal_orders_all_writes(self):
        bench = Bench()
        bench.replay()
        early = bench.accept(write(early=True))
        bench.respond()
        self.assertIs(Told.ACCEPTED, bench.told[early])
        bench.do(bench.machine.release(0.0))
        late = bench.accept(write(early=True))
        self.assertNotIn(late, bench.told)
        bench.respond()
        self.assertIs(Told.RESPONSE, bench.told[late])

    def test_202_after_the_hold_timeout_as_soon_as_the_database_keeps_the_response(self):
        bench = Bench(Keep, hold_timeout=2.0)
        bench.do(bench.machine.shield(0.0))
        token = bench.accept()
        bench.wait(2.0)
        self.assertNotIn(token, bench.told)
        bench.do(bench.machine.kept(1))
        self.assertIs(Told.ACCEPTED, bench.told[token])

    def test_202_after_the_hold_timeout_although_the_database_is_away(self):
        bench = Bench(Keep, hold_timeout=2.0, keep_patience=1.0)
        bench.do(bench.machine.shield(0.0))
        token = bench.accept()
        bench.wait(3.0)
        self.assertIs(Told.ACCEPTED, bench.told[token])

    def test_all_waiting_clients_get_202_when_the_agent_stops(self):
        bench = Bench()
        bench.do(bench.machine.shield(0.0))
        tokens = [bench.accept() for _ in range(3)]
        bench.do(bench.machine.stop(1.0))
        self.assertEqual(dict.fromkeys(tokens, Told.ACCEPTED), bench.told)

    def test_a_move_that_failed_holds_back_later_writes(self):
        bench = Bench(Move)
        bench.replay()
        bench.do(bench.machine.resend("operator", 7, write()))
        bench.do(bench.machine.move_failed(1, 0.0))
        bench.accept()
        self.assertEqual([], bench.sent())
        bench.wait(1.0)
        self.assertEqual(2, len(bench.of(Move)))
        bench.do(bench.machine.appended(1, bench.now))
        bench.respond()
        self.assertEqual([1, 2], bench.sent())
