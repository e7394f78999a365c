"""In which order pages found by links are given out, and how many."""

import unittest

from nova_cachemig.agent.warm.links import Links
from nova_cachemig.model.access import PageKey


def page(url):
    return PageKey("shop", "h", url)


def pages(*urls):
    return [page(url) for url in urls]


class LinksTest(unittest.TestCase):
    def make(self, limit=100, size=1_000_000):
        links = Links(limit, size)
        links.rank(pages("/first", "/second", "/third"))
        return links

    def test_by_the_rank_of_the_page_that_links_then_by_place(self):
        links = self.make()
        links.add(page("/unranked"), pages("/e"))
        links.add(page("/third"), pages("/d", "/b"))
        links.add(page("/first"), pages("/z", "/a"))
        links.add(page("/second"), pages("/b", "/a", "/c"))
        self.assertEqual(pages("/z", "/a", "/b", "/c", "/d", "/e"), links.take(99))
        self.assertEqual([], links.take(99))

    def test_a_few_at_a_time_each_once(self):
        links = self.make()
        links.add(page("/first"), pages("/a", "/b", "/c"))
        self.assertEqual(pages("/a", "/b"), links.take(2))
        links.add(page("/first"), pages("/a", "/b", "/c"))
        self.assertEqual(pages("/c"), links.take(2))
        self.assertEqual(set(pages("/a", "/b", "/c")), set(links.given()))

    def test_what_waits_gives_way_what_was_given_does_not(self):
        links = self.make(limit=3)
        links.add(page("/second"), pages("/a", "/b", "/c", "/d"))
        self.assertEqual(3, len(links))
        self.assertEqual(pages("/a"), links.take(1))
        links.add(page("/first"), pages("/x"))
        links.add(page("/third"), pages("/y"))
        self.assertEqual(pages("/x", "/b"), links.take(99))
        links.add(page("/first"), pages("/late"))
        self.assertEqual([], links.take(99))

    def test_none_at_all(self):
        links = self.make(limit=0)
        links.add(page("/first"), pages("/a"))
        self.assertEqual([], links.take(99))

    def test_bytes(self):
        links = self.make(size=1000)
        links.add(page("/first"), pages("/a", "/b", "/c"))
        links.stored(page("/known"), 5000)
        self.assertEqual(pages("/a"), links.take(1))
        for _ in range(3):  # the same page again
            links.stored(page("/a"), 600)
        self.assertEqual(pages("/b"), links.take(1))
        links.stored(page("/b"), 400)
        self.assertEqual([], links.take(1))
