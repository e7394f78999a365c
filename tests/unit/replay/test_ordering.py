"""The rules of order."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.replay.ordering import may_pipeline, next_entry
from nova_cachemig.replay.state import Limits, State
from tests.unit.replay.bench import Bench, write

WRITES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.sampled_from(("PUT", "POST"))),
    min_size=1,
    max_size=12,
)


class OrderingTest(unittest.TestCase):
    @given(WRITES)
    def test_the_total_order_is_that_of_acceptance(self, facts):
        bench = Bench()
        bench.do(bench.machine.shield(0.0))
        for client, page, method in facts:
            bench.accept(write(client, page, method))
        bench.do(bench.machine.replay("guest", 0.0))
        while bench.state.blocking:
            bench.respond()
        self.assertEqual(list(range(1, len(facts) + 1)), bench.sent())

    @given(WRITES, st.integers(2, 6))
    def test_in_parallel_one_client_s_writes_and_those_to_one_page_keep_their_order(
        self, facts, parallel
    ):
        bench = Bench(parallel=parallel, prompt=0.0)
        bench.do(bench.machine.shield(0.0))
        for client, page, method in facts:
            bench.accept(write(client, page, method))
        bench.do(bench.machine.replay("guest", 0.0))
        together = 0
        while bench.state.blocking:
            entries = list(bench.state.blocking.values())
            together = max(together, len(entries))
            for entry in entries:
                tied = [
                    e
                    for e in entries
                    if e.page == entry.page and (e.idempotent or entry.idempotent)
                ]
                self.assertEqual([entry], tied or [entry])
                self.assertEqual([entry], [e for e in entries if e.client == entry.client])
            bench.respond()
        self.assertLessEqual(together, parallel)
        self.assertEqual(len(facts), len(bench.sent()))

    def test_writes_found_on_disk_go_one_at_a_time(self):
        state = State(Limits(parallel=4), serialized_through=2)
        for position in (1, 2):
            entry = write(client=f"c{position}", page=f"/{position}")
            entry.position = position
            state.ready.append(entry)
        first = next_entry(state)
        state.blocking[1] = state.ready.pop(0)
        self.assertEqual(1, first.position)
        self.assertIsNone(next_entry(state))


class PipelineTest(unittest.TestCase):
    def setUp(self):
        self.state = State(Limits())

    def allowed(self, entry, *ahead):
        return may_pipeline(self.state, entry, ahead)

    def test_nothing_follows_a_write_that_must_not_be_sent_twice(self):
        self.assertFalse(self.allowed(write(page="/b"), write(page="/a", method="POST")))

    def test_such_a_write_follows_only_writes_that_the_guest_recognizes(self):
        post = write(page="/b", method="POST")
        self.assertFalse(self.allowed(post, write(page="/a")))
        self.assertTrue(self.allowed(post, write(page="/a", keyed=True)))
        self.assertFalse(self.allowed(post, write(page="/a", keyed=True), write(page="/c")))

    def test_nothing_follows_a_write_to_its_page_unless_the_guest_honours_keys(self):
        self.assertFalse(self.allowed(write(), write()))
        self.assertTrue(self.allowed(write(), write(keyed=True)))

    def test_nothing_follows_a_write_of_which_the_guest_may_still_process_an_earlier_try(self):
        again = write(keyed=True)
        again.again = True
        self.assertFalse(self.allowed(write(page="/b"), again))

    def test_a_large_body_is_sent_alone(self):
        self.assertFalse(self.allowed(write(page="/b", large=True), write()))
        self.assertFalse(self.allowed(write(page="/b"), write(large=True)))
