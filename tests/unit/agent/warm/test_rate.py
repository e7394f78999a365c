"""How fast a guest is asked."""

import unittest

from nova_cachemig.agent.warm.rate import RateLimiter, Users


def pace(**more):
    return RateLimiter(
        **{"max_rate": 400.0, "min_rate": 4.0, "max_concurrency": 16, "slow_factor": 2.0, **more}
    )


class Guest:
    """A guest whose answers take longer the more requests are open beyond what it can do."""

    def __init__(self, base, able):
        self.base, self.able = base, able

    def seconds(self, concurrency):
        return self.base * max(1.0, concurrency / self.able)


class PaceTest(unittest.TestCase):
    def rounds(self, subject, count, seconds):
        for _ in range(count):
            for _ in range(max(8, subject.concurrency)):
                subject.answered(seconds(subject.concurrency))

    def test_begins_low_and_reaches_the_top_quickly(self):
        subject = pace()
        self.assertEqual(1, subject.concurrency)
        self.rounds(subject, 4, lambda _: 0.003)
        self.assertEqual(16, subject.concurrency)
        self.assertEqual(400.0, subject.rate)
        self.assertEqual(0, subject.cuts)

    def test_stays_at_what_the_guest_can_do(self):
        subject, guest = pace(), Guest(0.02, 4)
        self.rounds(subject, 60, guest.seconds)
        seen = []
        for _ in range(100):
            self.rounds(subject, 1, guest.seconds)
            seen.append(subject.concurrency)
        self.assertLessEqual(sum(seen) / len(seen), 12)  # twice as slow plus 5 ms is at 9
        self.assertGreaterEqual(min(seen), 3)
        self.assertGreater(subject.cuts, 3)

    def test_guest_that_does_one_thing_at_a_time_keeps_a_short_queue(self):
        subject, guest = pace(), Guest(0.01, 1)
        seen = []
        for _ in range(100):
            self.rounds(subject, 1, guest.seconds)
            seen.append(subject.concurrency)
        self.assertLessEqual(max(seen), 4)
        self.assertLessEqual(sum(seen) / len(seen), 3)

    def test_slower_users_make_it_back_off(self):
        subject = pace(users_before=0.010)
        self.rounds(subject, 4, lambda _: 0.003)
        before = subject.rate
        for _ in range(8):
            subject.user(0.050)
        self.rounds(subject, 1, lambda _: 0.003)
        self.assertEqual(before / 2, subject.rate)

    def test_hits_of_users_do_not_make_the_rest_slow(self):
        subject = pace(users_before=0.010)
        for seconds in (0.001, 0.001, 0.001, 0.018):
            for _ in range(8):
                subject.user(seconds)
            self.rounds(subject, 1, lambda _: 0.003)
        self.assertEqual(0, subject.cuts)

    def test_pages_that_are_just_slower_do_not_hold_it_back(self):
        subject = pace()
        self.rounds(subject, 4, lambda _: 0.003)
        self.rounds(subject, 40, lambda _: 0.100)  # whatever the effort
        self.assertEqual(16, subject.concurrency)
        self.assertEqual(3, subject.cuts)

    def test_failures_take_it_to_the_floor(self):
        subject = pace()
        for _ in range(400):
            subject.failed()
        self.assertEqual(1, subject.concurrency)
        self.assertEqual(4.0, subject.rate)

    def test_rate_is_kept(self):
        subject, now, sent = pace(max_rate=100.0, max_concurrency=2), 50.0, 0
        self.rounds(subject, 2, lambda _: 0.003)
        self.assertEqual(1.0, subject.effort)
        while now < 60.0:
            if subject.wait(now) <= 0:
                subject.sent(now)
                sent += 1
            now += 0.001
        self.assertAlmostEqual(1000, sent, delta=15)

    def test_pause_gives_no_burst(self):
        subject = pace(max_rate=100.0, max_concurrency=2)
        subject.sent(0.0)
        burst = 0
        while subject.wait(1000.0) <= 0:
            subject.sent(1000.0)
            burst += 1
        self.assertLessEqual(burst, 11)


class UsersTest(unittest.TestCase):
    def test_median_once_enough_is_known(self):
        users = Users()
        for _ in range(7):
            users.add(1.0)
        self.assertIsNone(users.median())
        users.add(1.0)
        self.assertEqual(1.0, users.median())
        for _ in range(100):
            users.add(2.0)
        self.assertEqual(2.0, users.median())
