"""Schemas accept what they declare, and nothing behind a final newline."""

from __future__ import annotations

import unittest

from nova_cachemig.api import schema
from nova_cachemig.api.errors import ApiError


class SchemaTest(unittest.TestCase):
    def test_a_record_has_its_properties_only(self) -> None:
        found = schema.record({"a": {"type": "string"}, "b": {"type": "string"}}, optional=("b",))
        schema.check(found, {"a": "1"}, "body")
        for value in ({}, {"a": "1", "c": "2"}, [], {"a": 1}):
            with self.subTest(value), self.assertRaises(ApiError) as caught:
                schema.check(found, value, "body")
            self.assertEqual(400, caught.exception.status)
            self.assertTrue(caught.exception.detail.startswith("body"))

    def test_a_final_newline_is_not_part_of_a_name(self) -> None:
        for kind, good in ((schema.NAME, "shop"), (schema.UUID, "0" * 8 + "-0000" * 3 + "-" + "0" * 12)):  # fmt: skip # noqa: E501
            self.assertEqual([], schema.faults(kind, good))
            self.assertEqual(1, len(schema.faults(kind, good + "\n")))

    def test_a_long_value_gives_a_short_sentence(self) -> None:
        with self.assertRaises(ApiError) as caught:
            schema.check(schema.NO_QUERY, {"x" * 10_000: "y"}, "query")
        self.assertLess(len(caught.exception.detail), 600)

    def test_a_page_may_have_a_link(self) -> None:
        found = schema.page("things", {"type": "string"})
        links = [{"rel": "next", "href": "http://x"}]
        self.assertEqual([], schema.faults(found, {"things": ["a"], "things_links": links}))
        self.assertEqual([], schema.faults(schema.nullable(schema.NAME), None))
