"""Which writes go side by side, and that order is kept where anybody could see it."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.replay.ordering import OrderingRules, follows
from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import Body, HeldWrite

HOLD = Service("shop", "uuid", 80, ("192.0.2.1", 80))
ACCEPT = Service("shop", "uuid", 80, ("192.0.2.1", 80), writes=WriteMode.ACCEPT)


def write(position, client="a", method="POST", url="/orders", **more):
    return HeldWrite("shop", position, 0.0, method, url, "shop.example", (), Body(), client, **more)


class AdmitsTest(unittest.TestCase):
    def setUp(self):
        self.ordering = OrderingRules(4)

    def admits(self, *writes, service=HOLD):
        *flying, last = writes
        for one in flying:
            self.ordering.begin(one)
        return self.ordering.startable([last], service) == [last]

    def test_two_clients_go_side_by_side(self):
        self.assertTrue(self.admits(write(1, "a"), write(2, "b")))

    def test_one_client_keeps_its_order(self):
        self.assertFalse(self.admits(write(1, "a"), write(2, "a", url="/other")))

    def test_idempotent_writes_to_a_url_keep_their_order(self):
        self.assertFalse(self.admits(write(1, "a", "PUT"), write(2, "b", "PUT")))
        self.assertFalse(self.admits(write(1, "a", "POST"), write(2, "b", "DELETE")))

    def test_not_more_than_the_limit(self):
        self.assertFalse(self.admits(*(write(n, str(n)) for n in range(5))))

    def test_what_was_found_on_disk_goes_alone(self):
        self.ordering.alone_through(1)
        self.assertFalse(self.admits(write(1, "a"), write(2, "b")))
        self.ordering.end(1)
        self.assertTrue(self.admits(write(2, "b"), write(3, "c")))

    def test_a_service_that_answers_202_has_one_order(self):
        self.assertFalse(self.admits(write(1, "a"), write(2, "b"), service=ACCEPT))

    def test_a_client_that_got_202_is_not_overtaken(self):
        self.assertFalse(self.admits(write(1, "a", has_status_url=True), write(2, "b")))
        self.ordering.end(1)
        self.assertFalse(self.admits(write(2, "b"), write(3, "c", has_status_url=True)))

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
            self.assertTrue(ordering.total)
            self.assertIs(one, ordering.next(waiting, HOLD))
            ordering.begin(one)
            self.assertEqual(1, len(ordering))
            ordering.end(position)

    def test_a_write_that_waits_is_overtaken_by_strangers_only(self):
        self.ordering.begin(write(1, "a"))
        waiting = [
            write(2, "a", url="/x"),
            write(3, "a"),
            write(4, "b", "PUT", "/x"),
            write(5, "c"),
        ]
        self.assertEqual([5], [w.position for w in self.ordering.startable(waiting, HOLD)])

    def test_nobody_overtakes_a_write_that_goes_alone(self):
        self.ordering.begin(write(1, "a"))
        waiting = [write(2, "b", has_status_url=True), write(3, "c")]
        self.assertEqual([], self.ordering.startable(waiting, HOLD))


class FollowsTest(unittest.TestCase):
    """What may go out behind writes that are not answered yet."""

    def test_anything_behind_what_may_be_sent_again(self):
        put = write(1, "a", "PUT", "/a")
        self.assertTrue(follows(write(2, "b", "DELETE", "/b"), [put]))
        self.assertTrue(follows(write(2, "a", "PUT", "/b"), [put]))
        self.assertTrue(follows(write(2, "b", url="/b"), [put]))
        keyed = write(1, "a", honours_keys=True, key='"k"')
        self.assertTrue(follows(put, [keyed]))

    def test_not_behind_another_to_its_url_unless_keys_are_honoured(self):
        put = write(1, "a", "PUT", "/a")
        keyed = write(1, "a", "PUT", "/a", honours_keys=True, key='"k"')
        self.assertFalse(follows(write(2, "b", "PUT", "/a"), [put]))
        self.assertTrue(follows(write(2, "b", "PUT", "/a"), [keyed]))

    def test_nothing_behind_what_may_not_be_sent_twice(self):
        post, put = write(1, "a", url="/a"), write(2, "b", "PUT", "/b")
        self.assertFalse(follows(put, [post]))
        self.assertFalse(follows(write(3, "c", "PUT"), [put, post]))

    def test_no_upload(self):
        put = write(1, "a", "PUT", "/a")
        upload = HeldWrite("shop", 2, 0.0, "PUT", "/b", "h", (), Body(spool="x", length=9), "b")
        self.assertFalse(follows(upload, [put]))
        self.assertFalse(follows(put, [upload]))
