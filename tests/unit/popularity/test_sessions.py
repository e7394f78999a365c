"""Predictions of a client's next pages."""

import unittest

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity import sessions
from nova_cachemig.popularity.page import Page
from nova_cachemig.popularity.sessions import Calibration, Sessions


class CalibrationTest(unittest.TestCase):
    def test_every_group_is_in_the_table(self):
        calibration = Calibration()
        for count in (1, 2, 3, 7, 64, 10_000):
            for visits in (1, 2, 64, 10_000):
                self.assertLessEqual(0.0, calibration.probability(calibration.group(count, visits)))

    def test_learns_the_share_that_comes_true(self):
        calibration = Calibration()
        for i in range(200):
            calibration.add_predictions(7)
            calibration.add_predictions(8)
            if i % 4 == 0:
                calibration.add_success(7)
        self.assertAlmostEqual(0.25, calibration.probability(7), delta=0.01)
        self.assertLess(calibration.probability(8), 0.01)


class SessionsTest(unittest.TestCase):
    def setUp(self):
        self.sessions = Sessions(100, idle=300.0, half_life=120.0, start=0.0)
        self.pages = {url: Page(PageKey("s", "h", url), 1) for url in "abcdefxyz"}

    def visit(self, client, urls, at):
        for i, url in enumerate(urls):
            session = self.sessions.get(client, at + i)
            self.sessions.record(session, self.pages[url], at + i)

    def expected(self, url, now):
        return self.pages[url].expected / self.sessions.decay.weight(now)

    def test_embedded_pages_are_expected(self):
        for i in range(40):
            self.visit(f"c{i}", "abc", 10.0 * i)
        before = self.expected("b", 400.0)
        self.visit("new", "a", 400.0)
        self.assertGreater(self.expected("b", 400.0) - before, 0.7)
        self.assertLess(self.expected("x", 400.0), 0.01)

    def test_not_expected_twice_by_one_client(self):
        for i in range(40):
            self.visit(f"c{i}", "abc", 10.0 * i)
        self.visit("new", "a", 400.0)
        self.visit("new", "b", 401.0)
        had = self.expected("b", 402.0)
        self.visit("new", "ab", 402.0)
        self.assertAlmostEqual(had, self.expected("b", 402.0), delta=0.02)

    def test_a_prediction_that_came_true_is_withdrawn(self):
        for i in range(40):
            self.visit(f"c{i}", "ab", 10.0 * i)
        at = 100_000.0
        self.visit("new", "a", at)
        self.visit("new", "b", at)
        self.assertAlmostEqual(0.0, self.expected("b", at), delta=1e-6)

    def test_an_expectation_decays(self):
        for i in range(40):
            self.visit(f"c{i}", "ab", 10.0 * i)
        self.visit("new", "a", 400.0)
        now = self.expected("b", 400.0)
        self.assertAlmostEqual(now / 2, self.expected("b", 520.0), delta=0.01)

    def test_a_long_pause_ends_the_session(self):
        for i in range(40):
            self.visit(f"c{i}", "a", 10_000.0 * i)
            self.visit(f"c{i}", "b", 10_000.0 * i + 301.0)
        self.assertEqual({}, self.pages["a"].followers)

    def test_bounded(self):
        crowd = [Page(PageKey("s", "h", f"/{i}"), 1) for i in range(3000)]
        for i, page in enumerate(crowd):
            for client in ("one", f"c{i}"):
                self.sessions.record(self.sessions.get(client, i / 10), page, i / 10)
                self.sessions.record(self.sessions.get(client, i / 10), self.pages["a"], i / 10)
        self.assertEqual(100, len(self.sessions))
        session = self.sessions.get("one", 300.0)
        self.assertLessEqual(len(session.seen), sessions.MAX_SEEN)
        self.assertLessEqual(len(session.pending), sessions.MAX_PENDING)
        self.assertLessEqual(
            max(len(p.followers) for p in (*crowd, self.pages["a"])), sessions.MAX_FOLLOWERS
        )

    def test_a_true_follower_survives_many_others(self):
        others = [Page(PageKey("s", "h", f"/{i}"), 1) for i in range(400)]
        for i, other in enumerate(others):
            at = 10.0 * i
            session = self.sessions.get(f"c{i}", at)
            for page in (self.pages["a"], other, *([self.pages["b"]] if i % 3 == 0 else [])):
                self.sessions.record(session, page, at)
        self.assertIn(self.pages["b"], self.pages["a"].followers)

    def test_evicted_pages_are_not_expected(self):
        for i in range(10):
            self.visit(f"c{i}", "ab", 10.0 * i)
        self.pages["b"].kept = False
        self.visit("new", "a", 200.0)
        self.assertNotIn(self.pages["b"], self.pages["a"].followers)
        self.assertNotIn(self.pages["b"], self.sessions.get("new", 200.0).pending)
