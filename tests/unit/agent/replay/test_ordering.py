"""The rules of order: clients cannot observe that writes were in flight together."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.replay.ordering import OrderingRules, may_pipeline
from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import IDEMPOTENT, AcceptedWrite, Body

HOLD = Service("shop", "uuid", 80, ("192.0.2.1", 80))
ACCEPT = Service("shop", "uuid", 80, ("192.0.2.1", 80), writes=WriteMode.ACCEPT)


def write(position, client="a", method="POST", url="/orders", **more):
    return AcceptedWrite(
        "shop", position, 0.0, method, url, "shop.example", (), Body(), client, **more
    )


class CandidatesTest(unittest.TestCase):
    def setUp(self):
        self.ordering = OrderingRules(4)

    def may_send(self, *writes, service=HOLD):
        *in_flight, last = writes
        for one in in_flight:
            self.ordering.start(one)
        return self.ordering.candidates([last], service) == [last]

    def test_writes_of_two_clients_are_sent_in_parallel(self):
        self.assertTrue(self.may_send(write(1, "a"), write(2, "b")))

    def test_one_client_keeps_its_order(self):
        self.assertFalse(self.may_send(write(1, "a"), write(2, "a", url="/other")))

    def test_idempotent_writes_to_a_url_keep_their_order(self):
        self.assertFalse(self.may_send(write(1, "a", "PUT"), write(2, "b", "PUT")))
        self.assertFalse(self.may_send(write(1, "a", "POST"), write(2, "b", "DELETE")))

    def test_not_more_than_the_limit(self):
        self.assertFalse(self.may_send(*(write(n, str(n)) for n in range(5))))

    def test_writes_found_on_disk_are_sent_alone(self):
        self.ordering.serialize_through(1)
        self.assertFalse(self.may_send(write(1, "a"), write(2, "b")))
        self.ordering.finish(1)
        self.assertTrue(self.may_send(write(2, "b"), write(3, "c")))

    def test_a_service_in_accept_mode_has_a_total_order(self):
        self.assertFalse(self.may_send(write(1, "a"), write(2, "b"), service=ACCEPT))

    def test_a_client_that_got_202_is_not_overtaken(self):
        self.assertFalse(self.may_send(write(1, "a", has_status_url=True), write(2, "b")))
        self.ordering.finish(1)
        self.assertFalse(self.may_send(write(2, "b"), write(3, "c", has_status_url=True)))

    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from(["PUT", "POST"]), st.booleans()),
            max_size=30,
        )
    )
    def test_one_at_a_time_is_the_total_order(self, writes):
        ordering = OrderingRules(1)
        for position, (client, method, _) in enumerate(writes, 1):
            one = write(position, client, method)
            waiting = [one, write(position + 1, "z")]
            self.assertTrue(ordering.is_total)
            self.assertIs(one, ordering.next_write(waiting, HOLD))
            ordering.start(one)
            self.assertEqual(1, len(ordering))
            ordering.finish(position)

    def test_only_unrelated_writes_overtake_a_waiting_one(self):
        self.ordering.start(write(1, "a"))
        waiting = [
            write(2, "a", url="/x"),
            write(3, "a"),
            write(4, "b", "PUT", "/x"),
            write(5, "c"),
        ]
        self.assertEqual([5], [w.position for w in self.ordering.candidates(waiting, HOLD)])

    def test_no_write_overtakes_one_that_must_be_alone(self):
        self.ordering.start(write(1, "a"))
        waiting = [write(2, "b", has_status_url=True), write(3, "c")]
        self.assertEqual([], self.ordering.candidates(waiting, HOLD))


WRITES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["PUT", "POST", "DELETE"]),
        st.sampled_from(["/x", "/y", "/z"]),
        st.booleans(),
    ),
    max_size=12,
)


class AnyScheduleTest(unittest.TestCase):
    """Whenever responses arrive, every two writes in flight together may be swapped."""

    @given(WRITES, st.integers(2, 5), st.integers(0, 4), st.data())
    def test_order_is_kept_where_it_matters(self, facts, parallel, found_on_disk, data):
        waiting = [
            write(n, client, method, url, has_status_url=later)
            for n, (client, method, url, later) in enumerate(facts, 1)
        ]
        accepted, order, in_flight = tuple(waiting), [], []
        rules = OrderingRules(parallel)
        rules.serialize_through(found_on_disk)
        while waiting or in_flight:
            chosen = rules.next_write(waiting, HOLD)
            if chosen is not None and (not in_flight or data.draw(st.booleans())):
                waiting.remove(chosen)
                rules.start(chosen)
                in_flight.append(chosen)
                order.append(chosen)
                self.check(in_flight, parallel, found_on_disk)
            else:
                self.assertTrue(in_flight, "nothing is in flight, and nothing may be sent")
                finished = data.draw(st.sampled_from(in_flight))
                in_flight.remove(finished)
                rules.finish(finished.position)
        self.assertCountEqual(accepted, order)
        for client in "abc":
            positions = [one.position for one in order if one.client == client]
            self.assertEqual(sorted(positions), positions, "a client's writes changed their order")
        for url in ("/x", "/y", "/z"):
            of_url = [one for one in order if one.url == url]
            for at, one in enumerate(of_url):
                for later in of_url[at + 1 :]:
                    if IDEMPOTENT & {one.method, later.method}:
                        self.assertLess(one.position, later.position)

    def check(self, in_flight, parallel, found_on_disk):
        self.assertLessEqual(len(in_flight), parallel)
        alone = [w for w in in_flight if w.has_status_url or w.position <= found_on_disk]
        self.assertTrue(not alone or len(in_flight) == 1, in_flight)
        self.assertEqual(len(in_flight), len({one.client for one in in_flight}))


class MayPipelineTest(unittest.TestCase):
    """Which writes may be sent behind writes in flight on the same connection."""

    def test_behind_a_resendable_write(self):
        put = write(1, "a", "PUT", "/a")
        self.assertTrue(may_pipeline(write(2, "b", "DELETE", "/b"), [put]))
        self.assertTrue(may_pipeline(write(2, "a", "PUT", "/b"), [put]))
        self.assertTrue(may_pipeline(write(2, "b", url="/b"), [put]))
        keyed = write(1, "a", honours_keys=True, key='"k"')
        self.assertTrue(may_pipeline(put, [keyed]))

    def test_not_behind_a_write_to_the_same_url_unless_its_key_is_honoured(self):
        keyed = {"honours_keys": True, "key": '"k"'}
        for first, expected in (
            (write(1, "a", "PUT", "/a"), False),
            (write(1, "a", "PUT", "/a", **keyed), False),
            (write(1, "a", "POST", "/a", **keyed), True),
        ):
            self.assertEqual(expected, may_pipeline(write(2, "b", "PUT", "/a"), [first]), first)

    def test_not_behind_a_write_that_must_not_be_sent_twice(self):
        post, put = write(1, "a", url="/a"), write(2, "b", "PUT", "/b")
        self.assertFalse(may_pipeline(put, [post]))
        self.assertFalse(may_pipeline(write(3, "c", "PUT"), [put, post]))

    def test_not_an_upload(self):
        put = write(1, "a", "PUT", "/a")
        upload = AcceptedWrite("shop", 2, 0.0, "PUT", "/b", "h", (), Body(spool="x", length=9), "b")
        self.assertFalse(may_pipeline(upload, [put]))
        self.assertFalse(may_pipeline(put, [upload]))
