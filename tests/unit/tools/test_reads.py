from __future__ import annotations

import collections
import itertools
import random
import unittest

from tools.measurement.reads import ReadsError, Zipf, from_log, popular, replayed, template

COMBINED = """\
10.0.0.1 - - [10/Oct/2025:13:55:36 +0000] "GET /a?b=1 HTTP/1.1" 200 2326 "-" "agent"
10.0.0.2 - - [10/Oct/2025:13:55:37 +0000] "POST /b HTTP/1.1" 200 2326 "-" "agent"
10.0.0.3 - - [10/Oct/2025:13:55:38 +0000] "GET /c HTTP/2.0" 304 0 "-" "agent"
"""


class ZipfTest(unittest.TestCase):
    def test_frequencies_follow_the_law(self) -> None:
        law = Zipf(10, 1.0, random.Random(1))
        seen = collections.Counter(law.draw() for _ in range(50_000))
        self.assertEqual(set(range(10)), set(seen))
        self.assertAlmostEqual(2, seen[0] / seen[1], delta=0.1)
        self.assertAlmostEqual(5, seen[0] / seen[4], delta=0.4)

    def test_no_pages(self) -> None:
        with self.assertRaises(ReadsError):
            Zipf(0, 1.0, random.Random(1))


class PopularTest(unittest.TestCase):
    def test_covers_first(self) -> None:
        paths = template("/p/{n}", 30)
        drawn = popular(paths, 1.0, random.Random(1), cover=True)
        self.assertEqual(paths, list(itertools.islice(drawn, 30)))
        self.assertIn(next(drawn), paths)

    def test_the_seed_makes_the_order(self) -> None:
        def some(seed: int) -> list[str]:
            pages = popular(["/a", "/b"], 1.0, random.Random(seed), cover=False)
            return list(itertools.islice(pages, 50))

        self.assertEqual(some(1), some(1))
        self.assertNotEqual(some(1), some(2))

    def test_templates_that_cannot_work(self) -> None:
        for pattern, pages in (("/page", 3), ("/page/{n}", 0)):
            with self.assertRaises(ReadsError):
                template(pattern, pages)


class LogTest(unittest.TestCase):
    def test_combined_keeps_its_order_and_only_reads(self) -> None:
        self.assertEqual(("order", ["/a?b=1", "/c"]), from_log(COMBINED))
        pages = replayed(COMBINED, random.Random(1))
        self.assertEqual(["/a?b=1", "/c", "/a?b=1"], list(itertools.islice(pages, 3)))

    def test_counts_are_weights(self) -> None:
        self.assertEqual(("weights", ["/a", "/a", "/b"]), from_log("# hot\n/a\t2\n/b\n"))
        pages = replayed("/a\t9\n/b\t1\n", random.Random(1))
        seen = collections.Counter(itertools.islice(pages, 5000))
        self.assertAlmostEqual(0.9, seen["/a"] / 5000, delta=0.02)

    def test_neither(self) -> None:
        for text in ("", "hello\n", "/a\tmany\n"):
            with self.subTest(text), self.assertRaises(ReadsError):
                from_log(text)
