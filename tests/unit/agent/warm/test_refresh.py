"""Stored pages and the times of their refresh."""

import unittest

from nova_cachemig.agent.warm.refresh import RefreshQueue
from nova_cachemig.model.access import PageKey


def page(url, host="h"):
    return PageKey("s", host, url)


class RefreshQueueTest(unittest.TestCase):
    def setUp(self):
        self.queue = RefreshQueue()

    def test_due_before_the_end_of_the_lifetime_and_once(self):
        self.queue.add(page("/long"), 0.0, 100.0, 10.0)
        self.queue.add(page("/short"), 0.0, 8.0, 10.0)
        self.assertEqual([], list(self.queue.pop_due(3.9)))
        self.assertEqual([page("/short")], list(self.queue.pop_due(4.0)))
        self.assertEqual([], list(self.queue.pop_due(89.0)))
        self.assertEqual([page("/long")], list(self.queue.pop_due(90.0)))

    def test_stored_again(self):
        self.queue.add(page("/a"), 0.0, 20.0, 5.0)
        self.queue.add(page("/a"), 10.0, 20.0, 5.0)
        self.assertEqual([], list(self.queue.pop_due(15.0)))
        self.assertEqual([page("/a")], list(self.queue.pop_due(25.0)))

    def test_removed(self):
        self.queue.add(page("/a"), 0.0, 20.0, 5.0)
        self.queue.remove(page("/a"))
        self.queue.remove(page("/never"))
        self.assertNotIn(page("/a"), self.queue)
        self.assertEqual([], list(self.queue.pop_due(1e9)))

    def test_invalidated_during_the_fetch(self):
        self.queue.invalidate("/a", 5.0)
        self.queue.add(page("/a"), 4.0, 20.0, 5.0)
        self.assertNotIn(page("/a"), self.queue)
        self.queue.add(page("/a"), 6.0, 20.0, 5.0)
        self.assertIn(page("/a"), self.queue)

    def test_all_hosts_of_a_url_are_invalidated(self):
        for host in "xy":
            self.queue.add(page("/a", host), 0.0, 20.0, 5.0)
        self.queue.add(page("/b"), 0.0, 20.0, 5.0)
        self.assertEqual({page("/a", "x"), page("/a", "y")}, set(self.queue.invalidate("/a", 1.0)))
        self.assertEqual([], self.queue.invalidate("/a", 2.0))
        self.assertEqual([page("/b")], list(self.queue.pop_due(1e9)))

    def test_a_watched_page_is_invalidated_once_but_never_due(self):
        self.queue.watch(page("/a"))
        self.assertNotIn(page("/a"), self.queue)
        self.assertEqual([], list(self.queue.pop_due(1e9)))
        self.assertEqual([page("/a")], self.queue.invalidate("/a", 1.0))
        self.assertEqual([], self.queue.invalidate("/a", 2.0))

    def test_a_stored_page_is_not_watched(self):
        self.queue.watch(page("/a"))
        self.queue.add(page("/a"), 0.0, 20.0, 5.0)
        self.queue.watch(page("/a"))
        self.assertEqual([page("/a")], list(self.queue.pop_due(1e9)))
        self.assertEqual([page("/a")], self.queue.invalidate("/a", 1.0))

    def test_the_number_of_watched_pages_is_bounded(self):
        for number in range(1200):
            self.queue.watch(page(f"/{number}"))
        self.assertEqual([], self.queue.invalidate("/0", 1.0))
        self.assertEqual([page("/1199")], self.queue.invalidate("/1199", 1.0))

    def test_outdated(self):
        self.queue.invalidate("/a?x=1", 5.0)
        self.assertTrue(self.queue.is_outdated(page("/a"), 5.0))
        self.assertFalse(self.queue.is_outdated(page("/a"), 5.1))
        self.assertFalse(self.queue.is_outdated(page("/b"), 0.0))

    def test_a_minimal_interval(self):
        self.queue.add(page("/a"), 10.0, 0.0, 5.0)
        self.assertEqual([], list(self.queue.pop_due(10.4)))
        self.assertEqual([page("/a")], list(self.queue.pop_due(10.5)))
