"""The rate at which a guest is asked."""

import contextlib
import unittest

from nova_cachemig.agent.warm.rate import Budget, RateLimiter, UserLatency


def limiter(**more):
    return RateLimiter(
        **{"max_rate": 400.0, "min_rate": 4.0, "max_concurrency": 16, "slow_factor": 2.0, **more}
    )


class Guest:
    """A guest that slows down when more requests are open than it can handle at the same time."""

    def __init__(self, base, able):
        self.base, self.able = base, able

    def seconds(self, concurrency):
        return self.base * max(1.0, concurrency / self.able)


class BudgetTest(unittest.TestCase):
    def test_each_running_warming_has_an_equal_share(self):
        budget = Budget(rate=400.0, concurrency=64)
        with contextlib.ExitStack() as running:
            for _ in range(200):
                running.enter_context(budget.joined())
            self.assertEqual((2.0, 1), (budget.rate, budget.concurrency))
        with budget.joined():
            self.assertEqual((400.0, 64), (budget.rate, budget.concurrency))

    def test_a_share_bounds_the_own_rate_and_its_least(self):
        budget = Budget(rate=10.0, concurrency=4)
        subject = limiter(budget=budget)
        for _ in range(64):
            subject.record_response(0.003)
        with budget.joined(), budget.joined():
            self.assertEqual((5.0, 2), (subject.rate, subject.concurrency))
            with budget.joined(), budget.joined():
                self.assertEqual((2.5, 1), (subject.rate, subject.concurrency))
                subject.record_sent(100.0)
                self.assertAlmostEqual(0.3, subject.delay(100.0))


class RateLimiterTest(unittest.TestCase):
    def rounds(self, subject, count, seconds):
        """Run this many rounds; return the number of those that reduced the rate."""
        reduced = 0
        for _ in range(count):
            before = subject.rate
            for _ in range(max(8, subject.concurrency)):
                subject.record_response(seconds(subject.concurrency))
            reduced += subject.rate < before
        return reduced

    def test_slow_start_reaches_the_maximum_quickly(self):
        subject = limiter()
        self.assertEqual(1, subject.concurrency)
        self.assertEqual(0, self.rounds(subject, 4, lambda _: 0.003))
        self.assertEqual(16, subject.concurrency)
        self.assertEqual(400.0, subject.rate)

    def test_stays_at_the_capacity_of_the_guest(self):
        subject, guest = limiter(), Guest(0.02, 4)
        self.assertGreater(self.rounds(subject, 60, guest.seconds), 3)
        seen = []
        for _ in range(100):
            self.rounds(subject, 1, guest.seconds)
            seen.append(subject.concurrency)
        self.assertLessEqual(sum(seen) / len(seen), 12)  # twice as slow plus 5 ms is at 9
        self.assertGreaterEqual(min(seen), 3)

    def test_a_serial_guest_keeps_a_short_queue(self):
        subject, guest = limiter(), Guest(0.01, 1)
        seen = []
        for _ in range(100):
            self.rounds(subject, 1, guest.seconds)
            seen.append(subject.concurrency)
        self.assertLessEqual(max(seen), 4)
        self.assertLessEqual(sum(seen) / len(seen), 3)

    def test_slower_users_reduce_the_rate(self):
        subject = limiter(user_baseline=0.010)
        self.rounds(subject, 4, lambda _: 0.003)
        before = subject.rate
        for _ in range(8):
            subject.record_user(0.050)
        self.rounds(subject, 1, lambda _: 0.003)
        self.assertEqual(before / 2, subject.rate)

    def test_hits_of_users_do_not_lower_the_baseline(self):
        subject = limiter(user_baseline=0.010)
        for seconds in (0.001, 0.001, 0.001, 0.018):
            for _ in range(8):
                subject.record_user(seconds)
            self.assertEqual(0, self.rounds(subject, 1, lambda _: 0.003))

    def test_slower_pages_become_the_new_baseline(self):
        subject = limiter()
        self.rounds(subject, 4, lambda _: 0.003)
        self.assertEqual(3, self.rounds(subject, 40, lambda _: 0.100))  # at any effort
        self.assertEqual(16, subject.concurrency)

    def test_failures_reduce_the_rate_to_the_minimum(self):
        subject = limiter()
        for _ in range(400):
            subject.record_failure()
        self.assertEqual(1, subject.concurrency)
        self.assertEqual(4.0, subject.rate)

    def test_the_rate_is_exact(self):
        subject, now, sent = limiter(max_rate=100.0, max_concurrency=2), 50.0, 0
        self.rounds(subject, 2, lambda _: 0.003)
        self.assertEqual(1.0, subject.effort)
        while now < 60.0:
            if subject.delay(now) <= 0:
                subject.record_sent(now)
                sent += 1
            now += 0.001
        self.assertAlmostEqual(1000, sent, delta=15)

    def test_a_pause_allows_no_burst(self):
        subject = limiter(max_rate=100.0, max_concurrency=2)
        subject.record_sent(0.0)
        burst = 0
        while subject.delay(1000.0) <= 0:
            subject.record_sent(1000.0)
            burst += 1
        self.assertLessEqual(burst, 11)


class UserLatencyTest(unittest.TestCase):
    def test_median_once_enough_is_known(self):
        users = UserLatency()
        for _ in range(7):
            users.add(1.0)
        self.assertIsNone(users.median())
        users.add(1.0)
        self.assertEqual(1.0, users.median())
        for _ in range(100):
            users.add(2.0)
        self.assertEqual(2.0, users.median())
