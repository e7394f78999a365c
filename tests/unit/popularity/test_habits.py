"""The headers that most users send."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.popularity.habits import CommonValue, Kind, guess_kind, kind_of
from nova_cachemig.popularity.hotset import HotSet


class CommonValueTest(unittest.TestCase):
    def test_the_commonest_value_of_several_clients(self):
        common = CommonValue()
        for n in range(9):
            common.add("often", f"c{n}")
            common.add("own", "me")
        for n in range(3):
            common.add("seldom", f"c{n}")
        self.assertEqual("often", common.best)

    def test_the_value_of_a_single_client_is_never_used(self):
        common = CommonValue()
        for _ in range(50):
            common.add("own", "me")
        self.assertEqual("", common.best)

    @given(st.lists(st.tuples(st.text(max_size=9), st.sampled_from("abc")), max_size=200))
    def test_memory_is_bounded(self, seen):
        common = CommonValue()
        for value, client in seen:
            common.add(value, client)
        self.assertLessEqual(len(common._counts), 16)
        self.assertEqual(common._counts.keys(), common._last.keys())
        self.assertLessEqual(common._shared, common._counts.keys())
        if common.best:
            self.assertGreater(len({client for value, client in seen if value == common.best}), 1)

    def test_a_flood_of_values_does_not_displace_the_commonest(self):
        common = CommonValue()
        for n in range(2000):
            common.add("often", f"c{n}")
            common.add(f"flood {n}", f"c{n}")
        self.assertEqual("often", common.best)

    def test_unusable_values(self):
        common = CommonValue()
        for value in ("", "a\r\nb", "é", "x" * 251):
            common.add(value, "a")
            common.add(value, "b")
        self.assertEqual("", common.best)

    def test_habits_change(self):
        common = CommonValue()
        for n in range(30_000):
            common.add("old", str(n))
        for n in range(30_000):
            common.add("new", str(n))
        self.assertEqual("new", common.best)


class KindTest(unittest.TestCase):
    def test_kinds(self):
        for accept, kind in {
            "text/html,application/xhtml+xml,*/*;q=0.8": Kind.DOCUMENT,
            "image/avif,image/webp,*/*;q=0.8": Kind.IMAGE,
            "application/json, text/plain, */*": Kind.DATA,
            "text/css,*/*;q=0.1": Kind.ANY,
            "": Kind.ANY,
        }.items():
            self.assertIs(kind, kind_of(accept), accept)

    def test_guesses(self):
        for url, kind in {"/": Kind.DOCUMENT, "/a.b/c": Kind.DOCUMENT, "/x.PNG?v=1": Kind.IMAGE,
                          "/x.js": Kind.ANY, "/a.json": Kind.DATA}.items():  # fmt: skip
            self.assertIs(kind, guess_kind(url), url)


class HotSetTest(unittest.TestCase):
    def record(self, hotset, client, url="/api/x", **fields):
        hotset.record(AccessRecord("s", client, "GET", "h", url, 200, 1e9, 0.1, **fields))

    def test_the_kind_of_a_page_is_that_of_most_requests(self):
        hotset, page = HotSet(seed=1), PageKey("s", "h", "/api/x")
        self.assertIs(Kind.DOCUMENT, hotset.kind(page))
        for n in range(3):
            self.record(hotset, f"c{n}", accept="application/json")
        self.record(hotset, "c9", accept="text/html")
        self.assertIs(Kind.DATA, hotset.kind(page))

    def test_habits_are_learned_also_from_users_with_cookies(self):
        hotset = HotSet(seed=1)
        for client in "ab":
            self.record(hotset, client, has_cookie=True, language="sv")
        self.assertEqual("sv", hotset.habits("s").language)
        self.assertEqual("", hotset.habits("other").language)
        self.assertEqual(0, len(hotset))
