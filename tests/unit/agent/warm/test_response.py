"""The outcome and the lifetime of a response."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm.response import FetchedResponse, Outcome


def response(status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return FetchedResponse(status, named, 0.01, 0, b"")


class OutcomeTest(unittest.TestCase):
    def test_the_outcome_that_the_engine_reports(self):
        for served, status, outcome in (
            ("stored", 200, Outcome.STORED),
            ("hit", 200, Outcome.HIT),
            ("stale", 200, Outcome.HIT),
            ("pass", 200, Outcome.UNCACHEABLE),
            ("stored", 404, Outcome.FAILED),
            ("hit", 404, Outcome.FAILED),
            ("pass", 500, Outcome.FAILED),
            ("none", 200, Outcome.FAILED),
            ("", 200, Outcome.FAILED),
        ):
            with self.subTest(served=served, status=status):
                self.assertIs(outcome, response(status, x_cachemig_served=served).outcome)

    def test_refused(self):
        self.assertTrue(response(409, x_cachemig_served="refused").refused)
        self.assertFalse(response(409, x_cachemig_served="stored").refused)


class RedirectTest(unittest.TestCase):
    def test_to_the_same_page(self):
        for location, back in (
            ("https://shop.example/a?b=1", True), ("https://SHOP.example:8443/a?b=1#c", True),
            ("/a?b=1", True), ("//shop.example/a?b=1", True), ("https://shop.example/a", False),
            ("https://www.shop.example/a?b=1", False), ("http://[", False), ("", False),
        ):  # fmt: skip
            with self.subTest(location):
                found = response(301, location=location)
                self.assertIs(back, found.redirects_to("shop.example:80", "/a?b=1"))
        self.assertFalse(response(200, location="/a").redirects_to("shop.example", "/a"))
        self.assertEqual("/b?c=1", response(302, location="b?c=1").target("shop.example", "/a"))
        self.assertIsNone(response(302, location="//other.example/").target("shop.example", "/a"))
        home = response(308, location="https://shop.example")
        self.assertTrue(home.redirects_to("Shop.example", "/"))


class LifetimeTest(unittest.TestCase):
    def check(self, seconds, **headers):
        self.assertEqual(seconds, response(**headers).lifetime(300.0))

    def test_no_information(self):
        self.check(300.0)

    def test_max_age(self):
        self.check(360.0, cache_control="public, max-age=60")
        self.check(340.0, cache_control="max-age=60", age="20")
        self.check(300.0, cache_control="max-age=60", age="90")

    def test_no_grace(self):
        self.check(60.0, cache_control="Max-Age=60, must-revalidate")
        self.check(60.0, cache_control='max-age="60", proxy-revalidate')
        self.check(30.0, cache_control="max-age=60, s-maxage=30")

    def test_by_its_policy_it_is_used_in_the_silence(self):
        only = {"x_cachemig_only": "silence"}
        self.check(300.0, cache_control="max-age=0, must-revalidate", **only)

    def test_expires(self):
        date = "Sun, 06 Nov 1994 08:49:37 GMT"
        self.check(310.0, date=date, expires="Sun, 06 Nov 1994 08:49:47 GMT")
        self.check(300.0, date=date, expires="0")
        self.check(300.0, date=date, expires="Sun, 06 Nov 1994 08:49:00 GMT")
        self.check(305.0, date=date, expires="Sun, 06 Nov 1994 08:49:47 GMT",
                   cache_control="max-age=5")  # fmt: skip

    @given(st.dictionaries(
        st.sampled_from(["cache-control", "age", "expires", "date"]), st.text(max_size=60)
    ))  # fmt: skip
    def test_any_header(self, headers):
        lifetime = FetchedResponse(200, headers, 0.0, 0, b"").lifetime(300.0)
        self.assertGreaterEqual(lifetime, 0.0)
