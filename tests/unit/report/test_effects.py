"""The effects of a policy in a handover, as an operator reads them."""

import unittest

from nova_cachemig.report.effects import effects_text


class EffectsTest(unittest.TestCase):
    def test_one_line_for_each_kind_of_count(self):
        text = effects_text(
            {
                "request": "req-1",
                "started": "2026-11-30 09:00:00",
                "hits": {"warm": 3, "static": 9},
                "held": {"private": 1},
                "examples": {"private": ["/account"]},
                "rules": [{"rule": 1, "origin": "preset wordpress", "hits": 9, "held": 1}],
                "warming": {"fetched": 5, "changing": 1},
            }
        )
        self.assertEqual(
            [
                "2026-11-30 09:00:00, req-1",
                "from the cache: 12 (static 9, warm 3)",
                "held: 1 (private 1)",
                "private, for instance: /account",
                "rule 1 (preset wordpress): from the cache 9, held 1",
                "warming: fetched 5, changing 1",
            ],
            text.split("\n"),
        )

    def test_a_handover_without_reads(self):
        self.assertEqual("now, req-1", effects_text({"request": "req-1", "started": "now"}))
