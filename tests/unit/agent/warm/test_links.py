"""The order and the number of linked pages."""

import unittest

from nova_cachemig.agent.warm.links import LinkQueue
from nova_cachemig.model.access import PageKey


def page(url):
    return PageKey("shop", "h", url)


def pages(*urls):
    return [page(url) for url in urls]


class LinksTest(unittest.TestCase):
    def make(self, limit=100, size=1_000_000):
        links = LinkQueue(limit, size)
        links.set_ranking(pages("/first", "/second", "/third"))
        return links

    def test_order_by_the_rank_of_the_linking_page_then_by_position(self):
        links = self.make()
        links.add(page("/unranked"), pages("/e"))
        links.add(page("/third"), pages("/d", "/b"))
        links.add(page("/first"), pages("/z", "/a"))
        links.add(page("/second"), pages("/b", "/a", "/c"))
        self.assertEqual(pages("/z", "/a", "/b", "/c", "/d", "/e"), links.issue(99))
        self.assertEqual([], links.issue(99))

    def test_pages_are_issued_in_batches_and_once(self):
        links = self.make()
        links.add(page("/first"), pages("/a", "/b", "/c"))
        self.assertEqual(pages("/a", "/b"), links.issue(2))
        links.add(page("/first"), pages("/a", "/b", "/c"))
        self.assertEqual(pages("/c"), links.issue(2))
        self.assertEqual(set(pages("/a", "/b", "/c")), set(links.issued()))

    def test_waiting_pages_are_replaced_and_issued_ones_are_not(self):
        links = self.make(limit=3)
        links.add(page("/second"), pages("/a", "/b", "/c", "/d"))
        self.assertEqual(3, len(links))
        self.assertEqual(pages("/a"), links.issue(1))
        links.add(page("/first"), pages("/x"))
        links.add(page("/third"), pages("/y"))
        self.assertEqual(pages("/x", "/b"), links.issue(99))
        links.add(page("/first"), pages("/late"))
        self.assertEqual([], links.issue(99))

    def test_a_limit_of_zero(self):
        links = self.make(limit=0)
        links.add(page("/first"), pages("/a"))
        self.assertEqual([], links.issue(99))

    def test_the_limit_of_bytes(self):
        links = self.make(size=1000)
        links.add(page("/first"), pages("/a", "/b", "/c"))
        links.record_size(page("/known"), 5000)
        self.assertEqual(pages("/a"), links.issue(1))
        for _ in range(3):  # refreshes of the same page
            links.record_size(page("/a"), 600)
        self.assertEqual(pages("/b"), links.issue(1))
        links.record_size(page("/b"), 400)
        self.assertEqual([], links.issue(1))
