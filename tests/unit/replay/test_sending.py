"""The send limit, the progress log, the backlog on disk."""

import unittest

from nova_cachemig.model.write import WriteState
from nova_cachemig.replay.actions import Append, CheckBody, Load, Quarantine, RaiseLimit, Record
from nova_cachemig.replay.state import Limits, State
from tests.unit.replay.bench import Bench, write


class SendingTest(unittest.TestCase):
    def test_nothing_is_sent_before_the_send_limit_is_durable(self):
        bench = Bench(RaiseLimit)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        self.assertEqual([], bench.sent())
        bench.do(bench.machine.limit_raised(bench.open[0].limit, 0.0))
        self.assertEqual([1], bench.sent())

    def test_a_send_limit_that_failed_is_tried_again(self):
        bench = Bench(RaiseLimit)
        bench.do(bench.machine.shield(0.0))
        bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        bench.do(bench.machine.limit_failed(0.0))
        self.assertEqual([], bench.sent())
        bench.wait(1.0)
        self.assertEqual(2, len(bench.open))

    def test_the_send_limit_is_raised_before_a_write_has_to_wait(self):
        bench = Bench(RaiseLimit, send_window=8)
        bench.do(bench.machine.shield(0.0))
        for _ in range(40):
            bench.accept(write(method="POST"))
        bench.do(bench.machine.replay("guest", 0.0))
        bench.do(bench.machine.limit_raised(bench.open.pop(0).limit, 0.0))
        for number in range(1, 31):
            self.assertEqual(number, len(bench.sent()))
            bench.respond()
            if number % 2:  # it takes the time of a write or two
                for action in bench.open:
                    bench.do(bench.machine.limit_raised(action.limit, 0.0))
                    self.assertLessEqual(action.limit, number + 1 + 8)
                bench.open.clear()
        self.assertLess(len(bench.of(RaiseLimit)), 8)

    def test_while_the_guest_is_reachable_the_append_raises_the_send_limit(self):
        bench = Bench(RaiseLimit)
        bench.replay()
        bench.accept()
        self.assertEqual(([1], []), (bench.sent(), bench.open))

    def test_nothing_more_is_sent_while_too_many_responses_wait_for_the_disk(self):
        bench = Bench(Record, max_unrecorded=1)
        bench.replay()
        bench.accept()
        bench.respond()
        bench.accept()
        self.assertEqual([1], bench.sent())
        bench.do(bench.machine.recorded(1, 0.0))
        self.assertEqual([1, 2], bench.sent())

    def test_a_write_that_could_not_be_logged_is_sent_later_with_those_behind_it(self):
        bench = Bench(pipeline=4)
        bench.do(bench.machine.shield(0.0))
        for _ in range(4):
            bench.accept()
        bench.do(bench.machine.replay("guest", 0.0))
        bench.respond()  # quickly: the others are pipelined
        self.assertEqual([1, 2, 3, 4], bench.sent())
        bench.do(bench.machine.not_logged(bench.connection, 3, 0.0))
        self.assertEqual([2], list(bench.state.blocking))
        bench.wait(1.0)
        bench.respond()
        self.assertEqual([3, 4], bench.sent()[4:])

    def test_a_damaged_spool_file_is_quarantined_and_the_queue_goes_on(self):
        bench = Bench(CheckBody)
        bench.replay()
        bench.accept(write(large=True))
        bench.accept()
        bench.do(bench.machine.checked(1, False, 0.0))
        self.assertEqual([2], bench.sent())
        self.assertIs(WriteState.DAMAGED, bench.of(Quarantine)[0].state)


class BacklogTest(unittest.TestCase):
    def found(self, *positions, **facts):
        entries = [write(client=f"c{p}", page=f"/{p}", **facts) for p in positions]
        for entry, position in zip(entries, positions, strict=True):
            entry.position = position
        return entries

    def test_what_a_crash_left_is_read_from_disk_and_sent_first(self):
        state = State(Limits(), next=4, newest=3, on_disk=True, waiting=2, serialized_through=3)
        bench = Bench(Load, state=state)
        bench.replay()
        bench.accept()
        self.assertEqual([], bench.sent())
        bench.do(bench.machine.loaded(self.found(2, 3), 0.0))
        bench.do(bench.machine.loaded(self.found(4), 0.0))
        for _ in range(3):
            bench.respond()
        self.assertEqual([2, 3, 4], bench.sent())

    def test_a_damaged_row_is_quarantined(self):
        state = State(Limits(), next=3, newest=2, on_disk=True, waiting=2)
        bench = Bench(Load, state=state)
        bench.replay()
        bad, good = self.found(1, 2)
        bad.damaged = "wrong checksum"
        bench.do(bench.machine.loaded([bad, good], 0.0))
        self.assertEqual([2], bench.sent())

    def test_a_write_confirmed_while_a_page_is_read_is_not_forgotten(self):
        state = State(Limits(page=8), next=2, newest=1, on_disk=True, waiting=1)
        bench = Bench(Load, Append, state=state)
        bench.replay()
        bench.accept()
        bench.accept()
        bench.do(bench.machine.unknown(2))
        bench.do(bench.machine.appended(3, 0.0))
        bench.do(bench.machine.known(2, True, 0.0))
        bench.do(bench.machine.loaded(self.found(1, 3), 0.0))  # was read before
        for _ in range(3):
            bench.respond()
        self.assertEqual([1, 2, 3], bench.sent())

    def test_a_read_that_failed_is_repeated(self):
        state = State(Limits(), next=3, newest=2, on_disk=True, waiting=2)
        bench = Bench(Load, state=state)
        bench.replay()
        bench.do(bench.machine.load_failed(0.0))
        bench.wait(1.0)
        self.assertEqual(2, len(bench.of(Load)))
