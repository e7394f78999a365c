"""What a guest may choose."""

from __future__ import annotations

import unittest

from nova_cachemig.guest.settings import Settings


class SettingsTest(unittest.TestCase):
    def test_what_makes_no_sense(self) -> None:
        for wrong in (
            {"methods": frozenset()},
            {"methods": frozenset({"GET"})},
            {"methods": frozenset({"post"})},
            {"max_body": -1},
            {"max_answer": -1},
        ):
            with self.assertRaises(ValueError, msg=wrong):
                Settings(**wrong)
