"""A page is an entry of one table, not a value."""

import unittest

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.page import Page


class PageTest(unittest.TestCase):
    def test_pages_of_one_key_are_distinct_followers(self):
        key = PageKey("s", "h", "/a")
        first, second = Page(key, 2), Page(key, 2)
        first.followers[second] = 1
        self.assertNotIn(first, first.followers)
        self.assertEqual({}, second.followers)

    def test_a_new_page_is_kept_and_in_the_window(self):
        page = Page(PageKey("s", "h", "/a"), 3)
        self.assertEqual(([0.0] * 3, True, -1), (page.counts, page.kept, page.slot))
