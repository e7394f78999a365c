"""The hot set, through the interface that the warmer uses."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.access import AccessRecord, PageKey
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.model.terminator import NONE, Terminator
from nova_cachemig.popularity.askable import Rules
from nova_cachemig.popularity.hotset import HotSet, HotSetLimits

SERVICE = "shop"


def record(url, at=0.0, **more):
    fields = {
        "service": SERVICE, "client": "10.0.0.1", "method": "GET", "host": "shop.example",
        "url": url, "status": 200, "at": at, "seconds": 0.01, **more,
    }  # fmt: skip
    return AccessRecord(**fields)


def urls(hotset, now=1000.0, limit=1000, service=SERVICE, **more):
    return [page.url for page in hotset.rank(service, now, limit, **more)]


class HotSetTest(unittest.TestCase):
    def test_most_used_first(self):
        hotset = HotSet()
        for i in range(30):
            hotset.record(record("/often", i, client=f"c{i}"))
            if i % 3 == 0:
                hotset.record(record("/sometimes", i, client=f"d{i}"))
        hotset.record(record("/once", 30.0, client="e"))
        self.assertEqual(["/often", "/sometimes", "/once"], urls(hotset))
        self.assertEqual(["/often"], urls(hotset, limit=1))
        self.assertEqual([], urls(hotset, limit=0))
        self.assertEqual([], urls(hotset, service="other"))

    def test_newly_popular_overtakes(self):
        hotset = HotSet(HotSetLimits(half_lives=(60.0,)))
        for i in range(300):
            hotset.record(record("/old", i, client=f"c{i}"))
        for i in range(2000):
            hotset.record(record("/new", 10_000 + i / 10, client=f"c{i}"))
            if i % 20 == 0:
                hotset.record(record("/old", 10_000 + i / 10, client=f"d{i}"))
        self.assertEqual(["/new", "/old"], urls(hotset, 10_200.0))

    def test_a_present_session_raises_its_next_pages(self):
        hotset = HotSet()
        for i in range(50):
            at = i * 400.0
            hotset.record(record("/form", at, client=f"c{i}"))
            hotset.record(record("/form.css", at + 1, client=f"c{i}"))
            for j in range(3):
                hotset.record(record("/other", at + j, client=f"d{i}{j}"))
        self.assertEqual("/other", urls(hotset, 1e6, horizon=10.0)[0])
        for i in range(20):
            hotset.record(record("/form", 1e6 + i / 100, client=f"new{i}"))
        self.assertEqual("/form.css", urls(hotset, 1e6 + 1, horizon=10.0)[0])

    def test_which_requests_count(self):
        for more, counts in (
            ({"method": "HEAD"}, True),
            ({"status": 304}, True),
            ({"status": 206}, True),
            ({"status": 301}, True),
            ({"status": 404}, False),
            ({"status": 500}, False),
            ({"status": 101}, False),
            ({"status": -1}, False),
            ({"method": "POST"}, False),
            ({"method": "get"}, False),
            ({"has_cookie": True}, False),
            ({"at": float("nan")}, False),
            ({"at": float("inf")}, False),
        ):
            with self.subTest(more):
                hotset = HotSet()
                hotset.record(record("/page", **more))
                self.assertEqual(["/page"] if counts else [], urls(hotset))

    def test_invalid_and_too_long_urls_do_not_count(self):
        hotset = HotSet(HotSetLimits(url_length=20))
        for url in ("*", "", "http://other/", 10 * "/x" + "y"):
            hotset.record(record(url))
        hotset.record(record(10 * "/x"))
        self.assertEqual(1, len(hotset))

    def test_urls_that_may_act_or_have_secrets_are_not_stored(self):
        hotset = HotSet(HotSetLimits(unfit=2))
        for client in "abc":
            for url in (
                "/logout",
                "/p?action=go",
                "/reset/4f5c9a7be1",
                "/p?token=1",
                "/a@b.example",
            ):
                hotset.record(record(url, client=client))
        self.assertEqual(0, len(hotset))
        self.assertEqual([], urls(hotset))

    def test_a_query_needs_two_clients(self):
        hotset = HotSet()
        for url in ("/list?page=2", "/list;page=2", "/a.css?ver=6"):
            for at in range(3):
                hotset.record(record(url, at, client="a"))
        self.assertEqual(["/a.css?ver=6"], urls(hotset))
        page = PageKey(SERVICE, "shop.example", "/list?page=2")
        self.assertFalse(hotset.knows(page))
        hotset.record(record("/list?page=2", 4, client="b"))
        hotset.record(record("/list?page=2", 5, client="a"))
        self.assertEqual({"/a.css?ver=6", "/list?page=2"}, set(urls(hotset)))
        self.assertTrue(hotset.knows(page))

    def test_the_rules_of_a_service(self):
        hotset = HotSet()
        for url in ("/mine", "/start", "/other"):
            hotset.record(record(url))
        own = (Rule(("/mine",), never=True), Rule(("/start",), never=False))
        rules = {SERVICE: Rules(Policy(own=own))}
        hotset.set_rules(rules)  # what was learnt by other rules is forgotten
        self.assertEqual(0, len(hotset))
        for url in ("/mine", "/start", "/other"):
            hotset.record(record(url))
        self.assertEqual({"/start", "/other"}, set(urls(hotset)))
        hotset.set_rules(rules)
        self.assertEqual(2, len(hotset))
        hotset.set_rules({})
        self.assertEqual(0, len(hotset))

    def test_parameters_that_the_policy_ignores(self):
        hotset = HotSet()
        hotset.set_rules({SERVICE: Rules(Policy(own=(Rule(ignore_query=("utm_*",)),)))})
        hotset.record(record("/a?utm_source=x"))
        hotset.record(record("/a?utm_source=y&page=2"))
        self.assertEqual(["/a"], urls(hotset))
        hotset.record(record("/a?page=2", client="b"))
        self.assertEqual({"/a", "/a?page=2"}, set(urls(hotset)))

    def test_cookies_do_not_matter_for_static_pages(self):
        hotset = HotSet()
        hotset.set_rules({SERVICE: Rules(Policy(own=(Rule(("*.css",), static=True),)))})
        hotset.record(record("/a.css", has_cookie=True))
        hotset.record(record("/a", has_cookie=True))
        self.assertEqual(["/a.css"], urls(hotset))

    def test_refused_until(self):
        hotset = HotSet(HotSetLimits(refused_for=100.0, refused=2))
        page = PageKey(SERVICE, "shop.example", "/private")
        hotset.refuse(page, 0.0)  # of an unknown service
        hotset.record(record("/private"))
        hotset.record(record("/public"))
        hotset.refuse(page, 10.0)
        self.assertEqual(["/public"], urls(hotset, 109.0))
        self.assertTrue(hotset.is_refused(page, 109.0))
        self.assertEqual({"/public", "/private"}, set(urls(hotset, 111.0)))
        for url in ("/a", "/b"):
            hotset.refuse(PageKey(SERVICE, "shop.example", url), 10.0)
        self.assertFalse(hotset.is_refused(page, 11.0))  # bounded: the oldest is forgotten

    def test_forget(self):
        hotset = HotSet()
        hotset.record(record("/a"))
        hotset.record(record("/b", service="other"))
        hotset.forget(SERVICE)
        hotset.forget("nobody")
        self.assertEqual([], urls(hotset))
        self.assertEqual(1, len(hotset))

    def test_the_hosts_of_one_service_are_distinct(self):
        hotset = HotSet()
        hotset.record(record("/", host="a.example"))
        hotset.record(record("/", host="b.example"))
        self.assertEqual({"a.example", "b.example"}, {p.host for p in hotset.rank(SERVICE, 1.0, 9)})

    def test_least_recent_service_is_forgotten(self):
        hotset = HotSet(HotSetLimits(services=3))
        for i, service in enumerate("abcad"):
            hotset.record(record("/", float(i), service=service))
        self.assertEqual([], urls(hotset, service="b"))
        self.assertEqual(3, len(hotset))
        for service in "acd":
            self.assertEqual(["/"], urls(hotset, service=service))

    def test_a_flooded_service_does_not_starve_another(self):
        hotset = HotSet(HotSetLimits(pages_per_service=1000, pages=1200), seed=1)
        for i in range(1000):
            hotset.record(record(f"/{i}", i / 100, service="big", client=f"c{i}"))
        for i in range(600):
            hotset.record(record(f"/{i}", 10 + i / 100, service="small", client=f"c{i}"))
        self.assertEqual(1200, len(hotset))
        self.assertEqual(600, len(urls(hotset, service="small")))
        self.assertEqual(600, len(urls(hotset, service="big")))

    def test_a_scanner_does_not_evict_pages(self):
        hotset = HotSet(HotSetLimits(pages_per_service=300, novel_pages=20), seed=1)
        for i in range(1000):
            hotset.record(record(f"/page{i % 280}", i / 10, client=f"c{i % 50}"))
        for i in range(5000):  # each URL three times, so that counts alone would admit it
            for _ in range(3):
                hotset.record(record(f"/find/{i}", 100 + i / 100, client="scanner"))
        kept = [url for url in urls(hotset, 150.0) if url.startswith("/page")]
        self.assertGreaterEqual(len(kept), 260)  # 15 of 300 places are for new pages

    @given(
        st.lists(
            st.builds(
                record,
                st.text(max_size=5).map(lambda t: "/" + t),
                at=st.floats(-1e12, 1e12) | st.floats(),
                service=st.sampled_from("ab"),
                client=st.sampled_from("xyz"),
                status=st.integers(-1, 600),
                method=st.sampled_from(["GET", "HEAD", "POST"]),
            ),
            max_size=60,
        ),
        st.floats(-1e12, 1e12),
    )
    def test_any_log_stays_within_the_limits(self, records, now):
        hotset = HotSet(
            HotSetLimits(pages_per_service=5, pages=8, clients=2, novel_pages=3), seed=1
        )
        for item in records:
            hotset.record(item)
        ranked = [hotset.rank(service, now, 100) for service in "ab"]
        self.assertLessEqual(sum(map(len, ranked)), len(hotset))
        self.assertLessEqual(len(hotset), 8)
        for pages in ranked:
            self.assertLessEqual(len(pages), 5)
            self.assertEqual(len(pages), len(set(pages)))


class TerminatorTest(unittest.TestCase):
    def test_the_most_common_headers_of_a_page_or_of_its_host(self):
        hotset = HotSet(HotSetLimits(hosts=1))
        https, http = Terminator("https"), Terminator("http")
        for at in range(3):
            hotset.record(record("/a", at), https)
            hotset.record(record("/b", at), http)
            hotset.record(record("/plain", at))
            hotset.record(record("/c", at, host="second.example"), https)
        hotset.record(record("/a", 9), http)
        hotset.record(record("/a2", 9), https)
        for url, value in (("/a", https), ("/b", http), ("/plain", NONE)):
            self.assertEqual(value, hotset.terminator(PageKey(SERVICE, "shop.example", url)), url)
        unknown = PageKey(SERVICE, "shop.example", "/new")
        self.assertEqual(https, hotset.terminator(unknown))
        self.assertEqual(NONE, hotset.terminator(PageKey(SERVICE, "second.example", "/new")))
        self.assertEqual(NONE, hotset.terminator(PageKey("other", "shop.example", "/a")))
        hotset.forget(SERVICE)
        self.assertEqual(NONE, hotset.terminator(unknown))
