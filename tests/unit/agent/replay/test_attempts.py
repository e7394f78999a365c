"""How often a write is sent again."""

import unittest

from nova_cachemig.agent.replay.attempts import Attempts


class AttemptsTest(unittest.TestCase):
    def test_a_few_tries_with_growing_pauses(self) -> None:
        attempts = Attempts(tries=7, time=30.0)
        pauses = [attempts.lost(1, float(now)) for now in range(7)]
        self.assertEqual([0.2, 0.4, 0.8, 1.6, 3.0, 3.0, None], pauses)
        self.assertEqual(7, attempts.number(1))

    def test_one_try_is_none_again(self) -> None:
        self.assertIsNone(Attempts(tries=1, time=30.0).lost(1, 0.0))

    def test_not_for_longer_than_the_time(self) -> None:
        attempts = Attempts(tries=9, time=30.0)
        self.assertEqual(0.2, attempts.lost(1, 100.0))
        self.assertEqual(0.4, attempts.lost(1, 129.0))
        self.assertIsNone(attempts.lost(1, 130.0))

    def test_a_guest_that_asks_again_is_limited_by_the_time_only(self) -> None:
        attempts = Attempts(tries=2, time=30.0)
        found = [attempts.may_try_again(1, 100.0 + second) for second in range(0, 40, 5)]
        self.assertEqual([True] * 6 + [False] * 2, found)
        self.assertEqual(0, attempts.number(1))

    def test_each_write_has_its_own_count_and_can_begin_anew(self) -> None:
        attempts = Attempts(tries=2, time=30.0)
        self.assertEqual(0.2, attempts.lost(1, 0.0))
        self.assertEqual(0.2, attempts.lost(2, 0.0))
        attempts.forget(1)
        self.assertEqual((0.2, None), (attempts.lost(1, 1.0), attempts.lost(2, 1.0)))
