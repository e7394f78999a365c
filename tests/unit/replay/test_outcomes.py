"""Responses, lost connections, bounded tries and quarantine."""

import unittest

from nova_cachemig.model.write import GuestResponse
from nova_cachemig.replay.actions import Close, LogResponse, Quarantine, Record, Send, Told
from tests.unit.replay.bench import Bench, write

BUSY = GuestResponse(409, (("retry-after", "0"),))


class OutcomesTest(unittest.TestCase):
    def setUp(self):
        self.bench = Bench()
        self.bench.replay()

    def test_the_next_write_is_sent_between_the_log_entry_and_the_record(self):
        self.bench.accept()
        self.bench.accept()
        before = len(self.bench.all)
        self.bench.respond()
        kinds = [type(action) for action in self.bench.all[before : before + 3]]
        self.assertEqual([LogResponse, Send, Record], kinds)

    def test_a_write_that_must_not_be_sent_twice_is_quarantined_and_the_queue_goes_on(self):
        token = self.bench.accept(write(method="POST"))
        self.bench.accept()
        self.bench.lose()
        self.assertIs(Told.IN_DOUBT, self.bench.told[token])
        self.assertEqual([1, 2], self.bench.sent())

    def test_five_tries_with_growing_pauses_then_quarantine(self):
        token = self.bench.accept()
        times = []
        while token not in self.bench.told:
            times.append(self.bench.now)
            self.bench.lose()
            self.bench.wait(3.5)
        self.assertEqual([1] * 5, self.bench.sent())
        self.assertIs(Told.IN_DOUBT, self.bench.told[token])

    def test_nothing_overtakes_a_write_between_two_tries(self):
        self.bench.accept()
        self.bench.lose()
        self.bench.accept()
        self.assertEqual([1], self.bench.sent())
        self.bench.wait(1.0)
        self.bench.respond()
        self.assertEqual([1, 1, 2], self.bench.sent())

    def test_a_try_during_a_pause_of_the_guest_does_not_count(self):
        bench = self.bench
        bench.accept()
        for _ in range(8):
            bench.do(bench.machine.shield(bench.now))
            bench.lose()
            bench.do(bench.machine.replay("guest", bench.now))
        self.assertEqual([], bench.of(Quarantine))
        self.assertEqual([1] * 9, bench.sent())

    def test_what_was_not_sent_or_not_processed_is_sent_again_whatever_it_is(self):
        for facts in ({"unsent": 1}, {"processed": False}):
            with self.subTest(facts):
                bench = Bench()
                bench.replay()
                bench.accept(write(method="POST"))
                bench.lose(**facts)
                self.assertEqual([1, 1], bench.sent())

    def test_what_is_not_http_is_an_answer(self):
        token = self.bench.accept(write(method="POST"))
        bench = self.bench
        bench.do(bench.machine.bad_response(bench.connection, GuestResponse(502), 0.0, "folded"))
        self.assertIs(Told.RESPONSE, bench.told[token])
        self.assertEqual([1], bench.sent())

    def test_a_guest_that_still_processes_an_earlier_try_is_asked_again_for_a_while(self):
        bench = self.bench
        token = bench.accept(write(method="POST", keyed=True))
        bench.lose()
        bench.wait(1.0)
        while not bench.of(Quarantine):
            bench.respond(BUSY)
            bench.wait(0.5)
        self.assertTrue(30 <= bench.now < 33, bench.now)
        self.assertIs(Told.IN_DOUBT, bench.told[token])

    def test_409_for_a_write_that_was_sent_once_is_final(self):
        token = self.bench.accept(write(keyed=True))
        self.bench.respond(BUSY)
        self.assertIs(Told.RESPONSE, self.bench.told[token])

    def test_a_condition_that_fails_after_an_earlier_try_is_in_doubt(self):
        for facts, told in (
            ({"conditional": True}, Told.IN_DOUBT),
            ({"conditional": True, "method": "POST", "keyed": True}, Told.RESPONSE),
            ({}, Told.RESPONSE),
        ):
            with self.subTest(facts):
                bench = Bench()
                bench.replay()
                token = bench.accept(write(**facts))
                bench.lose()
                bench.wait(1.0)
                bench.respond(GuestResponse(412))
                self.assertIs(told, bench.told[token])

    def test_a_condition_that_fails_at_once_is_a_response(self):
        token = self.bench.accept(write(conditional=True))
        self.bench.respond(GuestResponse(412))
        self.assertIs(Told.RESPONSE, self.bench.told[token])

    def test_a_late_write_is_not_sent_again(self):
        bench = self.bench
        bench.do(bench.machine.release(0.0))
        token = bench.accept(write(method="PUT"))
        bench.lose()
        self.assertIs(Told.IN_DOUBT, bench.told[token])

    def test_a_silent_guest_loses_its_connection_and_a_slow_response_too(self):
        for limits in ({"response_timeout": 5.0}, {"response_time": 5.0}):
            with self.subTest(limits):
                bench = Bench(**limits)
                bench.replay()
                bench.accept()
                if "response_time" in limits:
                    bench.wait(4.0)  # the time until the first byte does not count
                    bench.machine.heard(bench.connection, bench.now)
                bench.wait(4.0)
                self.assertEqual([], bench.of(Close))
                bench.wait(2.0)
                self.assertTrue(bench.of(Close)[0].report)

    def test_steps_of_the_journal_that_failed_are_repeated(self):
        bench = Bench(Record, Quarantine)
        bench.replay()
        bench.accept()
        bench.respond()
        bench.do(bench.machine.record_failed(1, 0.0))
        bench.accept(write(method="POST"))
        bench.lose()
        bench.do(bench.machine.quarantine_failed(2, 0.0))
        bench.wait(1.0)
        self.assertEqual((2, 2), (len(bench.of(Record)), len(bench.of(Quarantine))))
        self.assertEqual({}, bench.told)
