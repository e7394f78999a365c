"""What an answer says."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm.response import FetchedResponse, Verdict


def answer(status=200, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return FetchedResponse(status, named, 0.01, 0, b"")


class VerdictTest(unittest.TestCase):
    def test_as_the_engine_says(self):
        for served, status, verdict in (
            ("stored", 200, Verdict.STORED),
            ("hit", 200, Verdict.HIT),
            ("stale", 200, Verdict.HIT),
            ("pass", 200, Verdict.UNCACHEABLE),
            ("stored", 404, Verdict.FAILED),
            ("hit", 404, Verdict.FAILED),
            ("pass", 500, Verdict.FAILED),
            ("none", 200, Verdict.FAILED),
            ("", 200, Verdict.FAILED),
        ):
            with self.subTest(served=served, status=status):
                self.assertIs(verdict, answer(status, x_cachemig_served=served).verdict)

    def test_turned_away(self):
        self.assertTrue(answer(409, x_cachemig_served="refused").turned_away)
        self.assertFalse(answer(409, x_cachemig_served="stored").turned_away)


class UsableTest(unittest.TestCase):
    def check(self, seconds, **headers):
        self.assertEqual(seconds, answer(**headers).usable_for(300.0))

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
        usable = FetchedResponse(200, headers, 0.0, 0, b"").usable_for(300.0)
        self.assertGreaterEqual(usable, 0.0)
