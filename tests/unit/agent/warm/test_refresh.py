"""What is stored, and until when."""

import unittest

from nova_cachemig.agent.warm.refresh import RefreshQueue
from nova_cachemig.model.access import PageKey


def page(url, host="h"):
    return PageKey("s", host, url)


class ShelfTest(unittest.TestCase):
    def setUp(self):
        self.refresh = RefreshQueue()

    def test_due_ahead_of_the_end_and_once(self):
        self.refresh.put(page("/long"), 0.0, 100.0, 10.0)
        self.refresh.put(page("/short"), 0.0, 8.0, 10.0)
        self.assertEqual([], list(self.refresh.due(3.9)))
        self.assertEqual([page("/short")], list(self.refresh.due(4.0)))
        self.assertEqual([], list(self.refresh.due(89.0)))
        self.assertEqual([page("/long")], list(self.refresh.due(90.0)))

    def test_stored_anew(self):
        self.refresh.put(page("/a"), 0.0, 20.0, 5.0)
        self.refresh.put(page("/a"), 10.0, 20.0, 5.0)
        self.assertEqual([], list(self.refresh.due(15.0)))
        self.assertEqual([page("/a")], list(self.refresh.due(25.0)))

    def test_taken(self):
        self.refresh.put(page("/a"), 0.0, 20.0, 5.0)
        self.refresh.take(page("/a"))
        self.refresh.take(page("/never"))
        self.assertNotIn(page("/a"), self.refresh)
        self.assertEqual([], list(self.refresh.due(1e9)))

    def test_voided_while_it_was_fetched(self):
        self.refresh.void("/a", 5.0)
        self.refresh.put(page("/a"), 4.0, 20.0, 5.0)
        self.assertNotIn(page("/a"), self.refresh)
        self.refresh.put(page("/a"), 6.0, 20.0, 5.0)
        self.assertIn(page("/a"), self.refresh)

    def test_all_hosts_of_a_url_are_voided(self):
        for host in "xy":
            self.refresh.put(page("/a", host), 0.0, 20.0, 5.0)
        self.refresh.put(page("/b"), 0.0, 20.0, 5.0)
        self.assertEqual({page("/a", "x"), page("/a", "y")}, set(self.refresh.void("/a", 1.0)))
        self.assertEqual([], self.refresh.void("/a", 2.0))
        self.assertEqual([page("/b")], list(self.refresh.due(1e9)))

    def test_never_at_once_again(self):
        self.refresh.put(page("/a"), 10.0, 0.0, 5.0)
        self.assertEqual([], list(self.refresh.due(10.4)))
        self.assertEqual([page("/a")], list(self.refresh.due(10.5)))
