from __future__ import annotations

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from tools.measurement.guestlog import Applied, GuestLogError, jsonl, regex, tsv


class TsvTest(unittest.TestCase):
    def test_fields(self) -> None:
        text = "1\tPUT\t/item/1\tc3\tr-1\t-\tabc\n\n2\tDELETE\t/item/1\tc3\tr-2\n"
        first, second = tsv(text)
        self.assertEqual(Applied(1, "PUT", "/item/1", "c3", "r-1", "", "abc"), first)
        self.assertEqual(Applied(2, "DELETE", "/item/1", "c3", "r-2"), second)

    def test_bad_lines_are_named(self) -> None:
        for text in ("1\tPUT\t/item/1\tc\tr\nhello\n", "1\tPUT\t/item/1\tc\tr\nx\ta\tb\tc\td\n"):
            with self.assertRaisesRegex(GuestLogError, "line 2"):
                list(tsv(text))

    @given(st.text())
    def test_nothing_else_is_raised(self, text: str) -> None:
        for parse in (tsv, jsonl, regex(r"(?P<method>\w+) (?P<path>\S+) (?P<request>\S+)")):
            try:
                list(parse(text))
            except GuestLogError as exc:
                self.assertIn("line", str(exc))


class JsonlTest(unittest.TestCase):
    def test_fields(self) -> None:
        entry = {"seq": 7, "method": "PUT", "path": "/a", "request": "r", "body": "f00"}
        self.assertEqual(
            [Applied(7, "PUT", "/a", "", "r", "", "f00")], list(jsonl(json.dumps(entry) + "\n"))
        )

    def test_bad_lines_are_named(self) -> None:
        for line in ("{", "[]", "3", '{"seq": 1}', '{"seq": null, "method": "PUT"}'):
            with self.subTest(line), self.assertRaisesRegex(GuestLogError, "line 1"):
                list(jsonl(line))


class RegexTest(unittest.TestCase):
    def test_the_lines_number_is_the_place(self) -> None:
        parse = regex(r'"(?P<method>\w+) (?P<path>\S+) .*rid=(?P<request>\S+)')
        text = '"PUT /a HTTP/1.1" rid=r1\nnoise\n"POST /b HTTP/1.1" rid=r2\n'
        self.assertEqual([(1, "r1"), (3, "r2")], [(a.seq, a.request) for a in parse(text)])

    def test_a_pattern_that_cannot_work(self) -> None:
        with self.assertRaisesRegex(GuestLogError, "lacks the groups method, path"):
            regex("(?P<request>.)")
        with self.assertRaisesRegex(GuestLogError, "--log-pattern"):
            regex("(")

    def test_a_place_that_is_no_number(self) -> None:
        parse = regex(r"(?P<seq>\w+) (?P<method>\w+) (?P<path>\S+) (?P<request>\S+)")
        with self.assertRaisesRegex(GuestLogError, "line 1"):
            list(parse("one PUT /a r"))
