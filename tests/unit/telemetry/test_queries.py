"""Options with queries, and the ranges of time that remain to be fetched."""

from __future__ import annotations

import unittest

from nova_cachemig.telemetry import queries
from nova_cachemig.telemetry.source import SourceError


class OptionsTest(unittest.TestCase):
    def test_queries(self) -> None:
        lines = ["cpu = a = b", "net.receive=c"]
        self.assertEqual([("cpu", "a = b"), ("net.receive", "c")], queries.parse(lines, "o"))
        for line in ("up", "Upper = up", "cpu ="):
            with self.subTest(line), self.assertRaisesRegex(SourceError, r"^\[g\] o: not 'METRIC"):
                queries.parse([line], "[g] o")

    def test_a_pattern(self) -> None:
        pattern = queries.host_pattern("^x(?P<host>.*)$", "o")
        assert pattern is not None
        self.assertEqual("cmp1", pattern.sub(r"\g<host>", "xcmp1"))
        self.assertIsNone(queries.host_pattern(None, "o"))
        for text, words in (("(", r"^\[g\] o: "), ("(x)", r"^\[g\] o has no group 'host'$")):
            with self.subTest(text), self.assertRaisesRegex(SourceError, words):
                queries.host_pattern(text, "[g] o")


class RangesTest(unittest.TestCase):
    def test_the_grid_begins_after_what_is_known_and_ends_now(self) -> None:
        ranges = queries.Ranges(60, 86400, 360)
        self.assertEqual([(660, 960)], list(ranges.missing("q", 600, 1019)))
        self.assertEqual([], list(ranges.missing("q", 600, 659)))

    def test_they_shrink_down_to_one_time(self) -> None:
        ranges = queries.Ranges(60, 86400, 3)
        self.assertEqual([(660, 780), (840, 840)], list(ranges.missing("q", 600, 840)))
        self.assertTrue(ranges.shrink())
        self.assertEqual([(660, 660), (720, 720)], list(ranges.missing("q", 600, 720)))
        self.assertFalse(ranges.shrink())

    def test_each_query_has_its_own_position(self) -> None:
        ranges = queries.Ranges(60, 86400, 360)
        ranges.fetched("q", 960)
        self.assertEqual([(1020, 1080)], list(ranges.missing("q", 600, 1080)))
        self.assertEqual([(660, 1080)], list(ranges.missing("other", 600, 1080)))

    def test_long_ranges_are_split_and_old_times_are_left_out(self) -> None:
        ranges = queries.Ranges(60, 600, 4)
        found = list(ranges.missing("q", 0, 6000))
        self.assertEqual([(5460, 5640), (5700, 5880), (5940, 6000)], found)


if __name__ == "__main__":
    unittest.main()
