"""Admission and eviction of pages."""

import random
import unittest

from nova_cachemig.model.access import PageKey
from nova_cachemig.popularity.rates import Rates
from nova_cachemig.popularity.table import PageTable


def key(name):
    return PageKey("s", "h", f"/{name}")


class PageTableTest(unittest.TestCase):
    def setUp(self):
        self.table = PageTable(Rates([600.0], 0.0), 200, random.Random(1))
        self.now = 0.0

    def ask(self, name, times=1, trusted=True):
        for _ in range(times):
            self.now += 0.01
            self.table.count(key(name), self.now, trusted=trusted)

    def test_all_pages_are_kept_up_to_the_capacity(self):
        for i in range(200):
            self.ask(i)
        self.assertEqual({key(i) for i in range(200)}, {p.key for p in self.table.pages()})

    def test_a_flood_does_not_evict_used_pages(self):
        hot = [f"hot{i}" for i in range(150)]
        for name in hot:
            self.ask(name, 3)
        for i in range(20_000):
            self.ask(f"flood{i}")
            if i % 100 == 0:
                self.ask(hot[i // 100 % 150])
        kept = sum(key(name) in self.table for name in hot)
        self.assertGreaterEqual(kept, 140)
        self.assertLessEqual(len(self.table), 200)

    def test_a_used_new_page_is_admitted_despite_a_flood(self):
        for i in range(190):
            self.ask(f"hot{i}", 3)
        for i in range(3000):
            self.ask(f"flood{i}")
            if i % 60 == 0:  # rarely: it leaves the window each time
                self.ask("newcomer")
        self.assertIn(key("newcomer"), self.table)

    def test_an_untrusted_client_changes_no_full_table(self):
        for i in range(250):
            self.ask(f"p{i}", 2)
        before = {page.key for page in self.table.pages()}
        for i in range(1000):
            self.ask(f"scan{i % 10}", trusted=False)
        self.assertEqual(before, {page.key for page in self.table.pages()})

    def test_evict_removes_one_page(self):
        for i in range(50):
            self.ask(i)
        self.table.evict(self.now)
        self.assertEqual(49, len(self.table))

    def test_one_page_at_most(self):
        table = PageTable(Rates([600.0], 0.0), 1, random.Random(1))
        for i in range(10):
            table.count(key(i), float(i), trusted=True)
            self.assertEqual(1, len(table))

    def test_slots_stay_consistent(self):
        draw = random.Random(5)
        for _ in range(5000):
            self.ask(int(draw.paretovariate(0.4)) % 5000)
        for page in self.table.pages():
            self.assertIs(page, self.table.get(page.key))
            self.assertTrue(page.kept)
        for _ in range(250):
            self.table.evict(self.now)
        self.assertEqual(0, len(self.table))
